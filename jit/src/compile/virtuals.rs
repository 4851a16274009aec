//! Virtual objects: pairs and closures that are made only where they must stand in the arena.
//!
//! Where the program makes one, its room in the arena is taken, so that everything that is counted is counted as if it
//! were made, and its place is known from then on. Nothing is written there: its fields are variables, one set for
//! each register that holds the object. Whatever could look at the object in the arena writes it to its place
//! first, and so do exits, for objects in registers that are live; then it is the same object, wherever else it is
//! held.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{self, InstBuilder};
use cranelift_frontend::Variable;
use pw_isa::cost;
use pw_isa::op::{Data, Function as Call, Op};
use smallvec::SmallVec;

use super::lower::Lowering;
use super::registers::Register;
use super::state::{ExitReason, NativeState};
use super::tails::Tag;
use super::types::{Made, Plan, Type};

/// A virtual object at one place of the code, on the way to the arena.
#[derive(Clone)]
pub(super) struct Unmade {
    place: ir::Value,
    made: Made,
    /// Tag and bits of each field; the bits can be a Float.
    fields: SmallVec<[(Tag, ir::Value); 2]>,
}

/// Variables, each with what it is to be set to.
type Settings = SmallVec<[(Variable, ir::Value); 8]>;

impl Lowering<'_, '_> {
    /// The variables of a field of the virtual object in a register.
    fn field(&mut self, of: Register, place: usize) -> Register {
        let b = &mut self.b;
        let declare = || Register::declare(b);
        *self
            .fields
            .entry((of.bits.as_u32(), place))
            .or_insert_with(declare)
    }

    /// Takes the room of the object that the current instruction makes, and keeps its fields.
    pub(super) fn virtual_object(&mut self, op: &Op) {
        let (dst, sources, bytes) = match op {
            Op::Data(Data::Cons { dst, car, cdr }) => (
                dst.0,
                SmallVec::from_slice(&[car.0, cdr.0]),
                cost::PAIR_BYTES,
            ),
            Op::Function(Call::Closure { dst, captures, .. }) => {
                let registers = captures.first..captures.first + captures.count;
                let sources: SmallVec<[u16; 8]> = registers.collect();
                (dst.0, sources, cost::closure_bytes(captures.count.into()))
            }
            _ => unreachable!("it makes no virtual object"),
        };
        let known = self
            .scope
            .evidence
            .result_of(self.pc, op, Plan::Virtual, &self.now);
        let to = self.scope.registers[usize::from(dst)];
        let place = self.take_room(bytes);
        let mut settings = Settings::new();
        settings.push((to.bits, place));
        for (at, (source, field)) in sources.iter().zip(self.fields_of(known)).enumerate() {
            let from = self.scope.registers[usize::from(*source)];
            let known = self.now[usize::from(*source)];
            let variables = self.field(to, at);
            // What would be too deep is no virtual object as a field.
            if known.made() != field.made() {
                self.materialise(from, known);
            }
            self.collect(from, variables, field, &mut settings);
        }
        self.set(settings);
        self.now[usize::from(dst)] = known;
    }

    /// Takes room in the arena; exits where there is none. Its place.
    fn take_room(&mut self, bytes: u64) -> ir::Value {
        let place = self.load_state(offset_of!(NativeState<'_>, top));
        let max = self.load_state(offset_of!(NativeState<'_>, top_max));
        let top = self.b.ins().iadd_imm_s(place, bytes as i64);
        let is_full = self.b.ins().icmp(IntCC::UnsignedGreaterThan, top, max);
        self.exit_if(is_full, ExitReason::Aside);
        self.store_state(offset_of!(NativeState<'_>, top), top);
        let yes = self.b.ins().iconst(I64, 1);
        self.store_state(offset_of!(NativeState<'_>, has_gaps), yes);
        place
    }

    /// Reads a field of a virtual object, if the current instruction does.
    pub(super) fn read_field(&mut self, op: &Op, dst: u16) -> bool {
        let Some((object, place, known)) = self.planner.field_read(op, &self.now) else {
            return false;
        };
        let object = self.scope.registers[usize::from(object)];
        let field = self.field(object, place);
        let to = self.scope.registers[usize::from(dst)];
        self.copy_value(field, to, known);
        self.now[usize::from(dst)] = known;
        true
    }

    /// What is known about the fields of a value, if it is a virtual object.
    fn fields_of(&self, known: Type) -> Box<[Type]> {
        match known {
            Type::Virtual(_, shape) => self.planner.shapes.fields(shape),
            _ => Box::default(),
        }
    }

    /// Copies a value of a known type to other variables, which may be variables of its own fields.
    pub(super) fn copy_value(&mut self, from: Register, to: Register, known: Type) {
        let mut settings = Settings::new();
        self.collect(from, to, known, &mut settings);
        self.set(settings);
    }

    fn collect(&mut self, from: Register, to: Register, known: Type, settings: &mut Settings) {
        for (from, to) in from.paired(to, known) {
            settings.push((to, self.b.use_var(from)));
        }
        for (place, known) in self.fields_of(known).iter().enumerate() {
            let (from, to) = (self.field(from, place), self.field(to, place));
            self.collect(from, to, *known, settings);
        }
    }

    fn set(&mut self, settings: Settings) {
        for (variable, value) in settings {
            self.b.def_var(variable, value);
        }
    }

    /// From here on no more is to be known about a value than this, which holds for it.
    pub(super) fn widen(&mut self, variables: Register, known: Type, wanted: Type) {
        match (known, wanted) {
            (Type::Virtual(..), Type::Virtual(..)) => {
                let (known, wanted) = (self.fields_of(known), self.fields_of(wanted));
                for (place, (known, wanted)) in known.iter().zip(&wanted).enumerate() {
                    let field = self.field(variables, place);
                    self.widen(field, *known, *wanted);
                }
            }
            (Type::Virtual(..), _) => self.materialise(variables, known),
            _ => {}
        }
        match wanted {
            Type::Any => {
                let (tag, bits) = self.words(variables, known);
                variables.set_any(&mut self.b, tag, bits);
            }
            Type::Number => self.widen_to_number(variables, known),
            _ => {}
        }
    }

    /// The same for a number. What it is not has any value.
    fn widen_to_number(&mut self, variables: Register, known: Type) {
        let Some(tag) = known.tag() else {
            return;
        };
        let tag = self.b.ins().iconst(I64, tag as i64);
        self.b.def_var(variables.tag, tag);
        if known == Type::Float {
            let int = self.b.ins().iconst(I64, 0);
            self.b.def_var(variables.bits, int);
        } else {
            let float = self.b.ins().f64const(0.0);
            self.b.def_var(variables.float, float);
        }
    }

    /// Makes sure that the fields of an object are of these types, and has them at hand: it is known to be of this
    /// kind, and may be virtual already.
    pub(super) fn guard_fields(&mut self, variables: Register, known: Type, wanted: Type) {
        let Some(made) = wanted.made() else {
            return;
        };
        let is_virtual = known.made() == Some(made);
        let (mut known, wanted) = (self.fields_of(known), self.fields_of(wanted));
        if !is_virtual {
            known = vec![Type::Any; wanted.len()].into();
            let place = self.b.use_var(variables.bits);
            let object = self.object_at(place);
            for at in 0..wanted.len() {
                let (tag, bits) = self.load_field(object, made, at);
                self.field(variables, at).set_any(&mut self.b, tag, bits);
            }
        }
        for (at, (known, wanted)) in known.iter().zip(&wanted).enumerate() {
            let field = self.field(variables, at);
            let known = self.guard_value(field, *known, *wanted);
            self.widen(field, known, *wanted);
        }
    }

    /// Writes a virtual object to its place, with those that it holds.
    pub(super) fn materialise(&mut self, variables: Register, known: Type) {
        let mut objects = Vec::new();
        self.unmade(variables, known, &mut objects);
        self.write_objects(&objects);
    }

    /// The virtual objects that a value consists of, the inner ones first, but for those that are listed
    /// already.
    pub(super) fn unmade(&mut self, variables: Register, known: Type, all: &mut Vec<Unmade>) {
        let Type::Virtual(made, _) = known else {
            return;
        };
        let place = self.b.use_var(variables.bits);
        if all.iter().any(|other| other.place == place) {
            return;
        }
        let mut fields = SmallVec::new();
        for (at, known) in self.fields_of(known).iter().enumerate() {
            let field = self.field(variables, at);
            self.unmade(field, *known, all);
            fields.push(self.held(field, *known));
        }
        all.push(Unmade {
            place,
            made,
            fields,
        });
    }

    /// Writes objects to their places.
    pub(super) fn write_objects(&mut self, objects: &[Unmade]) {
        for object in objects {
            let fields: SmallVec<[_; 4]> = object
                .fields
                .iter()
                .map(|(tag, bits)| {
                    let tag = match tag {
                        Tag::Known(tag) => self.b.ins().iconst(I64, *tag as i64),
                        Tag::Found(tag) => *tag,
                    };
                    (tag, *bits)
                })
                .collect();
            let words = match object.made {
                Made::Pair => self.words_of_pair(fields[0], fields[1]),
                Made::Closure(function) => self.words_of_closure(function, &fields),
            };
            self.write_object(object.place, &words);
        }
    }
}
