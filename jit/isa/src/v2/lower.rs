//! Lowering of a V2 program: one function for the code, one for each function body that the code can
//! make closures of.
//!
//! The names of functions are `main` and `constant N`; the line of an instruction is its V2 ip. Gas
//! is V2's steps: the first instruction made for a V2 instruction carries its weight, the others
//! cost nothing.

use std::collections::{BTreeMap, VecDeque};

use super::heights::heights;
use super::resolve::Source;
use super::{Constant, OpCode, emit};
use crate::builder::ProgramBuilder;
use crate::program::Program;

/// Where the operand stack of a function is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StackPlace {
    /// In registers: how many hold values before each V2 instruction, where control comes there.
    Registers {
        /// The register of the lowest value.
        first: u16,
        /// Heights by V2 ip.
        heights: Vec<Option<u16>>,
    },
    /// In the Vector in this register.
    Vector {
        /// The register.
        register: u16,
    },
}

/// How a function keeps V2's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionLayout {
    /// The constant that holds the body; absent for the code itself.
    pub constant: Option<usize>,
    /// Whether the local variables are a Vector in register 0; else there are none.
    pub has_locals: bool,
    /// Where the operand stack is.
    pub stack: StackPlace,
}

/// A lowered program.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The program; its lines are V2 ips.
    pub program: Program,
    /// The layout of each function.
    pub functions: Vec<FunctionLayout>,
}

/// A function body to be lowered: the constant, and whether its closures capture values.
type Body = (usize, bool);

/// The functions that were asked for so far, and those that still have no body.
#[derive(Default)]
pub(super) struct Bodies {
    numbers: BTreeMap<Body, u32>,
    waiting: VecDeque<Body>,
}

impl Bodies {
    /// The number of the function for closures of this body.
    pub(super) fn number(&mut self, body: Body) -> u32 {
        // Number 0 is the code itself; the others get theirs in the order in which they wait.
        let next = self.numbers.len() as u32 + 1;
        let waiting = &mut self.waiting;
        *self.numbers.entry(body).or_insert_with(|| {
            waiting.push_back(body);
            next
        })
    }
}

/// Lowers a program. `delivers_first` tells that messages are pushed before the first instruction.
///
/// The program still has to be verified, which refuses what is too large; time and memory are
/// proportional to the size of the V2 program.
pub fn lower(code: &[OpCode], constants: &[Constant], delivers_first: bool) -> Lowered {
    let parsed: Vec<Option<Vec<OpCode>>> = constants.iter().map(Constant::body).collect();
    let is_body: Vec<bool> = parsed.iter().map(Option::is_some).collect();
    let mut bodies = Bodies::default();
    let mut program = ProgramBuilder::new();
    let mut functions = Vec::new();
    let mut lower_function = |code: &[OpCode], body: Option<Body>, bodies: &mut Bodies| {
        let source = Source {
            code,
            constants,
            is_body: &is_body,
            is_entry: body.is_none(),
        };
        let delivers = delivers_first && source.is_entry;
        let captures = body.is_some_and(|(_, captures)| captures);
        let first = 1 + u16::from(captures);
        let heights = if delivers { None } else { heights(&source) };
        let stack = match heights {
            Some(heights) => StackPlace::Registers { first, heights },
            None => StackPlace::Vector { register: first },
        };
        let name = body.map_or("main".to_owned(), |(index, _)| format!("constant {index}"));
        let number = program.declare();
        program.define(
            number,
            emit::function(&name, source, &stack, delivers, bodies),
        );
        functions.push(FunctionLayout {
            constant: body.map(|(index, _)| index),
            has_locals: body.is_some() || source.uses_locals(),
            stack,
        });
    };
    lower_function(code, None, &mut bodies);
    while let Some(body) = bodies.waiting.pop_front() {
        let code = parsed[body.0].as_deref().unwrap_or_default();
        lower_function(code, Some(body), &mut bodies);
    }
    Lowered {
        program: program.finish("", 0),
        functions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{Actor, Control, Data, Function, Op, V2};
    use crate::operand::{ClosureFrame, Def, Flag, Imm, Index, Label, Span, Use};
    use crate::verify::verify;

    fn lowered(code: &[OpCode], constants: &[Constant]) -> Lowered {
        let lowered = lower(code, constants, false);
        if let Err(error) = verify(lowered.program.clone()) {
            panic!("{error}");
        }
        lowered
    }

    fn ops(lowered: &Lowered, function: usize) -> (Vec<Op>, Vec<u16>) {
        let function = &lowered.program.functions[function];
        (function.code.clone(), function.gas.clone())
    }

    #[test]
    fn a_v2_instruction_is_one_instruction_of_gas_1() {
        let lowered = lowered(
            &[OpCode::Int(1), OpCode::Dup, OpCode::Add, OpCode::Ret],
            &[],
        );
        let int = |register, value| {
            Op::from(Data::Int {
                dst: Def(register),
                value: Imm(value),
            })
        };
        assert_eq!(
            ops(&lowered, 0),
            (
                vec![
                    int(1, 1),
                    Data::Move {
                        dst: Def(2),
                        src: Use(1)
                    }
                    .into(),
                    V2::Add {
                        dst: Def(1),
                        a: Use(1),
                        b: Use(2)
                    }
                    .into(),
                    Control::Return { value: Use(1) }.into(),
                ],
                vec![1, 1, 1, 1]
            )
        );
        let lines = (0..4).map(|pc| lowered.program.line_at(0, pc));
        assert!(lines.eq([Some(0), Some(1), Some(2), Some(3)]));
        assert_eq!(
            lowered.functions[0].stack,
            StackPlace::Registers {
                first: 1,
                heights: vec![Some(0), Some(1), Some(2), Some(1), None]
            }
        );
    }

    #[test]
    fn underflow_that_is_certain_is_a_failing_instruction() {
        let lowered = lowered(&[OpCode::Int(1), OpCode::Add, OpCode::Ret], &[]);
        let (code, gas) = ops(&lowered, 0);
        let fail = V2::Fail { kind: Index(15) };
        assert_eq!(code[1..], [fail.into()]);
        assert_eq!(gas, [1, 1]);
    }

    #[test]
    fn a_loop_takes_a_step_of_the_instruction_that_it_heads() {
        let lowered = lowered(&[OpCode::Jmp(-1)], &[]);
        let (code, gas) = ops(&lowered, 0);
        let back = Control::Jump { to: Label(0) };
        assert_eq!(code, [Control::Loop {}.into(), back.into()]);
        assert_eq!(gas, [1, 0]);
    }

    #[test]
    fn calls_that_head_a_loop_are_paid_for_by_it() {
        let body = Constant::Code(vec![OpCode::MakeClosure(0, 0), OpCode::TailCall(0)]);
        let code = [
            OpCode::MakeClosure(0, 0),
            OpCode::Call(0),
            OpCode::MakeClosure(0, 0),
            OpCode::Jmp(-3),
        ];
        // The heights differ at the call: the stack is a Vector.
        let unequal = lowered(&code, std::slice::from_ref(&body));
        let code = [
            OpCode::MakeClosure(0, 0),
            OpCode::Call(0),
            OpCode::Pop,
            OpCode::MakeClosure(0, 0),
            OpCode::Jmp(-4),
        ];
        let equal = lowered(&code, std::slice::from_ref(&body));
        assert!(matches!(
            unequal.functions[0].stack,
            StackPlace::Vector { .. }
        ));
        assert!(matches!(
            equal.functions[0].stack,
            StackPlace::Registers { .. }
        ));
        for lowered in [unequal, equal] {
            let (code, gas) = ops(&lowered, 0);
            let call = code
                .iter()
                .position(|op| matches!(op, Op::V2(V2::Call { .. } | V2::StackCall { .. })))
                .unwrap();
            assert_eq!(gas[call - 1..=call], [1, 0]);
            let (_, gas) = ops(&lowered, 1);
            assert_eq!(gas, [1, 2]);
        }
    }

    #[test]
    fn captured_values_are_packed_and_the_closure_stands_behind_the_locals() {
        let body = Constant::String("closure_body:[Int(7), Ret]".to_owned());
        let code = [
            OpCode::Nil,
            OpCode::Nil,
            OpCode::MakeClosure(0, 2),
            OpCode::Call(0),
        ];
        let lowered = lowered(&code, &[body]);
        let (code, gas) = ops(&lowered, 0);
        let window = ClosureFrame { base: 1, args: 0 };
        assert_eq!(
            code[2],
            V2::Pack {
                dst: Def(1),
                values: Span { first: 1, count: 2 }
            }
            .into()
        );
        assert!(matches!(code[3], Op::Function(Function::Closure { .. })));
        assert_eq!(code[4], V2::Call { window }.into());
        assert_eq!(gas, [1, 1, 1, 0, 1, 1]);
        let (code, _) = ops(&lowered, 1);
        assert_eq!(
            code[0],
            Data::Int {
                dst: Def(2),
                value: Imm(7)
            }
            .into()
        );
        assert_eq!(lowered.functions[1].constant, Some(0));
    }

    #[test]
    fn functions_that_yield_keep_their_stack_in_a_vector() {
        let lowered = lowered(&[OpCode::Int(1), OpCode::Yield, OpCode::Pop], &[]);
        let (code, gas) = ops(&lowered, 0);
        assert_eq!(
            code[..6],
            [
                V2::Stack { dst: Def(1) }.into(),
                Data::Int {
                    dst: Def(2),
                    value: Imm(1)
                }
                .into(),
                V2::Push {
                    stack: Use(1),
                    value: Use(2)
                }
                .into(),
                Actor::Yield {}.into(),
                V2::Deliver { stack: Use(1) }.into(),
                V2::Pop {
                    dst: Def(2),
                    stack: Use(1)
                }
                .into(),
            ]
        );
        assert_eq!(gas[..6], [0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn too_few_arguments_are_noticed_after_the_callee_was_checked() {
        let body = Constant::Code(vec![OpCode::Ret]);
        let lowered = lowered(&[OpCode::MakeClosure(0, 0), OpCode::Call(1)], &[body]);
        let (code, gas) = ops(&lowered, 0);
        let check = V2::CheckCallee {
            callee: Use(1),
            enters: Flag(true),
        };
        assert_eq!(
            code[1..],
            [check.into(), V2::Fail { kind: Index(15) }.into()]
        );
        assert_eq!(gas[1..], [1, 0]);
    }

    #[test]
    fn very_high_stacks_are_vectors() {
        let code = vec![OpCode::Nil; 1000];
        let lowered = lowered(&code, &[]);
        assert!(matches!(
            lowered.functions[0].stack,
            StackPlace::Vector { .. }
        ));
    }
}
