//! The fast interpreter charges what the reference interpreter charges.

use pw_isa::builder::{FunctionBuilder, ProgramBuilder};
use pw_isa::op::{Control, Data};
use pw_isa::operand::{Def, Flag, Imm, Use};
use pw_isa::verify::verify;
use pw_jit::host::{Answer, Effect, Host, Kept};
use pw_jit::interp::profile::Profile;
use pw_jit::reference::{self, Outcome};
use pw_jit::{CodeSpace, Fiber, Limits, interp};

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

/// A vector whose price goes beyond most slices, and what costs nothing behind it.
const FREE: &str = ".entry @main
func main()
    int r0 300
    nil r1
    make-vector r2 r0 r1
    int r3 1 gas=0
    int r4 2 gas=0
    vector-length r3 r2
    return r3
";

#[test]
fn what_costs_nothing_is_not_done_beyond_a_slice() {
    let program = pw_isa::text::parse(FREE).expect("assembly text");
    let mut code = CodeSpace::default();
    let number = code.load(verify(program).unwrap());
    for slice in 1..20 {
        let mut slow = Fiber::new(&code, number, Limits::default());
        let mut fast = slow.clone();
        let mut profile = Profile::default();
        loop {
            let expected = reference::run(&mut slow, &code, &mut NoHost, slice);
            let actual = interp::run(&mut fast, &code, &mut NoHost, &mut profile, slice);
            assert_eq!(actual, expected, "slices of {slice}");
            assert_eq!(fast.position(), slow.position(), "slices of {slice}");
            assert_eq!(fast.gas_used(), slow.gas_used(), "slices of {slice}");
            if expected != Outcome::Preempted {
                break;
            }
        }
    }
}

/// Instructions of which one is a loop where a block is cut, behind another loop.
const CUT: usize = 1023;

#[test]
fn a_loop_where_a_block_is_cut_is_not_counted_as_another() {
    let between = "    int r0 1\n".repeat(CUT - 1);
    let text = format!(".entry @main\nfunc main()\n    loop\n{between}    loop\n    return r0\n");
    let mut code = CodeSpace::default();
    let number = code.load(verify(pw_isa::text::parse(&text).expect("assembly text")).unwrap());
    let mut fiber = Fiber::new(&code, number, Limits::default());
    let mut profile = Profile::default();
    while interp::run(&mut fiber, &code, &mut NoHost, &mut profile, 1) == Outcome::Preempted {}
    let counts = profile.counts(&code, number);
    let rounds = |pc: usize| {
        counts
            .iter()
            .find(|(_, at, _)| *at as usize == pc)
            .unwrap()
            .2
    };
    assert_eq!(rounds(0), 1, "{counts:?}");
    assert!(rounds(CUT) <= 1, "{counts:?}");
}
