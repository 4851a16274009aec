//! Operations that native code has no code for: done by calling a routine of the runtime with their values
//! or, where there is none, a handler of the interpreter. A routine is much cheaper: nothing is written to
//! the frame and nothing is looked up.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{self, InstBuilder};
use pw_isa::op::{Access, Actor, Arith, Compare, Data, Float, Message, Op, Text, Work};
use pw_isa::operand::Def;

use super::lower::{Lowering, MEMORY, SLOT};
use super::plans::reads;
use super::state::{ExitReason, NativeState};
use super::ways::{SPARING, routine_signature, sparing_signature};
use crate::interp::NOTHING;
use crate::interp::routines::library_place;
use crate::tier::routines::Routines;

/// A routine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Routine {
    /// Where it stands among all.
    place: usize,
    /// Whether objects may move, or vectors change their kind, length or place.
    pub(super) moves: bool,
}

impl Routine {
    /// Makes the Error of an instruction that fails.
    pub(super) const ERROR: Routine = Routine {
        place: offset_of!(Routines, error),
        moves: true,
    };

    /// Spreads the arguments of a call.
    pub(super) const SPREAD: Routine = Routine {
        place: offset_of!(Routines, spread),
        moves: false,
    };

    /// Gives a function arguments that do not fit as they stand.
    pub(super) const GATHER: Routine = Routine {
        place: offset_of!(Routines, gather),
        moves: true,
    };

    /// Makes a list of values in a row.
    pub(super) const LIST: Routine = Routine {
        place: offset_of!(Routines, list),
        moves: true,
    };

    /// The routine for an instruction.
    pub(super) fn of(op: &Op) -> Option<Routine> {
        macro_rules! routine {
            ($name:ident moves) => {
                (offset_of!(Routines, $name), true)
            };
            ($name:ident) => {
                (offset_of!(Routines, $name), false)
            };
        }
        let (place, moves) = match op {
            Op::Text(op) => match op {
                Text::StringAppend { .. } => routine!(string_append moves),
                Text::StringRef { .. } => routine!(string_ref moves),
                Text::Substring { .. } => routine!(substring moves),
                Text::StringIndex { .. } => routine!(string_index),
                Text::StringEq { .. } => routine!(string_eq),
                Text::StringLt { .. } => routine!(string_lt),
                Text::NumberToString { .. } => routine!(number_to_string moves),
                Text::StringToNumber { .. } => routine!(string_to_number),
                Text::StringToBytes { .. } => routine!(string_to_bytes moves),
                Text::BytesToString { .. } => routine!(bytes_to_string moves),
                Text::StringLength { .. }
                | Text::SymbolToString { .. }
                | Text::StringToSymbol { .. } => return None,
            },
            Op::Message(op) => match op {
                Message::Send { .. } => routine!(send),
                Message::Receive { .. } => routine!(receive moves),
                Message::Sender { .. } => routine!(sender),
                _ => return None,
            },
            Op::Actor(Actor::SelfId { .. }) => routine!(self_id),
            Op::Compare(op) => match op {
                Compare::Eq { .. } => routine!(eq),
                Compare::Equal { .. } => routine!(equal),
                Compare::Lt { .. } => routine!(lt),
                Compare::Le { .. } => routine!(le),
                Compare::Gt { .. } => routine!(gt),
                Compare::Ge { .. } => routine!(ge),
                Compare::NumEq { .. } => routine!(num_eq),
                Compare::NumNe { .. } => routine!(num_ne),
                Compare::Not { .. } | Compare::Is { .. } => return None,
            },
            Op::Arith(op) => match op {
                Arith::Add { .. } => routine!(add),
                Arith::Sub { .. } => routine!(sub),
                Arith::Mul { .. } => routine!(mul),
                Arith::Div { .. } => routine!(div),
                Arith::Quot { .. } => routine!(quot),
                Arith::Rem { .. } => routine!(rem),
                Arith::Mod { .. } => routine!(modulo),
                Arith::Min { .. } => routine!(min),
                Arith::Max { .. } => routine!(max),
                Arith::ToInt { .. } => routine!(to_int),
                _ => return None,
            },
            Op::Float(op) => match op {
                Float::ToFloat { .. } | Float::Sqrt { .. } => return None,
                Float::Atan2 { .. } | Float::Pow { .. } => routine!(library_function_of_two),
                _ => routine!(library_function),
            },
            Op::Data(op) => match op {
                Data::Cons { .. } => routine!(cons moves),
                Data::Car { .. } => routine!(car),
                Data::Cdr { .. } => routine!(cdr),
                Data::Vector { .. } => routine!(vector moves),
                Data::MakeVector { .. } => routine!(make_vector moves),
                Data::VectorRef { .. } => routine!(vector_ref),
                Data::VectorSet { .. } => routine!(vector_set moves),
                Data::VectorPush { .. } => routine!(vector_push moves),
                Data::VectorPop { .. } => routine!(vector_pop moves),
                Data::VectorFill { .. } => routine!(vector_fill moves),
                Data::MakeBytes { .. } => routine!(make_bytes moves),
                Data::MakeMap { .. } => routine!(make_map moves),
                Data::MapGet { .. } => routine!(map_get),
                Data::MapSet { .. } => routine!(map_set moves),
                Data::MapHas { .. } => routine!(map_has),
                Data::MapDelete { .. } => routine!(map_delete),
                Data::MapKeys { .. } => routine!(map_keys moves),
                Data::MakeError { .. } => routine!(make_error moves),
                Data::ErrorKind { .. } => routine!(error_kind moves),
                Data::ErrorMessage { .. } => routine!(error_message),
                Data::ErrorValues { .. } => routine!(error_values),
                _ => return None,
            },
            _ => return None,
        };
        Some(Routine { place, moves })
    }
}

impl Lowering<'_, '_> {
    /// Lets a routine of the runtime do the current instruction, or a handler of the interpreter.
    pub(super) fn do_aside(&mut self) {
        let op = self.scope.function.code[self.pc as usize];
        let by_routine = Routine::of(&op).map(|routine| self.call_routine(&op, routine));
        if by_routine.is_none() {
            self.call_aside(&op);
        }
        let mut after = self.now.clone();
        self.scope.evidence.step(self.pc, &mut after);
        let mut written = None;
        op.accesses(|access| {
            if let Access::Write(register) = access {
                written = Some(register);
            }
        });
        if let Some(register) = written {
            let (tag, bits) = by_routine
                .unwrap_or_else(|| (self.load_slot(register, 0), self.load_slot(register, 8)));
            self.set_known(register, after[usize::from(register)], tag, bits);
        }
    }

    /// A block that stands aside, for where a routine has to do the current instruction, and one behind it, which is told tag and
    /// bits of its value.
    pub(super) fn begin_aside(&mut self) -> (ir::Block, ir::Block) {
        let (otherwise, done) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(otherwise);
        self.b.append_block_param(done, I64);
        self.b.append_block_param(done, I64);
        (otherwise, done)
    }

    /// Ends both: goes on behind the instruction, where its value may be any.
    pub(super) fn end_aside(&mut self, dst: Def, (otherwise, done): (ir::Block, ir::Block)) {
        self.switch_to_sealed(otherwise);
        self.do_aside();
        let (tag, bits) = self.value(dst.0);
        self.b.ins().jump(done, &[tag.into(), bits.into()]);
        self.switch_to_sealed(done);
        let value = self.b.block_params(done);
        let (tag, bits) = (value[0], value[1]);
        self.set_any(dst.0, tag, bits);
    }

    /// Calls the handler of an instruction, which leaves its result in the frame.
    fn call_aside(&mut self, op: &Op) {
        for register in reads(op) {
            self.write_back(register);
        }
        let kept = self.need_behind();
        self.tell_gas(kept);
        let handler = self.load_state(offset_of!(NativeState<'_>, aside));
        let place = self.place(self.pc);
        let frame = self.in_frame(0);
        let arguments = [self.state, frame, place];
        let (done, _) = self.call_engine(handler, &arguments);
        self.go_on_only_if(done, ExitReason::Aside);
        self.gas_is_given_back(kept);
    }

    /// Lets a routine do the current instruction: tag and bits of its value.
    fn call_routine(&mut self, op: &Op, routine: Routine) -> (ir::Value, ir::Value) {
        let mut arguments = vec![self.state];
        if let Op::Data(Data::Vector { values, .. }) = op {
            let registers = values.first..values.first + values.count;
            registers.for_each(|register| self.write_back(register));
            let first = i64::from(values.first) * i64::from(SLOT);
            arguments.push(self.b.ins().iconst(I64, i64::from(values.count)));
            arguments.push(self.in_frame(first));
        } else {
            let number = match op {
                Op::Float(op) => library_place(*op),
                // The program's value that a key probably is.
                _ => self.scope.evidence.key(self.pc),
            };
            arguments.push(self.b.ins().iconst(I64, i64::from(number.unwrap_or(0))));
            for register in reads(op) {
                let (tag, bits) = self.value(register);
                arguments.extend([tag, bits]);
            }
        }
        // What is to run behind it stays paid for: it does nothing if its work takes more than the rest.
        let kept = self.need_behind();
        self.tell_gas(kept);
        let (tag, bits) = self.call_of_routine(routine, &arguments);
        let nothing = NOTHING.tag as i64;
        let done = self.b.ins().icmp_imm_s(IntCC::NotEqual, tag, nothing);
        self.go_on_only_if(done, ExitReason::Aside);
        if op.info().work != Work::None {
            self.gas_is_given_back(kept);
        }
        (tag, bits)
    }

    /// Calls a routine: tag and bits of what it gives.
    pub(super) fn call_of_routine(
        &mut self,
        routine: Routine,
        arguments: &[ir::Value],
    ) -> (ir::Value, ir::Value) {
        let routines = self.load_state(offset_of!(NativeState<'_>, routines));
        let place = routine.place as i32;
        let routine = self.b.ins().load(I64, MEMORY, routines, place);
        self.call_engine(routine, arguments)
    }

    /// Calls something in the engine: the two words that it gives. On a path that is seldom taken the call leaves all
    /// machine registers as they are, so that values keep theirs on all others.
    fn call_engine(
        &mut self,
        called: ir::Value,
        arguments: &[ir::Value],
    ) -> (ir::Value, ir::Value) {
        let block = self.b.current_block();
        let is_seldom = block.is_some_and(|block| self.b.func.layout.is_cold(block));
        if !is_seldom {
            let signature = self.b.import_signature(routine_signature(arguments.len()));
            let call = self.b.ins().call_indirect(signature, called, arguments);
            return (self.b.inst_results(call)[0], self.b.inst_results(call)[1]);
        }
        self.store_state(offset_of!(NativeState<'_>, called), called);
        // Words in machine registers need not all be given; those in memory must.
        let many = usize::from(arguments.len() > SPARING[0]);
        let mut arguments = arguments.to_vec();
        if many == 1 {
            arguments.resize(SPARING[1], self.state);
        }
        let signature = self.b.import_signature(sparing_signature(arguments.len()));
        let way = self.load_state(offset_of!(NativeState<'_>, sparing) + 8 * many);
        self.b.ins().call_indirect(signature, way, &arguments);
        (
            self.load_state(offset_of!(NativeState<'_>, result_tag)),
            self.load_state(offset_of!(NativeState<'_>, result_bits)),
        )
    }
}
