//! Values on their way between a fiber and the embedding program or another fiber.
//!
//! Outside a fiber, pairs and closures are [`HeapObjects`]; sharing is kept both ways. Nothing here
//! recurses: lists may be as long as they like.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use pw_isa::Kind;
use pw_isa::v2::{Capability, Lowered};
use pw_jit::fiber::arena::Arena;
use pw_jit::heap::Heap;
use pw_jit::{CodeSpace, Value as Register};

use super::value::Origin;
use super::{ClosureObject, HeapObject, HeapObjects, HeapPtr, Value};

/// A message or another value by itself, with the objects that it points to.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) value: Value,
    pub(crate) objects: Arc<HeapObjects>,
}

/// The V2 programs of a code space.
#[derive(Clone, Debug, Default)]
pub(crate) struct Programs {
    by_number: Vec<Arc<Lowered>>,
    /// All that were admitted. The same program, lowered twice, has one number.
    admitted: Vec<(Arc<Lowered>, u32)>,
}

impl Programs {
    /// Records that a program was loaded under a number.
    pub(crate) fn admit(&mut self, program: Arc<Lowered>, number: u32) {
        if number as usize == self.by_number.len() {
            self.by_number.push(Arc::clone(&program));
        }
        self.admitted.push((program, number));
    }

    /// The program with a number.
    pub(crate) fn get(&self, number: u32) -> &Arc<Lowered> {
        &self.by_number[number as usize]
    }

    /// The number under which a program was loaded.
    pub(crate) fn number(&self, program: &Arc<Lowered>) -> Option<u32> {
        let mut admitted = self.admitted.iter();
        let found = admitted.find(|(known, _)| Arc::ptr_eq(known, program));
        found.map(|(_, number)| *number)
    }

    /// The programs by rising number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Lowered>> {
        self.by_number.iter()
    }
}

/// Copies values out of a fiber.
pub(crate) struct Exporter<'a> {
    heap: Heap<'a>,
    programs: &'a Programs,
    objects: &'a mut HeapObjects,
    known: HashMap<(u64, u64), HeapPtr>,
    open: Vec<(HeapPtr, Register)>,
}

impl<'a> Exporter<'a> {
    pub(crate) fn new(
        heap: Heap<'a>,
        programs: &'a Programs,
        objects: &'a mut HeapObjects,
    ) -> Exporter<'a> {
        Exporter {
            heap,
            programs,
            objects,
            known: HashMap::new(),
            open: Vec::new(),
        }
    }

    /// The value outside. Kinds that V2 does not have are nil.
    pub(crate) fn export(&mut self, register: Register) -> Value {
        let value = self.shallow(register);
        while let Some((pointer, register)) = self.open.pop() {
            let object = self.object(register);
            self.objects.replace(pointer, object);
        }
        value
    }

    fn shallow(&mut self, register: Register) -> Value {
        let heap = self.heap;
        match register.kind() {
            Kind::Bool => Value::Bool(register.bits != 0),
            Kind::Int => Value::Int(register.bits as i64),
            Kind::Float => Value::Float(f64::from_bits(register.bits)),
            Kind::ActorId => u32::try_from(register.bits).map_or(Value::Nil, Value::ActorId),
            Kind::String => Value::String(heap.string(register).unwrap_or("").to_owned()),
            Kind::Symbol => {
                let number = heap
                    .symbol(register)
                    .and_then(|text| text.strip_prefix('#'));
                let number = number.and_then(|number| number.parse().ok());
                number.map_or(Value::Nil, Value::Symbol)
            }
            Kind::Capability => {
                let parts = heap.capability(register);
                let capability = parts.and_then(|(name, parameter)| {
                    let parameter = parameter.as_int().map(|amount| amount as u64);
                    Capability::from_kebab(heap.symbol(name)?, parameter)
                });
                capability.map_or(Value::Nil, Value::Capability)
            }
            Kind::Error => {
                let message = heap
                    .error(register)
                    .and_then(|(_, text, _)| heap.string(text));
                Value::Error(message.unwrap_or("").to_owned())
            }
            Kind::Pair => Value::Pair(self.pointer(register)),
            Kind::Closure => Value::Closure(self.pointer(register)),
            _ => Value::Nil,
        }
    }

    fn pointer(&mut self, register: Register) -> HeapPtr {
        let (objects, open) = (&mut *self.objects, &mut self.open);
        let known = self.known.entry((register.tag, register.bits));
        *known.or_insert_with(|| {
            let pointer = objects.add(HeapObject::Pair(Value::Nil, Value::Nil));
            open.push((pointer, register));
            pointer
        })
    }

    fn object(&mut self, register: Register) -> HeapObject {
        let heap = self.heap;
        if let Some((car, cdr)) = heap.pair(register) {
            return HeapObject::Pair(self.shallow(car), self.shallow(cdr));
        }
        let Some((program, function)) = heap.closure(register) else {
            unreachable!("only pairs and closures are objects outside")
        };
        let program = self.programs.get(program);
        // Captured values stand in one Vector, see the lowering.
        let packed = heap.captures(register).next();
        let values = packed
            .and_then(|packed| heap.vector(packed))
            .into_iter()
            .flatten();
        let captured = values.map(|value| self.shallow(value)).collect();
        HeapObject::Closure(ClosureObject {
            body: program.functions[function as usize].constant,
            captured,
            origin: Some(Origin {
                program: Arc::clone(program),
                function,
            }),
        })
    }
}

/// Copies values into a fiber's arena or a parcel.
pub(crate) struct Importer<'a> {
    pub(crate) code: &'a CodeSpace,
    pub(crate) programs: &'a Programs,
    pub(crate) objects: &'a HeapObjects,
    pub(crate) arena: &'a mut Arena,
}

enum Task {
    Visit(HeapPtr),
    Build(HeapPtr),
}

impl Importer<'_> {
    /// The value inside. What means nothing to an actor is nil: pointers to nothing or in a circle,
    /// code, objects of the embedding program.
    pub(crate) fn import(&mut self, value: &Value) -> Register {
        let mut known = HashMap::new();
        let mut visited = HashSet::new();
        let mut tasks = Vec::new();
        tasks.extend(pointer_of(value).map(Task::Visit));
        while let Some(task) = tasks.pop() {
            match task {
                Task::Visit(pointer) if visited.insert(pointer) => {
                    tasks.push(Task::Build(pointer));
                    let parts = parts_of(self.objects.get(pointer));
                    tasks.extend(parts.filter_map(pointer_of).map(Task::Visit));
                }
                Task::Visit(_) => {}
                Task::Build(pointer) => {
                    let register = self.build(pointer, &known);
                    known.insert(pointer, register);
                }
            }
        }
        self.shallow(value, &known)
    }

    fn shallow(&mut self, value: &Value, known: &HashMap<HeapPtr, Register>) -> Register {
        match value {
            Value::Bool(value) => Register::bool(*value),
            Value::Int(value) => Register::int(*value),
            Value::Float(value) => Register::float(*value),
            Value::ActorId(id) => Register::actor(u64::from(*id)),
            Value::String(text) => self.arena.new_text(Kind::String, text),
            Value::Symbol(number) => self.arena.new_text(Kind::Symbol, &format!("#{number}")),
            Value::Error(message) => self.arena.new_error_of(pw_isa::ErrorKind::Error, message),
            Value::Capability(capability) => {
                let parameter = capability.parameter();
                let parameter =
                    parameter.map_or(Register::NIL, |amount| Register::int(amount as i64));
                self.arena
                    .new_named_capability(capability.kebab_name(), parameter)
            }
            Value::Pair(pointer) | Value::Closure(pointer) => {
                known.get(pointer).copied().unwrap_or(Register::NIL)
            }
            Value::Nil | Value::GcPtr(_) | Value::Code(_) => Register::NIL,
        }
    }

    fn build(&mut self, pointer: HeapPtr, known: &HashMap<HeapPtr, Register>) -> Register {
        let objects = self.objects;
        match objects.get(pointer) {
            None => Register::NIL,
            Some(HeapObject::Pair(car, cdr)) => {
                let (car, cdr) = (self.shallow(car, known), self.shallow(cdr, known));
                self.arena.new_pair(car, cdr)
            }
            Some(HeapObject::Closure(closure)) => {
                let values: Vec<Register> = closure
                    .captured
                    .iter()
                    .map(|value| self.shallow(value, known))
                    .collect();
                self.closure(closure, &values).unwrap_or(Register::NIL)
            }
        }
    }

    fn closure(&mut self, closure: &ClosureObject, values: &[Register]) -> Option<Register> {
        let origin = closure.origin.as_ref()?;
        let program = self.programs.number(&origin.program)?;
        let packed: Vec<Register> = if values.is_empty() {
            Vec::new()
        } else {
            vec![self.arena.new_vector_of(values)]
        };
        self.arena
            .new_function(self.code, program, origin.function, &packed)
    }
}

fn pointer_of(value: &Value) -> Option<HeapPtr> {
    match value {
        Value::Pair(pointer) | Value::Closure(pointer) => Some(*pointer),
        _ => None,
    }
}

fn parts_of(object: Option<&HeapObject>) -> Box<dyn Iterator<Item = &Value> + '_> {
    match object {
        None => Box::new(std::iter::empty()),
        Some(HeapObject::Pair(car, cdr)) => Box::new([car, cdr].into_iter()),
        Some(HeapObject::Closure(closure)) => Box::new(closure.captured.iter()),
    }
}

/// The programs that closures among these objects come from.
pub(crate) fn programs_of(objects: &HeapObjects) -> Vec<Arc<Lowered>> {
    let mut programs: Vec<Arc<Lowered>> = Vec::new();
    for object in objects.iter() {
        if let HeapObject::Closure(ClosureObject {
            origin: Some(origin),
            ..
        }) = object
            && !programs
                .iter()
                .any(|known| Arc::ptr_eq(known, &origin.program))
        {
            programs.push(Arc::clone(&origin.program));
        }
    }
    programs
}
