//! The step of a counting loop: a number is added to an Int, and the loop goes on while that compares with a
//! register, a number or the length of a vector. All is one instruction, up to where the body begins anew; whatever
//! else happens, the end of the loop included, is left to the instruction at the loop's head.
//!
//! A step has the number in `c`, the gas of head and body in `b`, and in `imm` how many bytes away the head (lower
//! half) and the body (upper half) are. The register is the one that the test behind the head names first.

use pw_isa::op::{Data, Op};

use super::compare::Order;
use super::form::{Code, Instruction, SLOT_SHIFT, halves};
use super::fuse::Fuser;
use super::hot::Hot;
use super::rewrite::slot;

impl Fuser<'_> {
    /// The steps of all loops, where everything else is fused.
    pub(super) fn fuse_steps(&self, code: &mut [Instruction]) {
        for pc in 0..code.len() {
            let sum = code[pc];
            if sum.code == Code::AddImmAddElement {
                code[pc] = self.element_and_step(pc, code).unwrap_or(sum);
            } else if is_sum_here(sum) && self.part(pc, 3).is_some() {
                code[pc] = self.step(pc, sum, pc + 2, code).unwrap_or(sum);
            }
        }
    }

    /// What stands at `pc` when it adds the number of `sum` to its register and does the jump at `jump`.
    fn step(
        &self,
        pc: usize,
        sum: Instruction,
        jump: usize,
        code: &[Instruction],
    ) -> Option<Instruction> {
        if !code[jump].code.is_again() {
            return None;
        }
        let head = code[jump].imm as usize;
        let test = code[head + 1];
        // Behind the test is what the jump comes from; or that is not, and where the test goes is.
        let goes = test.imm as usize;
        let is_behind = !(head..=pc).contains(&goes);
        let branch = (head..).find(|pc| self.source.code[*pc].label().is_some())?;
        let body = if is_behind { branch + 1 } else { goes };
        let distance = |to: usize| i16::try_from((to as i64 - pc as i64) << SLOT_SHIFT).ok();
        let gas = u16::try_from(code[head].rest + code[body].rest).ok()?;
        let step = Instruction {
            code: code[head].code.step(is_behind)?,
            b: gas,
            c: i16::try_from(sum.imm).ok()? as u16,
            imm: halves(distance(head)? as u16, distance(body)? as u16),
            ..code[pc]
        };
        (test.a == sum.b).then_some(step)
    }

    /// `int t' n`, `add t i t'`, a sum with the element `i` of a vector, `move i t`, and the jump back to a loop where
    /// `t` is dead: nothing is put into `t`, since `n` can be added to `i` itself. That `i` is an Int, and not near
    /// overflow, shows since it is an index. `a` is the code of the step.
    fn element_and_step(&self, pc: usize, code: &[Instruction]) -> Option<Instruction> {
        let Some(Op::Data(Data::Move { dst, src })) = self.part(pc, 5) else {
            return None;
        };
        self.part(pc, 6)?;
        let (sum, element, jump) = (code[pc], code[pc + 2], code[pc + 5]);
        let (i, t) = (slot(dst.0), slot(src.0));
        let is_step = (sum.a, sum.b) == (t, i)
            && element.c == i
            && ![element.b, element.low()].contains(&t)
            && ![i, t].contains(&element.a)
            && self.is_dead(src.0, &[jump.imm as usize]);
        let step = self.step(pc, sum, pc + 5, code).filter(|_| is_step)?;
        Some(Instruction {
            code: Code::AddElementStep,
            a: step.code as u16,
            ..step
        })
    }
}

/// Whether an instruction adds a number to a register.
fn is_sum_here(sum: Instruction) -> bool {
    sum.code == Code::AddImm && sum.a == sum.b
}

impl Code {
    /// Whether this is a jump to a `loop` and its test.
    fn is_again(self) -> bool {
        (Code::AgainLt as u16..=Code::AgainIs as u16).contains(&(self as u16))
    }

    /// The step of the loop that begins with this, and goes on when its test holds or when it does not.
    fn step(self, if_it_holds: bool) -> Option<Code> {
        let (holds, fails) = match self {
            Code::LoopLt => (Code::StepLt, Code::StepGe),
            Code::LoopLe => (Code::StepLe, Code::StepGt),
            Code::LoopGt => (Code::StepGt, Code::StepLe),
            Code::LoopGe => (Code::StepGe, Code::StepLt),
            Code::LoopNumEq => (Code::StepNumEq, Code::StepNumNe),
            Code::LoopNumNe => (Code::StepNumNe, Code::StepNumEq),
            Code::LoopLtImm => (Code::StepLtImm, Code::StepGeImm),
            Code::LoopLeImm => (Code::StepLeImm, Code::StepGtImm),
            Code::LoopGtImm => (Code::StepGtImm, Code::StepLeImm),
            Code::LoopGeImm => (Code::StepGeImm, Code::StepLtImm),
            Code::LoopNumEqImm => (Code::StepNumEqImm, Code::StepNumNeImm),
            Code::LoopNumNeImm => (Code::StepNumNeImm, Code::StepNumEqImm),
            Code::LoopLtLength => (Code::StepLtLength, Code::StepGeLength),
            Code::LoopGeLength => (Code::StepGeLength, Code::StepLtLength),
            Code::LoopNumEqLength => (Code::StepNumEqLength, Code::StepNumNeLength),
            _ => return None,
        };
        Some(if if_it_holds { holds } else { fails })
    }
}

impl Hot<'_> {
    #[inline(always)]
    pub(super) fn step<O: Order>(&mut self, i: &Instruction) -> bool {
        self.step_if(i, |hot, sum, test| {
            hot.int(test.c).is_some_and(|b| O::holds(sum, b))
        })
    }

    #[inline(always)]
    pub(super) fn step_imm<O: Order>(&mut self, i: &Instruction) -> bool {
        self.step_if(i, |_, sum, test| O::holds(sum, i64::from(test.number())))
    }

    #[inline(always)]
    pub(super) fn step_length<O: Order>(&mut self, i: &Instruction) -> bool {
        self.step_if(i, |hot, sum, test| {
            let length = hot.length_of(test.c);
            length.is_some_and(|length| O::holds(sum, i64::from(length)))
        })
    }

    /// A step of a loop that goes on if its test is decided that way for the sum.
    #[inline(always)]
    fn step_if(
        &mut self,
        i: &Instruction,
        goes_on: impl FnOnce(&mut Self, i64, &Instruction) -> bool,
    ) -> bool {
        let head = self.position((i.low() as i16).into());
        let number = i.c as i16;
        // SAFETY: 3 of the head of `hot`: a `loop` is there, and its test behind it.
        let count = unsafe { &*head };
        // SAFETY: the same.
        let test = unsafe { &*head.wrapping_add(1) };
        let Some(a) = self.int(test.a) else {
            return self.add_to_float(test.a, number) && self.enter_block(head);
        };
        let Some(sum) = a.checked_add(number.into()) else {
            return false;
        };
        self.set_bits(test.a, sum as u64);
        if goes_on(self, sum, test) {
            let gas = self.gas - i64::from(i.b);
            if gas >= 0 && self.count_loop(count) {
                self.pc = self.position((i.high() as i16).into());
                self.gas = gas;
                return true;
            }
        }
        self.enter_block(head)
    }
}

#[cfg(test)]
mod tests {
    use pw_isa::builder::{FunctionBuilder, ProgramBuilder};
    use pw_isa::op::{Arith, Compare, Control};
    use pw_isa::operand::{Def, Imm, Use};
    use pw_isa::verify::verify;

    use super::*;
    use crate::code_space::CodeSpace;

    /// What the loop compares its counter with.
    #[derive(Clone, Copy)]
    enum With {
        Register,
        Number,
        Length,
    }

    /// The code of the sum in `for (i = start; test(i, …); i += 1) {}`, or with the test the other way round.
    fn code_of_sum(test: fn(Def, Use, Use) -> Compare, with: With, body_if_it_holds: bool) -> Code {
        let (i, other, holds, one) = (0, 1, 2, 3);
        let mut main = FunctionBuilder::new("main", 2);
        main.need_registers(4);
        let (head, body, end) = (main.label(), main.label(), main.label());
        main.bind(head);
        main.emit(Control::Loop {});
        let compared = match with {
            With::Register => other,
            With::Number => {
                let (dst, value) = (Def(holds), Imm(7));
                main.emit(Data::Int { dst, value });
                holds
            }
            With::Length => {
                let (dst, vector) = (Def(holds), Use(other));
                main.emit(Data::VectorLength { dst, vector });
                holds
            }
        };
        main.emit(test(Def(holds), Use(i), Use(compared)));
        let test = Use(holds);
        if body_if_it_holds {
            main.emit(Control::BranchUnless { test, to: end });
        } else {
            main.emit(Control::BranchUnless { test, to: body });
            main.emit(Control::Return { value: Use(i) });
            main.bind(body);
        }
        let sum = main.pc();
        main.emit(Data::Int {
            dst: Def(one),
            value: Imm(1),
        });
        main.emit(Arith::Add {
            dst: Def(i),
            a: Use(i),
            b: Use(one),
        });
        main.emit(Control::Jump { to: head });
        main.bind(end);
        main.emit(Control::Return { value: Use(i) });
        let mut program = ProgramBuilder::new();
        program.add(main);
        let mut code = CodeSpace::default();
        let number = code.load(verify(program.finish("", 0)).unwrap());
        code.program(number).internal().functions[0].code[sum as usize].code
    }

    #[test]
    fn every_loop_that_compares_what_it_counts_has_a_step() {
        type Made = fn(Def, Use, Use) -> Compare;
        let tests: [(Made, [Code; 3], [Code; 3]); 6] = [
            (
                |dst, a, b| Compare::Lt { dst, a, b },
                [Code::StepLt, Code::StepLtImm, Code::StepLtLength],
                [Code::StepGe, Code::StepGeImm, Code::StepGeLength],
            ),
            (
                |dst, a, b| Compare::Ge { dst, a, b },
                [Code::StepGe, Code::StepGeImm, Code::StepGeLength],
                [Code::StepLt, Code::StepLtImm, Code::StepLtLength],
            ),
            (
                |dst, a, b| Compare::NumEq { dst, a, b },
                [Code::StepNumEq, Code::StepNumEqImm, Code::StepNumEqLength],
                [Code::StepNumNe, Code::StepNumNeImm, Code::StepNumNeLength],
            ),
            (
                |dst, a, b| Compare::Le { dst, a, b },
                [Code::StepLe, Code::StepLeImm, Code::AddJumpLoop],
                [Code::StepGt, Code::StepGtImm, Code::AddJumpLoop],
            ),
            (
                |dst, a, b| Compare::Gt { dst, a, b },
                [Code::StepGt, Code::StepGtImm, Code::AddJumpLoop],
                [Code::StepLe, Code::StepLeImm, Code::AddJumpLoop],
            ),
            (
                |dst, a, b| Compare::NumNe { dst, a, b },
                [Code::StepNumNe, Code::StepNumNeImm, Code::AddJumpLoop],
                [Code::StepNumEq, Code::StepNumEqImm, Code::AddJumpLoop],
            ),
        ];
        for (test, holds, fails) in tests {
            let found = |body_if_it_holds| {
                [With::Register, With::Number, With::Length]
                    .map(|with| code_of_sum(test, with, body_if_it_holds))
            };
            assert_eq!(found(true), holds);
            assert_eq!(found(false), fails);
        }
    }
}
