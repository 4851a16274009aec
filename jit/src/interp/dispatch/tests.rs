//! How long handlers follow each other before they return.

#[path = "../../../tests/support/endless.rs"]
mod endless;

use endless::endless;
use pw_isa::verify::verify;

use super::*;
use crate::code_space::CodeSpace;
use crate::fiber::{Fiber, Limits};
use crate::interp::profile::Profile;
use crate::reference::Nobody;

/// The gas of one turn after another of an endless loop with this many sums in it.
fn turns(sums: usize) -> Vec<u64> {
    let mut code = CodeSpace::default();
    let number = code.load(verify(endless(sums)).unwrap());
    let mut fiber = Fiber::new(&code, number, Limits::default());
    let mut profile = Profile::default();
    let mut host = Nobody;
    let mut stay = Stay::enter(
        &mut fiber,
        &code,
        &mut host,
        &mut profile,
        1 << 40,
        usize::MAX,
    );
    // Nothing is to be looked at for a while.
    // SAFETY: there is a counter for the loop.
    unsafe { *stay.counters = 1 << 20 };
    let mut kept = 0;
    let turn = |_| {
        stay.begin_turn(&mut kept);
        let before = stay.gas + kept;
        let table = TABLE.as_ptr();
        while !stay.stopped {
            let (pc, regs, gas, stay) = stay.hot().parts();
            // SAFETY: as in `execute`.
            let handler = TABLE[unsafe { (*pc).code } as usize];
            // SAFETY: the same.
            unsafe { (handler.0)(pc, regs, gas, stay, table) };
        }
        (before - (stay.gas + kept)) as u64
    };
    (0..5).map(turn).collect()
}

#[test]
fn handlers_return_after_a_turn_however_long_the_loop_or_its_body_is() {
    for sums in [0, 10, 1000] {
        let most = TURN_GAS as u64 + sums as u64 + 3;
        let turns = turns(sums);
        assert!(
            turns.iter().all(|gas| (1000..=most).contains(gas)),
            "{turns:?}"
        );
    }
    // A body that is cut stops before it has done more than a piece of it.
    assert_eq!(
        turns(20_000)[1..],
        [0; 4],
        "left to the reference interpreter"
    );
}
