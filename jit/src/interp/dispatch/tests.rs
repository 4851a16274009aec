//! How long handlers follow each other before they return.

#[path = "../../../tests/support/endless.rs"]
mod endless;

use endless::endless;
use pw_isa::op::{Op, Text};
use pw_isa::verify::verify;

use super::*;
use crate::code_space::CodeSpace;
use crate::fiber::{Fiber, Limits};
use crate::interp::profile::Profile;
use crate::reference::Nobody;

/// A fiber, taken over with all the gas that it may want.
fn taken_over<'a>(
    fiber: &'a mut Fiber,
    code: &'a CodeSpace,
    host: &'a mut Nobody,
    profile: &'a mut Profile,
) -> Stay<'a> {
    Stay::enter(fiber, code, host, profile, 1 << 40, usize::MAX)
}

/// The gas of one turn after another of an endless loop with this many sums in it.
fn turns(sums: usize) -> Vec<u64> {
    let mut code = CodeSpace::default();
    let number = code.load(verify(endless(sums)).unwrap());
    let mut fiber = Fiber::new(&code, number, Limits::default());
    let mut profile = Profile::default();
    let mut host = Nobody;
    let mut stay = taken_over(&mut fiber, &code, &mut host, &mut profile);
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

/// The last instruction has no handler.
const MAKING: &str = "
.entry @main
func main()
    int r0 2
    const r1 \"text\"
    vector r2 r0 count=2
    vector-push r2 r0
    vector-push r2 r1
    make-vector r3 r0 r1
    vector-fill r3 r0
    make-bytes r3 r0 r0
    bytes-length r4 r3
    make-map r5
    map-set r5 r1 r4
    map-keys r6 r5
    make-error r7 r1 r6
    error-kind r8 r7
    error-message r8 r7
    error-values r8 r7
    const r9 @first
    move r10 r6
    apply r9 args=1
    const r11 @many
    move r12 r6
    call-closure r11 args=1
    bytes-to-string r3 r3
    return r9

func first(text)
    const r1 @same
    nil r2
    cons r2 text r2
    tail-apply r1 args=1

func same(text)
    return text

func many(rest...)
    return rest
";

#[test]
fn instructions_that_make_objects_or_apply_functions_do_not_stop_the_loop() {
    let program = pw_isa::text::parse(MAKING).expect("assembly text");
    let mut code = CodeSpace::default();
    let number = code.load(verify(program).unwrap());
    let mut fiber = Fiber::new(&code, number, Limits::default());
    fiber.make_room(64);
    let (mut profile, mut host) = (Profile::default(), Nobody);
    let mut stay = taken_over(&mut fiber, &code, &mut host, &mut profile);
    execute(&mut stay);
    stay.leave();
    let (_, function, pc) = fiber.position();
    let stopped_at = &code.program(number).function(function).code[pc as usize];
    assert!(
        matches!(stopped_at, Op::Text(Text::BytesToString { .. })),
        "{stopped_at:?}"
    );
}
