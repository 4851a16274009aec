//! The shortest way through: build, verify, load, run, save, restore.

use pw_isa::builder::{FunctionBuilder, ProgramBuilder};
use pw_isa::op::{Arith, Compare, Control, Data, Function};
use pw_isa::operand::{Def, Frame, Imm, Use};
use pw_isa::verify::verify;
use pw_jit::host::{Answer, Effect, Host, Kept};
use pw_jit::reference::{Outcome, run};
use pw_jit::{CodeSpace, Fiber, Limits, Value};

struct NoHost;

impl Host for NoHost {
    fn effect(&mut self, _: &CodeSpace, _: Option<&Kept>, _: Effect) -> Answer {
        Answer::error("there is no host")
    }
}

fn fib() -> pw_isa::Program {
    let mut program = ProgramBuilder::new();
    let number = program.declare();
    let mut fib = FunctionBuilder::new("fib", 1);
    fib.need_registers(6);
    let recurse = fib.label();
    fib.emit(Data::Int {
        dst: Def(1),
        value: Imm(2),
    });
    fib.emit(Compare::Lt {
        dst: Def(2),
        a: Use(0),
        b: Use(1),
    });
    fib.emit(Control::BranchUnless {
        test: Use(2),
        to: recurse,
    });
    fib.emit(Control::Return { value: Use(0) });
    fib.bind(recurse);
    let link = fib.link_function(number);
    fib.emit(Data::Int {
        dst: Def(1),
        value: Imm(1),
    });
    fib.emit(Arith::Sub {
        dst: Def(2),
        a: Use(0),
        b: Use(1),
    });
    fib.emit(Function::Call {
        window: Frame { base: 1, args: 1 },
        function: link,
    });
    fib.emit(Data::Int {
        dst: Def(2),
        value: Imm(2),
    });
    fib.emit(Arith::Sub {
        dst: Def(3),
        a: Use(0),
        b: Use(2),
    });
    fib.emit(Function::Call {
        window: Frame { base: 2, args: 1 },
        function: link,
    });
    fib.emit(Arith::Add {
        dst: Def(0),
        a: Use(1),
        b: Use(2),
    });
    fib.emit(Control::Return { value: Use(0) });
    program.define(number, fib);
    program.finish("fib", number)
}

#[test]
fn fib_runs_and_survives_an_image_at_every_slice() {
    let mut code = CodeSpace::default();
    let program = code.load(verify(fib()).unwrap());
    let mut whole = Fiber::new(&code, program, Limits::default());
    assert!(whole.set_arguments(&code, &[Value::int(15)]));
    assert_eq!(
        run(&mut whole, &code, &mut NoHost, u64::MAX),
        Outcome::Done(Value::int(610))
    );

    let mut sliced = Fiber::new(&code, program, Limits::default());
    assert!(sliced.set_arguments(&code, &[Value::int(15)]));
    while run(&mut sliced, &code, &mut NoHost, 7) == Outcome::Preempted {
        let hash = sliced.state_hash(&code);
        let restored = Fiber::from_image(&code, &sliced.to_image(&code), 1 << 20).unwrap();
        assert_eq!(restored.state_hash(&code), hash);
        sliced = restored;
    }
    assert_eq!(sliced.state_hash(&code), whole.state_hash(&code));
    assert_eq!(sliced.gas_used(), whole.gas_used());
}
