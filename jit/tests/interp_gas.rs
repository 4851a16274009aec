//! The fast interpreter charges what the reference interpreter charges.

use pw_isa::builder::{FunctionBuilder, ProgramBuilder};
use pw_isa::op::{Control, Data};
use pw_isa::operand::{Def, Flag, Imm, Use};
use pw_isa::verify::verify;
use pw_jit::host::{Answer, Effect, Host, Kept};
use pw_jit::interp::profile::Profile;
use pw_jit::{CodeSpace, Fiber, Limits, interp, reference};

struct NoHost;

impl Host for NoHost {
    fn effect(&mut self, _: &CodeSpace, _: Option<&Kept>, _: Effect) -> Answer {
        Answer::error("there is no host")
    }
}

#[test]
fn a_block_that_is_fallen_into_is_charged() {
    let mut program = ProgramBuilder::new();
    let mut main = FunctionBuilder::new("main", 0);
    main.need_registers(2);
    let end = main.label();
    let other = main.label();
    main.emit(Data::Bool {
        dst: Def(0),
        value: Flag(false),
    });
    main.emit(Control::BranchUnless {
        test: Use(0),
        to: other,
    });
    main.emit(Data::Int {
        dst: Def(1),
        value: Imm(1),
    });
    main.emit(Control::Jump { to: end });
    main.bind(other);
    main.emit(Data::Int {
        dst: Def(1),
        value: Imm(2),
    });
    main.bind(end);
    main.emit(Data::Move {
        dst: Def(0),
        src: Use(1),
    });
    main.emit(Control::Return { value: Use(0) });
    program.add(main);
    let mut code = CodeSpace::default();
    let number = code.load(verify(program.finish("", 0)).unwrap());
    for gas in 0..7 {
        let limits = Limits {
            gas,
            ..Limits::default()
        };
        let mut slow = Fiber::new(&code, number, limits);
        let mut fast = Fiber::new(&code, number, limits);
        let expected = reference::run(&mut slow, &code, &mut NoHost, u64::MAX);
        let actual = interp::run(
            &mut fast,
            &code,
            &mut NoHost,
            &mut Profile::default(),
            u64::MAX,
        );
        assert_eq!(actual, expected, "gas {gas}");
        assert_eq!(fast.gas_used(), slow.gas_used());
    }
}
