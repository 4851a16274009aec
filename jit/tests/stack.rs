//! The fast interpreter needs little of its thread's stack, however it is built: its handlers hand over to each
//! other by calls where the compiler makes no jumps of them.

#[path = "support/endless.rs"]
mod endless;

use endless::endless;
use pw_isa::verify::verify;
use pw_jit::host::{Answer, Effect, Host, Kept};
use pw_jit::interp::profile::Profile;
use pw_jit::reference::Outcome;
use pw_jit::{CodeSpace, Fiber, Limits, interp};

struct NoHost;

impl Host for NoHost {
    fn effect(&mut self, _: &CodeSpace, _: Option<&Kept>, _: Effect) -> Answer {
        Answer::error("there is no host")
    }
}

/// What a thread has at least, a fourth of what Rust gives it.
const STACK_BYTES: usize = 512 * 1024;

#[test]
fn neither_long_loops_nor_long_blocks_use_up_the_stack_of_a_thread() {
    for sums in [0, 3, 60_000] {
        let run = move || {
            let mut code = CodeSpace::default();
            code.load(verify(endless(sums)).unwrap());
            let limits = Limits {
                gas: 5_000_000,
                ..Limits::default()
            };
            let mut fiber = Fiber::new(&code, 0, limits);
            let outcome = interp::run(
                &mut fiber,
                &code,
                &mut NoHost,
                &mut Profile::default(),
                u64::MAX,
            );
            (outcome, fiber.gas_used())
        };
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        let (outcome, gas) = thread.spawn(run).unwrap().join().unwrap();
        assert!(matches!(outcome, Outcome::Failed(_)), "{sums}: {outcome:?}");
        assert_eq!(gas, 5_000_000, "{sums}");
    }
}
