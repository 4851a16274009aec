//! What the verifier proves pure, and why it does not prove the rest.

use pw_isa::text;
use pw_isa::verify::{Impurity, Verified, verify};

fn verified(source: &str) -> Verified {
    let program = text::parse(source).unwrap_or_else(|error| panic!("{error}"));
    verify(program).unwrap_or_else(|error| panic!("{error}"))
}

/// Why the function `f` of a program is not pure.
fn impurity(functions: &str) -> Option<Impurity> {
    let source = format!(".entry @main\nfunc main()\n    nil r0\n    return r0\n{functions}");
    let verified = verified(&source);
    let number = (0..).find(|number| verified.program().function_name(*number) == "f");
    verified.impurity(number.expect("there is one"))
}

#[test]
fn arithmetic_branches_loops_and_pure_calls_are_pure() {
    let recursive = "func f(n)
    int r1 2
    lt r2 r0 r1
    branch-unless r2 again
    return r0
again:
    int r3 1
    sub r3 r0 r3
    call r2 args=1 @f
    tail-call r1 args=1 @g
func g(n)
head:
    loop
    int r1 0
    le r2 r0 r1
    branch-if r2 done
    int r1 1
    sub r0 r0 r1
    jump head
done:
    return r0
";
    assert_eq!(impurity(recursive), None);
}

#[test]
fn what_a_call_makes_is_its_own() {
    let makes = "func f(a)
    cons r1 r0 r0
    car r2 r1
    make-vector r3 r2 r0
    number-to-string r2 r2
    string-length r2 r2
    return r2
";
    assert_eq!(impurity(makes), None);
}

#[test]
fn functions_that_call_each_other_are_pure_or_impure_together() {
    let pure = "func f(n)
    tail-call r0 args=0 @g
func g()
    int r1 1
    tail-call r0 args=1 @f
";
    assert_eq!(impurity(pure), None);
    let impure = "func f(n)
    move r2 r0
    call r1 args=1 @g
    return r1
func g(n)
    move r2 r0
    call r1 args=1 @h
    tail-call r1 args=0 @i
func h(n)
    move r2 r0
    tail-call r1 args=1 @f
func i()
    self r0
    return r0
";
    // Both ways lead there.
    let found = impurity(impure).expect("it asks in the end");
    assert!(
        matches!(found, Impurity::CallsImpure { pc: 1, callee: 2 }),
        "{found}"
    );
}

#[test]
fn each_reason_is_told_with_its_place() {
    let cases: [(&str, Impurity); 9] = [
        (
            "func f(v)\n    int r1 0\n    vector-ref r1 r0 r1\n    return r1\n",
            Impurity::Reads { pc: 1 },
        ),
        (
            "func f(c)\n    cell-get r0 r0\n    return r0\n",
            Impurity::Reads { pc: 0 },
        ),
        (
            ".global total\nfunc f()\n    global-get r0 $total\n    return r0\n",
            Impurity::Reads { pc: 0 },
        ),
        (
            "func f(m)\n    map-set r0 r0 r0\n    return r0\n",
            Impurity::Writes { pc: 0 },
        ),
        (
            // The second string that is appended to the same one is copied whole.
            "func f(a)\n    string-append r0 r0 r0\n    return r0\n",
            Impurity::Writes { pc: 0 },
        ),
        (
            "func f()\n    yield\n    nil r0\n    return r0\n",
            Impurity::Asks { pc: 0 },
        ),
        (
            "func f(g)\n    call-closure r0 args=0\n    return r0\n",
            Impurity::CallsAny { pc: 0 },
        ),
        (
            "func f(a)\n.try -> caught r0\n    car r0 r0\n.end\n    return r0\ncaught:\n    return r0\n",
            Impurity::Catches,
        ),
        (
            "func f(a)\n    v2-add r0 r0 r0\n    return r0\n",
            Impurity::V2 { pc: 0 },
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(impurity(source), Some(expected), "{source}");
    }
}

#[test]
fn it_is_told_in_words() {
    let call = Impurity::CallsImpure { pc: 3, callee: 7 };
    assert_eq!(
        call.to_string(),
        "pc 3 calls function #7, which is not pure"
    );
}
