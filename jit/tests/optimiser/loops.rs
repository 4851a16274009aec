//! Numbers in loops: what is kept where, and what is checked how often.

use pw_jit::tier::{ExitReason, Optimizations};

use super::{Form, WORK, calling, each, exits, explained};

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
    let twice = |hoist: bool, first: &str, second: &str| {
        let body = format!(
            "    int one 1
    int t 7
    sub n n one
    vector-ref x v {first}
    vector-ref x v {second}
    return x
"
        );
        let optimizations = Optimizations {
            hoist,
            ..Optimizations::default()
        };
        let form = Form::made_with(optimizations, &calling(100, "1", &body), WORK);
        // A number that is known is compared the other way round, and on the way in as it is.
        [" uge ", " ule ", " sge "].map(|order| form.count(order))
    };
    assert_eq!(twice(false, "n", "n"), [1, 0, 0]);
    assert_eq!(twice(false, "t", "one"), [0, 1, 0]);
    assert_eq!(twice(false, "one", "t"), [0, 2, 0]);
    assert_eq!(twice(false, "n", "one"), [1, 1, 0]);
    assert_eq!(twice(true, "one", "t"), [0, 0, 1]);
    assert_eq!(twice(true, "n", "one"), [1, 0, 1]);
}

#[test]
fn a_sum_that_begins_as_an_int_and_becomes_a_float_stays_in_registers_of_its_kind() {
    let body = each("    vector-ref x v i\n    add sum sum x");
    let form = Form::of(&calling(100, "0.5", &body), WORK);
    assert_eq!(form.in_loops("fadd"), 1);
    assert_eq!(form.in_loops("bitcast"), 0);
    // It becomes one once, aside. What is an Int in every round does so there.
    assert_eq!(form.count("fcvt_from_sint"), 1);
    assert_eq!(form.count_cold("fcvt_from_sint"), 1);
    for rest in [
        "add x x n\n    add t n x",
        "move t i\n    add t t x\n    add t t n",
    ] {
        let body = format!("    vector-ref x v i\n    {rest}\n    add sum sum t");
        let form = Form::of(&calling(100, "0.5", &each(&body)), WORK);
        assert_eq!(form.count("fcvt_from_sint"), 3, "{rest}");
        assert_eq!(form.count_cold("fcvt_from_sint"), 1, "{rest}");
    }
}

#[test]
fn a_number_of_either_kind_that_is_always_a_float_leaves_as_one() {
    // What would make `one` an Int has never run, and is looked at before `sum` is known to become a Float.
    let body = "    int i 0
    int sum 0
L:
    loop
    lt t i n
    branch-unless t LEnd
    vector-ref x v i
    num-eq t i i
    branch-if t LFloat
    add one sum sum
    jump LSum
LFloat:
    move one x
LSum:
    add sum sum one
    int t 1
    add i i t
    jump L
LEnd:
    return sum";
    let form = Form::of(&calling(100, "0.5", body), WORK);
    assert_eq!(form.in_loops("fadd"), 1);
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
    // The next index is found before the element is, and moved to its register at the end.
    let moved = "    int i 0
    int sum 0
L:
    loop
    vector-length t v
    num-eq t i t
    branch-if t LEnd
    int t 1
    add x i t
    vector-ref t v i
    add sum sum t
    move i x
    jump L
LEnd:
    return sum";
    assert_eq!(checks(&Form::of(&calling(100, "1", moved), WORK)), (1, 0));
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

#[test]
fn a_guess_that_holds_on_one_of_several_ways_is_made_there() {
    // Every other call has no vector.
    let source = "
.entry @main
func main()
    .locals round rounds one two v t
    int round 0
    int rounds 4000
    int one 1
    int two 2
    const t \"text\"
    make-vector v two t
L:
    loop
    nil r7
    mod t round two
    num-eq t t one
    branch-if t LCall
    move r7 v
LCall:
    call r6 args=1 @work
    add round round one
    lt t round rounds
    branch-if t L
    return r6

func work(v)
    is r1 v nil
    branch-if r1 LNone
    vector-length r2 v
    return r2
LNone:
    return v
";
    let exits = exits(source);
    assert_eq!(exits.get(&ExitReason::Kind), None, "{exits:?}");
}

#[test]
fn blocks_in_a_row_are_paid_for_from_the_gas_before_the_first() {
    let test = "    lt t n one\n    branch-if t LEnd\n";
    let source = calling(100, "1", &each(&test.repeat(4)));
    let ir = explained(Optimizations::default(), &source, WORK).ir;
    // What is taken is a constant below 0, named behind the instruction.
    let taken = ir.lines().filter_map(|line| {
        let (left, sum) = line.trim().split_once(" = iadd")?;
        let (operands, constant) = sum.split_once(';')?;
        let from = operands
            .split([' ', ','])
            .find(|word| word.starts_with('v'))?;
        constant.contains("= -").then_some((left, from))
    });
    let taken: Vec<(&str, &str)> = taken.collect();
    assert!(taken.len() >= 5, "{ir}");
    let mut chained = taken
        .iter()
        .filter(|(_, from)| taken.iter().any(|(left, _)| left == from));
    assert_eq!(chained.next(), None, "{ir}");
}
