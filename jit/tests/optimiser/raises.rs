//! What is raised and caught, calls with lists of arguments, and calls that are seldom made.

use pw_jit::tier::Optimizations;

use super::objects::{ROOM, traffic};
use super::{Form, WORK, calling, each, explained};

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

/// Functions of which each calls the next one eight times.
fn in_each_other(depth: usize) -> String {
    let calls = |next: usize| {
        format!("    move r3 n\n    call r2 args=1 @f{next}\n    add r1 r1 r2\n").repeat(8)
    };
    let functions = (1..depth).map(|at| {
        let calls = calls(at + 1);
        format!("\nfunc f{at}(n)\n    int r1 0\n{calls}    return r1\n")
    });
    functions.collect::<String>() + &format!("\nfunc f{depth}(n)\n    return n\n")
}

#[test]
fn a_body_stays_small_however_much_could_be_inlined() {
    let call = each("    move r8 i\n    call r7 args=1 @f1\n    add sum sum r7");
    let instructions = |depth| {
        let source = calling(10, "1", &call) + &in_each_other(depth);
        explained(Optimizations::default(), &source, WORK)
            .code
            .instructions
    };
    // All there is: a function of 26 instructions, and the eight calls in it.
    let few = instructions(2);
    assert!(few >= 26 + 8, "{few}");
    // There are 8, 64 and 512 calls.
    let many = instructions(4);
    assert!((100..=400).contains(&many), "{many}");
}
