//! Functions in place of their calls: what they find out, what constants decide in them, and how they are paid for.

use super::{Form, WORK, calling, each};

/// What `work` becomes when it does this, beside some small functions.
fn beside(body: &str) -> Form {
    let functions = "
func at(v i)
    .locals x
    vector-ref x v i
    return x

func third(v)
    .locals x two
    int two 2
    vector-ref x v two
    return x

func made(x)
    .locals v y z
    move v x
    move y x
    move z x
    vector v v count=3
    return v

func filled(v x)
    vector-fill v x
    return x

func told(what x)
    .locals t
    const t \"up\"
    eq t what t
    branch-unless t LOther
    return x
LOther:
    mul x x x
    return x

func twice(x)
    .locals y
    add y x x
    return y

func counted(x)
    .locals y t
    int y 3
L:
    loop
    add x x y
    int t 1
    sub y y t
    int t 0
    gt t y t
    branch-if t L
    return x
";
    let long = |name: &str| {
        let sums = "    add y x x\n".repeat(33);
        format!("\nfunc {name}(x)\n    .locals y\n{sums}    return y\n")
    };
    let functions = functions.to_owned() + &long("long") + &long("lasting");
    Form::of(&(calling(100, "1", body) + &functions), WORK)
}

/// A call of a function with registers as arguments, and its result in a register.
fn call(function: &str, arguments: &[&str], result: &str) -> String {
    let windows = arguments.iter().zip(9..);
    let moves = windows.map(|(argument, register)| format!("    move r{register} {argument}\n"));
    let (moves, args) = (moves.collect::<String>(), arguments.len());
    format!("{moves}    call r8 args={args} @{function}\n    move {result} r8\n")
}

/// Some lines between a beginning and a return.
fn body(lines: &[String]) -> String {
    let lines = lines.concat();
    format!("    int i 0\n    int one 1\n{lines}    return x\n")
}

#[test]
fn a_vector_is_looked_at_once_by_all_functions_that_it_is_passed_to() {
    let looks = |between: &[String]| {
        let (first, second) = (call("at", &["v", "i"], "x"), call("at", &["v", "one"], "x"));
        let lines = [&[first], between, &[second]].concat();
        // Its header and its length.
        beside(&body(&lines)).count("load.i32")
    };
    assert_eq!(looks(&[]), 2);
    assert_eq!(looks(&[call("twice", &["one"], "t")]), 2);
    assert_eq!(looks(&[call("filled", &["v", "one"], "t")]), 4);
}

#[test]
fn a_vector_that_was_just_made_is_not_looked_at() {
    let looks = |then: &[String]| {
        let lines = [&[call("made", &["one"], "t")], then].concat();
        let form = beside(&body(&lines));
        (
            form.count("load.i32"),
            form.count(" uge ") + form.count(" ule ") + form.count(" sge "),
        )
    };
    assert_eq!(looks(&[call("third", &["t"], "x")]), (0, 0));
    let filled = call("filled", &["t", "one"], "sum");
    assert_eq!(looks(&[filled, call("third", &["t"], "x")]), (2, 1));
}

#[test]
fn the_longest_index_that_is_sure_to_come_is_tested_for_all() {
    let tests = |lines: &[String]| {
        let form = beside(&body(lines));
        form.count(" uge ") + form.count(" ule ") + form.count(" sge ")
    };
    let (first, third) = (call("at", &["v", "i"], "x"), call("third", &["v"], "x"));
    assert_eq!(tests(&[first.clone(), third.clone()]), 1);
    assert_eq!(tests(&[third, first.clone()]), 1);
    let last = "    sub t n one\n".to_owned();
    assert_eq!(tests(&[first, last, call("at", &["v", "t"], "x")]), 2);
}

#[test]
fn constants_decide_in_functions_that_they_are_passed_to() {
    let of = |what: &str| {
        let form = beside(&body(&[what.to_owned(), call("told", &["t", "one"], "x")]));
        (form.count("bxor"), form.count("smul") + form.count("imul"))
    };
    assert_eq!(of("    const t \"up\"\n"), (0, 0));
    // Another constant takes the other way alone.
    assert_eq!(of("    const t \"down\"\n"), (0, 1));
    let (compared, _) = of("    vector-ref t v i\n");
    assert!(compared > 0);
}

#[test]
fn functions_without_loops_are_paid_for_before_their_calls() {
    let checks = |lines: &[String]| beside(&body(lines)).count(" slt ");
    let step = call("twice", &["one"], "x");
    let steps = |many: usize| vec![step.clone(); many];
    assert_eq!(checks(&steps(6)), checks(&steps(3)));
    // What a check pays for has a bound.
    let long = ["long", "lasting", "long", "lasting"].map(|name| call(name, &["one"], "x"));
    assert_eq!(checks(&long[..1]), checks(&steps(3)));
    assert!(checks(&long) > checks(&steps(3)));
    let counted = [call("counted", &["one"], "x")];
    assert!(checks(&[&counted, &steps(3)[..]].concat()) > checks(&steps(3)));
}

#[test]
fn exits_leave_arguments_alone_that_are_never_written() {
    let stores = |body: &str| Form::of(&calling(100, "1", &each(body)), WORK).count("store");
    let (kept, written) = ("    add sum sum n", "    add sum sum n\n    move n n");
    assert!(stores(kept) < stores(written));
}
