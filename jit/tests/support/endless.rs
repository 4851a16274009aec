//! A program that never ends, for tests within the crate and outside.

use pw_isa::Program;
use pw_isa::builder::{FunctionBuilder, ProgramBuilder};
use pw_isa::op::{Arith, Control, Data};
use pw_isa::operand::{Def, Imm, Use};

/// A loop with this many sums in each round.
pub(crate) fn endless(sums: usize) -> Program {
    let mut program = ProgramBuilder::new();
    let mut main = FunctionBuilder::new("main", 0);
    main.need_registers(1);
    main.emit(Data::Int {
        dst: Def(0),
        value: Imm(0),
    });
    let head = main.label();
    main.bind(head);
    main.emit(Control::Loop {});
    for _ in 0..sums {
        main.emit(Arith::Add {
            dst: Def(0),
            a: Use(0),
            b: Use(0),
        });
    }
    main.emit(Control::Jump { to: head });
    program.add(main);
    program.finish("", 0)
}
