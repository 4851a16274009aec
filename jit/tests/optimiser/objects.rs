//! Pairs and closures that do not escape, and vectors that are made in place.

use pw_jit::reference::Outcome;
use pw_jit::tier::Optimizations;
use pw_jit::{Fiber, Limits, interp};
use testkit::fibers::Surroundings;

use super::{Form, WORK, calling, each, run};

/// What a loop does with objects of its rounds: words that it reads, and words that it writes.
pub(super) fn traffic(form: &Form) -> (usize, usize) {
    (form.in_loops("load"), form.in_loops("store"))
}

/// Taking an object's room reads where it is and where it ends, and writes where the next is and that there is a gap.
pub(super) const ROOM: (usize, usize) = (2, 2);

#[test]
fn a_pair_that_does_not_escape_is_not_made() {
    let with = |optimizations: Optimizations, body: &str| {
        let form = Form::made_with(optimizations, &calling(100, "1", &each(body)), WORK);
        (traffic(&form), form.in_loops("call"))
    };
    let made = "    cons x i one\n    car t x\n    cdr x x\n    add sum sum t\n    add sum sum x";
    assert_eq!(with(Optimizations::default(), made), (ROOM, 0));
    // Made, it is three words, and counted; where there is no room, a routine makes it, which the state says to a sparing call.
    let elide = false;
    let without = Optimizations {
        elide,
        ..Optimizations::default()
    };
    let ((_, written), calls) = with(without, made);
    assert_eq!((written, calls), (7, 1));
    // In another pair that does not escape either; and told from others by where it would stand.
    let nested = "    cons x i one\n    cons x x one\n    car t x\n    car x x\n    eq x x t\n    is x t pair\n    car t t\n    add sum sum t";
    assert_eq!(with(Optimizations::default(), nested), ((4, 4), 0));
}

#[test]
fn a_pair_that_escapes_is_made() {
    let made = |body: &str| {
        let form = Form::of(&calling(100, "\"text\"", &each(body)), WORK);
        form.in_loops("store")
    };
    let escaping = [
        // It is held by a vector.
        "    cons x i one\n    vector-set v i x\n    car t x",
        // It is seen by a routine.
        "    cons x i one\n    equal t x x\n    car t x",
        // It is in a pair that is held by a vector.
        "    cons x i one\n    cons t x one\n    vector-set v i t\n    car t x",
        // The next round holds it, and returns it.
        "    cons sum i sum\n    car t sum",
    ];
    for body in escaping {
        assert!(made(body) >= ROOM.1 + 3, "{body}");
    }
    // On a way that was never taken it is made where it escapes.
    let rarely = "    cons x i one\n    gt t i n\n    branch-unless t LKept\n    vector-set v i x\nLKept:\n    car t x\n    add sum i t";
    assert_eq!(made(rarely), ROOM.1);
}

#[test]
fn a_pair_that_a_loop_carries_is_in_registers() {
    let carried = |step: &str, returned: &str| {
        let body = format!(
            "    int i 0
    int one 1
    float sum 0.5
    cons x sum sum
L:
    loop
    lt t i n
    branch-unless t LEnd
{step}
    add i i one
    jump L
LEnd:
{returned}
    return x
"
        );
        Form::of(&calling(100, "1", &body), WORK)
    };
    let step = "    car t x\n    cdr x x\n    add t t sum\n    cons x x t";
    let form = carried(step, "    car x x");
    assert_eq!(traffic(&form), ROOM);
    assert_eq!((form.in_loops("fadd"), form.in_loops("bitcast")), (1, 0));
    // The last one is returned; and which one that is, is not known before.
    let returned = carried(step, "");
    assert!(!returned.has_virtual_objects() && returned.in_loops("store") >= ROOM.1 + 3);
}

#[test]
fn a_pair_that_comes_through_functions_that_only_pass_it_on_is_not_made() {
    // `sum` makes none itself: it calls what does, as the last thing or not.
    let functions = "
func pair(x y)
    cons x x y
    return x

func sum(p x)
    .locals y z
    car y p
    add y y x
    cdr z p
    add z z x
    move r5 y
    move r6 z
{call}
";
    let calls = [
        "    tail-call r4 args=2 @pair",
        "    call r4 args=2 @pair\n    return r4",
    ];
    for call in calls {
        let body = each(
            "    move r9 i\n    move r10 one\n    call r8 args=2 @pair\n    move r9 r8\n    move r10 i
    call r8 args=2 @sum\n    car t r8\n    add sum sum t",
        );
        let work = body + &functions.replace("{call}", call);
        let form = Form::of(&calling(100, "1", &work), WORK);
        assert_eq!(traffic(&form), (2 * ROOM.0, 2 * ROOM.1), "{call}");
    }
}

/// A program whose `main` makes a closure in each round and calls it through a function, or does something else with
/// it.
fn closing(optimizations: Optimizations, then: &str) -> Form {
    let source = format!(
        ".entry @main
func main()
    .locals round rounds one sum v f
    int round 0
    int rounds 2000
    int one 1
    int sum 0
    int r7 1
    const r8 \"text\"
    make-vector v r7 r8
L:
    loop
    closure f @adder round count=1
{then}
    move r7 f
    move r8 sum
    call r6 args=2 @apply
    move sum r6
    add round round one
    lt r6 round rounds
    branch-if r6 L
    return sum

func apply(f x)
    move r3 f
    move r4 x
    call-closure r3 args=1
    return r3

func adder(x) captures=1
    capture r2 r1 0
    add r2 r2 x
    return r2
"
    );
    Form::made_with(optimizations, &source, 0)
}

#[test]
fn a_closure_that_is_passed_to_what_is_inlined_is_not_made() {
    let all = Optimizations::default();
    let passed = closing(all, "");
    assert!(passed.has_virtual_objects());
    assert_eq!(traffic(&passed), ROOM);
    // It is held by a vector.
    let stored = "    int r6 0\n    vector-set v r6 f";
    let made = closing(all, stored);
    assert!(traffic(&made).1 >= ROOM.1 + 4);
    // Of which function it is says how much it captures; only whether there is room is tested.
    assert_eq!(made.in_loops(" ugt "), 1);
    let elide = false;
    let tested = closing(Optimizations { elide, ..all }, stored);
    assert_eq!(tested.in_loops(" ugt "), 2);
    // It holds something else later, as it may know, or not.
    for changed in ["capture-set f 0 one", "move r6 f\n    capture-set r6 0 one"] {
        assert!(!closing(all, &format!("    {changed}")).has_virtual_objects());
    }
}

/// Calls that a loop with this body makes, and how many of them stand aside.
fn calls(element: &str, body: &str) -> (usize, usize) {
    let form = Form::of(&calling(100, element, &each(body)), WORK);
    let calls = (form.count("call"), form.count_cold("call"));
    assert_eq!(form.in_loops("call"), calls.0, "{body}");
    calls
}

#[test]
fn vectors_grow_and_shrink_by_a_call_only_where_there_is_no_room() {
    let both = "    vector-push v i\n    vector-pop t v\n    add sum sum t";
    // Of Ints, and of values of any kind.
    assert_eq!(calls("1", both), (2, 2));
    assert_eq!(calls("\"text\"", both), (2, 2));
    // Whatever else is done to one is done by a routine each time.
    assert_eq!(calls("1", "    vector-fill v i"), (1, 0));
}

#[test]
fn constants_are_taken_apart_without_calls() {
    let body = |first: &str| {
        let body = format!("    int i 0\n    int one 1\n    int sum 0\n    const x (1 2 3)\n{first}L:
    loop\n    is t x nil\n    branch-if t LEnd\n    car t x\n    add sum sum t\n    cdr x x\n    jump L
LEnd:\n    return sum\n");
        let form = Form::of(&calling(100, "1", &body), WORK);
        (form.in_loops("call"), form.count_cold("call"))
    };
    // Two calls for what is neither a constant nor in the arena; none where all are there.
    assert_eq!(body(""), (2, 2));
    assert_eq!(
        body("    cons x one one\n    nil t\n    cons x one t\n"),
        (0, 0)
    );
}

#[test]
fn words_tell_whether_most_values_are_equal() {
    let of_two = |first: &str, same: &str| {
        let body = format!("    vector-ref x v i\n    {first}\n    {same} t x t");
        calls("\"text\"", &body)
    };
    // Two texts.
    assert_eq!(of_two("vector-ref t v i", "eq"), (1, 0));
    assert_eq!(of_two("vector-ref t v i", "equal"), (1, 0));
    // An Int and a text, which may be compared with another text at any time.
    assert_eq!(of_two("move t i", "equal"), (1, 0));
    // Of Ints the routine is not asked.
    let ints = "    vector-ref x v i\n    equal t x one";
    assert_eq!(calls("1", ints), (1, 1));
    assert_eq!(
        calls("1", &ints.replace("equal", "eq")),
        (0, 0),
        "one is known to be an Int"
    );
}

#[test]
fn short_vectors_are_made_in_place() {
    let made = |element: &str, body: &str| Form::of(&calling(100, element, &each(body)), WORK);
    let plans =
        |form: &Form, wanted: &str| form.plans.iter().filter(|plan| *plan == wanted).count();
    // Of Ints, of Floats, of both, of what is no number: a buffer of two words and the elements, and three words.
    let of_ints = made("1", "    move x i\n    vector x x count=1");
    assert_eq!((plans(&of_ints, "Row"), of_ints.in_loops("call")), (1, 1));
    let written = |form: &Form| form.in_loops("store") - (ROOM.1 + 1);
    let least = written(&of_ints);
    let of_floats = made("0.5", "    vector-ref x v i\n    vector x x count=1");
    assert_eq!((plans(&of_floats, "Row"), written(&of_floats)), (1, least));
    // Elements of any kind have their tags with them.
    let of_any = made("\"text\"", "    vector-ref x v i\n    vector x x count=1");
    assert_eq!((plans(&of_any, "Row"), written(&of_any)), (1, least + 1));
    // What is behind it can still be found.
    let source = calling(
        100,
        "0.5",
        &each("    vector-ref x v i\n    vector x x count=1"),
    );
    let (code, number, mut profile) = run(Optimizations::default(), &source);
    let mut fiber = Fiber::new(&code, number, Limits::default());
    let before = profile.native().map(|jit| jit.statistics().entries);
    let outcome = interp::run(&mut fiber, &code, &mut Surroundings, &mut profile, u64::MAX);
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    assert!(profile.native().map(|jit| jit.statistics().entries) > before);
    let report = fiber.arena().report();
    let vectors = report.objects.iter().find(|(name, _)| *name == "vector");
    assert!(vectors.is_some_and(|(_, count)| *count > 1), "{report:?}");
    // It is known to be a vector: of what is read from it only the index is looked at.
    let read = made(
        "1",
        "    move x i\n    vector x x count=1\n    int t 0\n    vector-ref t x t\n    add sum sum t",
    );
    assert_eq!((plans(&read, "Row"), plans(&read, "Elements(Int)")), (1, 1));
    // Where it is either, in turns, and where it is long, a routine makes it.
    let either = "    vector-ref x v i
    vector t x count=1
    is t x int
    branch-if t LText
    vector-set v i one
    jump LDone
LText:
    const x \"text\"
    vector-set v i x
LDone:
    add sum i one";
    let either = made("\"text\"", either);
    assert_eq!((plans(&either, "Row"), plans(&either, "Routine")), (0, 1));
    let long = made(
        "1",
        "    move x i\n    move t i\n    move r7 i\n    vector t r0 count=8",
    );
    assert_eq!((plans(&long, "Row"), plans(&long, "Routine")), (0, 1));
}
