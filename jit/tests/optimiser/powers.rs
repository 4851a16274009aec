//! What an actor asks about itself, in a loop.

use super::{Form, WORK, calling, each};

/// A loop that asks something.
fn asking(question: &str) -> Form {
    let body = each(&format!(
        "{question}
    branch-unless x LNext
    ushr sum sum one
LNext:"
    ));
    Form::of(&calling(100, "1", &body), WORK)
}

/// Whether an instruction of the function leaves native code.
fn leaves(form: &Form) -> bool {
    form.plans.iter().any(|plan| plan == "Exit")
}

#[test]
fn a_capability_is_asked_for_without_a_call() {
    let named = asking("    const x 'io-network\n    has-capability x x");
    // The shift of the program, and the one that takes the answer out of its word.
    let seen = (named.in_loops("call"), named.in_loops(" ushr"));
    assert_eq!((seen, leaves(&named)), ((0, 2), false));
    // What is no name has no number.
    assert!(leaves(&asking(
        "    const x '(io-network 5)\n    has-capability x x"
    )));
}

#[test]
fn an_actor_knows_itself_without_a_call() {
    let form = asking("    self x\n    is x x actor");
    assert_eq!((form.in_loops("call"), leaves(&form)), (0, false));
}
