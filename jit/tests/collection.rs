//! A collection keeps what live registers and globals can reach, and nothing else.

use pw_isa::cost;
use pw_jit::fiber::arena::ArenaReport;
use pw_jit::interp::{self, profile::Profile};
use pw_jit::reference::{Outcome, run};
use pw_jit::tier::JitSettings;
use pw_jit::{CodeSpace, Fiber, Limits, Value};
use testkit::fibers::{self, Surroundings};

/// A fiber that has run this much of a program.
fn after(source: &str, gas: u64) -> (CodeSpace, Fiber) {
    let mut code = CodeSpace::default();
    let program = fibers::load(&mut code, source);
    let mut fiber = Fiber::new(&code, program, Limits::default());
    let outcome = run(&mut fiber, &code, &mut Surroundings, gas);
    assert_eq!(outcome, Outcome::Preempted);
    (code, fiber)
}

#[test]
fn a_dead_register_keeps_nothing_alive() {
    let source = "
func main()
    int r0 1
    cons r1 r0 r0
    cons r2 r0 r0
    cons r3 r1 r0
    nil r4
    return r3
";
    // r2 is never read again, and r1 only by way of r3.
    let (code, mut fiber) = after(source, 4);
    assert_eq!(fiber.arena().counters().allocated, 3 * cost::PAIR_BYTES);
    assert_eq!(fiber.collect(&code), 2 * cost::PAIR_BYTES);
    let (code, mut fiber) = after(source, 2);
    assert_eq!(fiber.collect(&code), cost::PAIR_BYTES);
}

#[test]
fn a_register_that_is_overwritten_before_it_is_read_is_dead() {
    let source = "
func main()
    int r0 1
    cons r1 r0 r0
head: loop
    cons r1 r0 r0
    branch-if r1 head
    return r1
";
    let (code, mut fiber) = after(source, 2);
    assert_eq!(fiber.collect(&code), 0);
    let (code, mut fiber) = after(source, 4);
    assert_eq!(fiber.collect(&code), cost::PAIR_BYTES);
}

#[test]
fn registers_above_a_call_belong_to_the_callee() {
    let source = "
func main()
    int r0 1
    cons r1 r0 r0
    cons r9 r0 r0
    cons r4 r0 r0
    move r3 r1
    call r2 args=2 @callee
    cons r1 r1 r2
    return r1
func callee(first, second)
    nil r2
    nil second
    loop
    return first
";
    // In the callee: r1 lives for the caller, r3 is its parameter, r9 is gone with the window.
    let (code, mut fiber) = after(source, 6);
    assert_eq!(fiber.depth(), 2);
    assert_eq!(fiber.collect(&code), cost::PAIR_BYTES);
}

#[test]
fn a_handler_keeps_what_it_reads_alive() {
    let source = "
func main()
    int r0 1
    cons r1 r0 r0
    cons r2 r0 r0
    .try -> caught r3
        nil r4
        car r4 r4
    .end
    return r2
caught:
    return r1
";
    let (code, mut fiber) = after(source, 4);
    assert_eq!(fiber.collect(&code), 2 * cost::PAIR_BYTES);
    let Outcome::Done(value) = fibers::run_to_end(&mut fiber, &code) else {
        panic!("the error is caught");
    };
    assert_eq!(
        fiber.heap(&code).pair(value),
        Some((Value::int(1), Value::int(1)))
    );
}

#[test]
fn identity_survives_every_move() {
    let source = "
.global vector
func main()
    .locals vector cell map bytes pair closure round same
    nil r20
    vector vector r20 count=1
    cell cell vector
    make-map map
    int r20 5
    make-bytes bytes r20 r20
    cons pair vector cell
    closure closure @captures pair count=1
    global-set $vector vector
    const r20 'bytes
    map-set map r20 bytes
    int round 0
    bool same true
head: loop
    cell-get r21 cell
    eq r22 r21 vector
    branch-unless r22 differs
    car r21 pair
    eq r22 r21 vector
    branch-unless r22 differs
    cdr r21 pair
    eq r22 r21 cell
    branch-unless r22 differs
    capture r21 closure 0
    eq r22 r21 pair
    branch-unless r22 differs
    map-get r21 map r20 r20
    eq r22 r21 bytes
    branch-unless r22 differs
    global-get r21 $vector
    eq r22 r21 vector
    branch-unless r22 differs
    vector r21 r22 count=1
    eq r22 r21 vector
    branch-if r22 differs
    int r21 1
    add round round r21
    int r21 40
    lt r21 round r21
    branch-if r21 head
    return round
differs:
    nil round
    return round
func captures() captures=1
    return r0
";
    let (code, mut fiber) = after(source, 0);
    let mut slices = 0;
    let outcome = fibers::run_in_slices(&mut fiber, &code, 7, |fiber| {
        slices += 1;
        match slices % 3 {
            0 => drop(fiber.collect(&code)),
            1 => fiber.compact(&code),
            _ => {}
        }
    });
    assert_eq!(outcome, Outcome::Done(Value::int(40)));
}

#[test]
fn cycles_of_every_kind_are_collected() {
    let code = fibers::code();
    let mut fiber = fibers::start(&code, "cycles");
    assert!(matches!(
        fibers::run_to_end(&mut fiber, &code),
        Outcome::Done(_)
    ));
    let kept = fiber.collect(&code);
    assert!(kept > 300, "the globals keep the cycles: {kept}");
    assert_eq!(fiber.collect(&code), kept);
    let source = "
func main()
    nil r0
    vector r1 r0 count=1
    cell r2 r1
    closure r3 @captures r2 count=1
    make-map r4
    map-set r4 r0 r3
    vector-push r1 r1
    vector-push r1 r4
    vector-push r1 r3
    nil r5
    loop
    return r5
func captures() captures=1
    return r0
";
    let (code, mut fiber) = after(source, 11);
    assert!(fiber.arena().counters().allocated > 200);
    assert_eq!(fiber.collect(&code), 0);
}

#[test]
fn reports_tell_what_is_there() {
    let code = fibers::code();
    let mut fiber = fibers::start(&code, "long");
    let (mut outside, mut segments, mut fragmented) = (0, 0, false);
    fibers::run_in_slices(&mut fiber, &code, 3_001, |fiber| {
        let report = fiber.arena().report();
        assert!(report.used_bytes <= report.held_bytes);
        assert!((0.0..=1.0).contains(&report.fragmentation));
        let counters = fiber.arena().counters();
        assert_eq!(report.logical_bytes, counters.live + counters.allocated);
        outside = outside.max(report.outside_buffers);
        segments = segments.max(report.segments);
        fragmented |= report.fragmentation > 0.0;
    });
    assert!(
        outside > 0 && segments > 2,
        "{outside} buffers, {segments} segments"
    );
    let before = fiber.arena().report();
    fiber.compact(&code);
    let after = fiber.arena().report();
    assert!(after.held_bytes < before.held_bytes);
    assert!(after.used_bytes <= before.used_bytes);
    assert_eq!(after.logical_bytes, before.logical_bytes);
}

#[test]
fn reports_leave_out_objects_among_which_native_code_has_left_gaps() {
    // One pair of each round is kept, the other is not even made.
    let source = "
func main()
    .locals i rounds one kept pair
    int i 0
    int rounds 3000
    int one 1
    nil kept
L:
    loop
    cons pair i one
    car pair pair
    cons kept pair kept
    add i i one
    lt r5 i rounds
    branch-if r5 L
M:
    loop
    branch-if one M
    return kept
";
    let mut code = CodeSpace::default();
    let program = fibers::load(&mut code, source);
    let counted = |native: bool| {
        let mut fiber = Fiber::new(&code, program, Limits::default());
        let settings = JitSettings::eager();
        let mut profile = match native {
            true => Profile::with_native(settings).expect("a machine with native code"),
            false => Profile::default(),
        };
        let outcome = interp::run(&mut fiber, &code, &mut Surroundings, &mut profile, 50_000);
        assert_eq!(outcome, Outcome::Preempted);
        let before = fiber.arena().report();
        fiber.collect(&code);
        let pairs = |report: &ArenaReport| report.objects.first().map_or(0, |(_, count)| *count);
        let after = fiber.arena().report();
        (before.used_bytes, pairs(&before), pairs(&after))
    };
    let (slow, fast) = (counted(false), counted(true));
    assert_eq!((slow.1, slow.2), (6000, 3000));
    assert_eq!((fast.0, fast.2), (slow.0, 3000));
    assert!(fast.1 < 6000, "{fast:?}");
}
