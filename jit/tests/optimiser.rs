//! What the compiler makes of small loops: the intermediate form that Cranelift is given is looked at, each
//! time beside that of a program where the optimisation would be wrong.

use std::collections::{BTreeMap, BTreeSet};

use pw_jit::interp::profile::Profile;
use pw_jit::reference::{self, Outcome};
use pw_jit::tier::{Explanation, JitSettings, Optimizations};
use pw_jit::{CodeSpace, Fiber, Limits, interp};
use testkit::fibers::{Surroundings, load};

/// Cranelift's form of a function.
struct Form {
    /// Instructions by block, and the blocks that each goes on to.
    blocks: BTreeMap<String, Vec<String>>,
    next: BTreeMap<String, BTreeSet<String>>,
    /// How the function's instructions are compiled.
    plans: Vec<String>,
}

/// How a function is compiled once the program has run; in native code it ends like in the reference.
fn explained(optimizations: Optimizations, source: &str, function: u32) -> Explanation {
    let mut code = CodeSpace::default();
    let number = load(&mut code, source);
    let settings = JitSettings {
        background: false,
        optimizations,
        ..JitSettings::default()
    };
    let mut profile = Profile::with_native(settings).expect("a machine with native code");
    let mut fast = Fiber::new(&code, number, Limits::default());
    let mut slow = fast.clone();
    let expected = reference::run(&mut slow, &code, &mut Surroundings, u64::MAX);
    assert!(matches!(expected, Outcome::Done(_)), "{expected:?}");
    let outcome = interp::run(&mut fast, &code, &mut Surroundings, &mut profile, u64::MAX);
    assert_eq!(outcome, expected);
    assert_eq!(fast.gas_used(), slow.gas_used());
    let jit = profile.native().expect("it has one");
    assert!(jit.statistics().entries > 0, "nothing is hot");
    let explanation = jit.compiler().explain(&code, &profile, number, function);
    explanation.expect("code")
}

impl Form {
    /// What a function becomes.
    fn of(source: &str, function: u32) -> Form {
        Form::made_with(Optimizations::default(), source, function)
    }

    /// The same with some optimisations left out.
    fn made_with(optimizations: Optimizations, source: &str, function: u32) -> Form {
        let explanation = explained(optimizations, source, function);
        Form {
            plans: explanation.plans,
            ..Form::read(&explanation.ir)
        }
    }

    fn read(text: &str) -> Form {
        let mut form = Form {
            blocks: BTreeMap::new(),
            next: BTreeMap::new(),
            plans: Vec::new(),
        };
        let mut block = String::new();
        for line in text.lines() {
            let indented = line.starts_with("    ");
            let line = line.split(';').next().unwrap_or_default().trim();
            let is_head = line.starts_with("block") && line.ends_with(':');
            if is_head && !indented {
                block = label(line);
                form.blocks.insert(block.clone(), Vec::new());
            } else if let Some(instructions) = form.blocks.get_mut(&block)
                && indented
                && !line.contains("->")
            {
                if line.starts_with("jump") || line.starts_with("brif") {
                    let targets = line
                        .match_indices("block")
                        .map(|(at, _)| label(&line[at..]));
                    form.next.entry(block.clone()).or_default().extend(targets);
                }
                instructions.push(line.to_owned());
            }
        }
        assert!(!form.blocks.is_empty(), "no blocks in {text}");
        form
    }

    /// The instructions of its loops.
    fn loops(&self) -> Vec<&str> {
        let inside = self.blocks.iter().filter(|(block, _)| {
            let mut seen: BTreeSet<&String> = BTreeSet::new();
            let mut open = vec![*block];
            while let Some(at) = open.pop() {
                let next = self.next.get(at).into_iter().flatten();
                open.extend(next.filter(|next| seen.insert(next)));
            }
            seen.contains(*block)
        });
        let lines: Vec<&str> = inside
            .flat_map(|(_, lines)| lines.iter().map(String::as_str))
            .collect();
        assert!(!lines.is_empty(), "there is no loop");
        lines
    }

    /// How many instructions of its loops contain a word.
    fn in_loops(&self, word: &str) -> usize {
        self.loops()
            .iter()
            .filter(|line| line.contains(word))
            .count()
    }

    /// Whether it makes an object only where that must stand in the arena.
    fn has_virtual_objects(&self) -> bool {
        self.plans.iter().any(|plan| plan == "Virtual")
    }

    /// How many instructions contain a word.
    fn count(&self, word: &str) -> usize {
        let lines = self.blocks.values().flatten();
        lines.filter(|line| line.contains(word)).count()
    }
}

/// The name of the block that a text begins with.
fn label(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_ascii_alphanumeric())
        .collect()
}

/// A program that calls `work` with a vector of some length and with numbers, many times.
fn calling(length: u32, element: &str, work: &str) -> String {
    format!(
        ".entry @main
func main()
    .locals round rounds one v n
    int round 0
    int rounds 600
    int one 1
    int n {length}
    const r5 {element}
    make-vector v n r5
L:
    loop
    move r7 v
    move r8 n
    call r6 args=2 @work
    add round round one
    lt r5 round rounds
    branch-if r5 L
    return r6

func work(v n)
    .locals i one sum x t
{work}"
    )
}

/// A loop over all elements of a vector, with a body of its own.
fn each(body: &str) -> String {
    format!(
        "    int i 0
    int one 1
    int sum 0
L:
    loop
    lt t i n
    branch-unless t LEnd
{body}
    add i i one
    jump L
LEnd:
    return sum
"
    )
}

const WORK: u32 = 1;

#[test]
fn ints_in_loops_are_neither_boxed_nor_in_memory() {
    let ints = Form::of(&calling(100, "1", &each("    add sum sum i")), WORK);
    assert_eq!((ints.in_loops("load"), ints.in_loops("store")), (0, 0));
    // The test of gas and that of the loop, and whether the sum fits.
    assert_eq!(ints.in_loops("brif"), 3);
    // An Int or a Float, as it turns out, has its kind with it.
    let either = each("    vector-ref x v i\n    move sum x\n    is t sum int");
    let mixed = calling(100, "\"text\"", &either);
    assert!(Form::of(&mixed, WORK).in_loops("load") > 0);
}

#[test]
fn floats_in_loops_are_never_in_machine_registers_for_words() {
    let sum = |first: &str| {
        format!(
            "    int i 0
    int one 1
    float sum 0.0
L:
    loop
    lt t i n
    branch-unless t LEnd
{first}
    mul x x x
    add sum sum x
    add i i one
    jump L
LEnd:
    return sum
"
        )
    };
    let floats = Form::of(&calling(100, "1.5", &sum("    vector-ref x v i")), WORK);
    assert_eq!(floats.in_loops("bitcast"), 0);
    assert_eq!(floats.in_loops("store"), 0);
    assert_eq!(floats.in_loops("load.f64"), 1);
    assert_eq!((floats.in_loops("fadd"), floats.in_loops("fmul")), (1, 1));
    // A Float that is held by a vector of anything comes with its kind.
    let from_any = "    const x \"text\"\n    vector-set v i x\n    const x 1.5\n    vector-set v i x\n    vector-ref x v i";
    let from_any = Form::of(&calling(100, "\"text\"", &sum(from_any)), WORK);
    assert!(from_any.in_loops("bitcast") > 0);
}

#[test]
fn guards_are_made_on_the_way_into_a_loop_where_it_changes_nothing() {
    let still = Form::of(&calling(100, "1", &each("    add sum sum n")), WORK);
    let of_kind = |form: &Form| form.in_loops(" eq ");
    assert_eq!(of_kind(&still), 0);
    // What a round reads from a vector of anything is of a kind that the next may not be of.
    let read = each("    vector-ref x v i\n    add sum sum x");
    let changing = format!(
        "    const x \"text\"\n    int t 0\n    vector-set v t x\n    vector-set v t t\n{read}"
    );
    assert!(of_kind(&Form::of(&calling(100, "1", &changing), WORK)) > 0);
}

#[test]
fn a_value_is_checked_once() {
    let pairs = |second: &str| {
        let body = format!(
            "    cons x i one\n    cons t one i\n    vector-set v i t\n    vector-set v i x\n    vector-ref x v i\n    car r7 x\n    cdr r8 {second}\n    add sum sum r7\n    add sum sum r8"
        );
        Form::of(&calling(100, "\"text\"", &each(&body)), WORK)
    };
    // `t` is known to be a pair; the element is checked for `car` only.
    let (same, other) = (pairs("x"), pairs("t"));
    assert_eq!(same.in_loops(" eq "), other.in_loops(" eq "));
}

#[test]
fn an_index_is_checked_once() {
    let twice = |first: &str, second: &str| {
        let body = format!(
            "    int one 1
    int t 7
    sub n n one
    vector-ref x v {first}
    vector-ref x v {second}
    return x
"
        );
        Form::of(&calling(100, "1", &body), WORK).count(" uge ")
    };
    assert_eq!(twice("n", "n"), 1);
    assert_eq!(twice("t", "one"), 1);
    assert_eq!(twice("one", "t"), 2);
    assert_eq!(twice("n", "one"), 2);
}

/// Overflow checks and bounds checks that are left in loops.
fn checks(form: &Form) -> (usize, usize) {
    let overflow = form.in_loops("_overflow");
    (overflow, form.in_loops(" uge "))
}

#[test]
fn an_induction_variable_is_not_checked() {
    let body = "    vector-ref x v i\n    add sum sum x";
    // The sum is checked; the index was below a bound that is within the vector.
    let bounded = Form::of(&calling(100, "1", &each(body)), WORK);
    assert_eq!(checks(&bounded), (1, 0));
    let by_length = each(body).replace("    lt t i n", "    vector-length t v\n    lt t i t");
    assert_eq!(
        checks(&Form::of(&calling(100, "1", &by_length), WORK)),
        (1, 0)
    );
    let to_equality = each(body).replace(
        "    lt t i n\n    branch-unless",
        "    num-eq t i n\n    branch-if",
    );
    assert_eq!(
        checks(&Form::of(&calling(100, "1", &to_equality), WORK)),
        (1, 0)
    );
    let down = "    int one 1
    int sum 0
    sub i n one
    int x 0
L:
    loop
    ge t i x
    branch-unless t LEnd
    vector-ref t v i
    add sum sum t
    sub i i one
    jump L
LEnd:
    return sum
";
    assert_eq!(checks(&Form::of(&calling(100, "1", down), WORK)), (1, 0));
}

#[test]
fn a_sum_with_a_summand_of_known_sign_is_checked_by_one_comparison() {
    let with = |summand: &str| {
        let form = Form::of(&calling(100, "1", &each(summand)), WORK);
        (checks(&form).0, form.in_loops("brif"))
    };
    // The index is not below 0; an element may be.
    assert_eq!(with("    add sum sum i"), (0, 3));
    assert_eq!(with("    sub sum sum i"), (0, 3));
    assert_eq!(with("    vector-ref x v i\n    add sum sum x"), (1, 3));
}

#[test]
fn an_index_that_no_bound_holds_is_checked() {
    // Twice the index may be anywhere.
    let far = each(
        "    add x i i\n    int t 100\n    mod x x t\n    sub x x i\n    add x x i\n    vector-ref x v x\n    add sum sum x",
    );
    assert_eq!(checks(&Form::of(&calling(100, "1", &far), WORK)).1, 1);
    // The vector may be another in the next round.
    let other = each("    vector-ref x v i\n    add sum sum x\n    make-vector v n one");
    assert_eq!(checks(&Form::of(&calling(100, "1", &other), WORK)).1, 1);
    // The vector may be shorter in the next round.
    let shorter =
        each("    vector-ref x v i\n    add sum sum x\n    vector-push v x\n    vector-pop x v");
    assert_eq!(checks(&Form::of(&calling(100, "1", &shorter), WORK)).1, 1);
    // Without an upper bound the sum may overflow.
    let unbounded = each("    add i i n\n    sub i i n\n    add sum sum sum");
    assert!(checks(&Form::of(&calling(100, "1", &unbounded), WORK)).0 >= 1);
}

#[test]
fn each_optimisation_can_be_left_out() {
    let all = Optimizations::default();
    let body = calling(100, "1", &each("    vector-ref x v i\n    add sum sum n"));
    let whole = Form::of(&body, WORK);
    let tested = Form::made_with(
        Optimizations {
            elide: false,
            ..all
        },
        &body,
        WORK,
    );
    assert_eq!(checks(&whole).1, 0);
    assert_eq!(checks(&tested).1, 1);
    let guarded = Form::made_with(
        Optimizations {
            hoist: false,
            ..all
        },
        &body,
        WORK,
    );
    assert_eq!(whole.in_loops(" eq "), 0);
    assert!(guarded.in_loops(" eq ") > 0);
    // There is no way into the loop from outside, so nothing is tested there.
    let closed = Form::made_with(Optimizations { osr: false, ..all }, &body, WORK);
    assert!(closed.blocks.len() < whole.blocks.len());
    // The caller holds what it calls, or does not.
    let main = Form::of(&body, 0);
    let calling = Form::made_with(
        Optimizations {
            inline: false,
            ..all
        },
        &body,
        0,
    );
    assert!(main.count("call_indirect") < calling.count("call_indirect"));
}

/// A program that adds up one of two vectors, many times: Ints where `test` holds for the round, Floats otherwise.
fn adding_either(test: &str) -> String {
    format!(
        ".entry @main
func main()
    .locals round rounds one ints floats limit
    int round 0
    int rounds 8000
    int limit 4000
    int one 1
    int r8 300
    make-vector ints r8 one
    float r9 0.5
    make-vector floats r8 r9
L:
    loop
    move r10 floats
{test}
    branch-unless r7 LFloats
    move r10 ints
LFloats:
    call r9 args=1 @work
    add round round one
    lt r7 round rounds
    branch-if r7 L
    return r9

func work(v)
    .locals i n one sum x t
    vector-length n v
    int i 0
    int one 1
    vector-ref sum v i
L:
    loop
    vector-ref x v i
    add sum sum x
    add i i one
    lt t i n
    branch-if t L
    return sum
"
    )
}

#[test]
fn code_that_changes_its_kinds_is_compiled_for_the_new_ones() {
    let later = Form::of(&adding_either("    lt r7 round limit"), WORK);
    assert_eq!(later.count("fadd"), 1);
    assert_eq!((later.count("fcvt"), later.in_loops("call")), (0, 0));
    // Where both come all the time, both are expected.
    let always = "    mod r7 round r8\n    lt r7 r7 one";
    assert!(Form::of(&adding_either(always), WORK).count("fcvt") > 0);
}

/// What a loop does with objects of its rounds: words that it reads, and words that it writes.
fn traffic(form: &Form) -> (usize, usize) {
    (form.in_loops("load"), form.in_loops("store"))
}

/// Taking an object's room reads where it is and where it ends, and writes where the next is and that there is a gap.
const ROOM: (usize, usize) = (2, 2);

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

/// A loop that catches what `raised` raises; the handler is known by `ushr`.
fn catching(raised: &str) -> String {
    each(&format!(
        "    .try -> LCaught x
{raised}
        jump LNext
    .end
LCaught:
    ushr sum sum one
LNext:"
    ))
}

#[test]
fn what_is_raised_and_caught_in_one_body_is_a_jump() {
    // Every other round.
    let sometimes = "    int t 2\n    mod t i t\n    num-eq t t one\n    branch-unless t LNext\n";
    let with = |optimizations, raised: &str, more: &str| {
        let source = calling(100, "1", &catching(&format!("{sometimes}{raised}"))) + more;
        let form = Form::made_with(optimizations, &source, WORK);
        (form.in_loops(" ushr"), form.in_loops("call_indirect"))
    };
    let all = Optimizations::default();
    assert_eq!(with(all, "    raise i", ""), (1, 0));
    // A function that raises is inlined, and what is raised passes its frame.
    let (call, raising) = (
        "    move r11 i\n    call r10 args=1 @raising",
        "\nfunc raising(n)\n    raise n\n",
    );
    assert_eq!(with(all, call, raising), (1, 0));
    // The same as a call leaves native code, which does not come to the handler.
    let called = Optimizations {
        inline: false,
        ..all
    };
    assert_eq!(with(called, call, raising), (0, 1));
    // A routine makes the Error.
    let fails = "    int t 0\n    quot x i t";
    assert_eq!(with(all, fails, ""), (1, 1));
}

#[test]
fn a_pair_that_a_handler_reads_is_not_made() {
    let with = |at_handler: &str| {
        let body = each(&format!(
            "    cons r10 i one
    .try -> LCaught x
        int t 2
        mod t i t
        num-eq t t one
        branch-unless t LNext
        raise i
    .end
LCaught:
    ushr sum sum one
{at_handler}
LNext:
    cdr x r10
    add sum sum x"
        ));
        Form::of(&calling(100, "1", &body), WORK)
    };
    let read = with("    car t r10\n    add sum sum t");
    assert_eq!((read.in_loops(" ushr"), traffic(&read)), (1, ROOM));
    // The handler lets it escape.
    let kept = with("    vector-set v i r10");
    assert!(!kept.has_virtual_objects());
}

#[test]
fn what_has_not_failed_has_no_way_to_its_handler() {
    let form = Form::of(&calling(100, "1", &catching("    vector-ref x v i")), WORK);
    assert_eq!((form.count(" ushr"), form.count("call_indirect")), (0, 0));
}

#[test]
fn lists_of_arguments_are_spread_and_made_by_routines() {
    // The routine, and the function by the code table.
    let calls = |call: &str| {
        let body = each(&format!("{call}\n    add sum sum r10"));
        let taking =
            "\nfunc two(a b)\n    add a a b\n    return a\n\nfunc some(a rest...)\n    return a\n";
        // Lists that are not passed are made, too.
        let made = Optimizations {
            elide: false,
            ..Optimizations::default()
        };
        let source = calling(100, "1", &body) + taking;
        Form::made_with(made, &source, WORK).in_loops("call_indirect")
    };
    let list = "    nil r11\n    cons r11 one r11\n    cons r11 i r11\n";
    let applied = format!("{list}    const r10 @two\n    apply r10 args=1");
    assert_eq!(
        calls(&applied),
        calls(&format!("{list}    move r10 one")) + 2
    );
    let rest = "    move r11 one\n    move r12 i\n    move r13 i\n    call r10 args=3 @some";
    assert_eq!(calls(rest), 2);
}

#[test]
fn floats_keep_their_machine_registers_where_a_call_is_seldom_made() {
    // Machine instructions that move Floats to the native stack or back.
    let moves = |body: &str| {
        let body = format!(
            "    int i 0
    int one 1
    float sum 0.0
    float r7 0.5
L:
    loop
    lt t i n
    branch-unless t LEnd
{body}
    mul r7 r7 r7
    add sum sum r7
    add i i one
    jump L
LEnd:
    return sum
"
        );
        let source = calling(100, "1", &body);
        let assembly = explained(Optimizations::default(), &source, WORK).assembly;
        let lines = assembly.lines().filter(|line| line.contains("%xmm"));
        lines.filter(|line| line.contains("(%rsp)")).count()
    };
    // A pair for which there is no room is made by a call; so is a text, each time.
    assert_eq!(moves("    cons x i one"), 0);
    assert!(moves("    number-to-string x i") > 0);
}
