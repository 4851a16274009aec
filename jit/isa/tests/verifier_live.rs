//! The live-register table by examples: each line tells what is live before its instruction.

use pw_isa::text;
use pw_isa::verify::{self, Verified};

fn verified(source: &str) -> Verified {
    let program = text::parse(source).unwrap_or_else(|errors| panic!("{errors}"));
    verify::verify(program).unwrap_or_else(|error| panic!("{error}"))
}

/// Lines are `registers | instruction`; registers are numbers.
fn check(header: &str, lines: &str) {
    check_program(&format!("func main{header}"), lines, "");
}

fn check_program(header: &str, lines: &str, others: &str) {
    let lines: Vec<&str> = lines
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let body: Vec<&str> = lines.iter().map(|line| behind_bar(line).1).collect();
    let verified = verified(&format!("{header}\n{}\n{others}", body.join("\n")));
    let mut pc = 0;
    for line in &lines {
        let (Some(expected), instruction) = behind_bar(line) else {
            continue;
        };
        let expected: Vec<u16> = expected
            .split_whitespace()
            .map(|register| register.parse().expect("a number"))
            .collect();
        let live: Vec<u16> = verified.live(0).at(pc).collect();
        assert_eq!(live, expected, "before pc {pc}: {instruction}");
        for register in 0..300 {
            assert_eq!(
                verified.live(0).is_live(pc, register),
                expected.contains(&register)
            );
        }
        pc += 1;
    }
    assert_eq!(pc as usize, verified.program().functions[0].code.len());
}

/// What stands before the bar, if there is one, and what stands behind it.
fn behind_bar(line: &str) -> (Option<&str>, &str) {
    match line.split_once('|') {
        Some((expected, instruction)) => (Some(expected), instruction),
        None => (None, line),
    }
}

#[test]
fn a_register_is_live_from_its_write_to_its_last_read() {
    check(
        "(2)",
        "0 1 | add r2 r0 r1
         1 2 | add r2 r2 r1
         2   | return r2",
    );
}

#[test]
fn a_parameter_that_nobody_reads_is_never_live() {
    check("(2)", "| nil r0\n 0 | return r0");
}

#[test]
fn what_a_branch_needs_is_live_before_it() {
    check(
        "(3)",
        "0 1 2 | branch-if r0 other
         1     | return r1
         other:
         2     | return r2",
    );
}

#[test]
fn what_the_next_round_of_a_loop_reads_is_live_in_all_of_it() {
    check(
        "(2)",
        "0 1     | int r2 0
         head:
         0 1 2   | loop
         0 1 2   | lt r3 r2 r0
         0 1 2 3 | branch-unless r3 done
         0 1 2   | add r2 r2 r1
         0 1 2   | jump head
         done:
         2       | return r2",
    );
}

#[test]
fn loops_within_loops_keep_what_the_outer_one_reads() {
    check(
        "(2)",
        "0 1 | loop
         outer:
         0 1 | loop
         inner:
         0 1 | loop
         0 1 | branch-if r0 inner
         0 1 | branch-if r1 outer
         0   | return r0",
    );
}

#[test]
fn arguments_are_live_before_a_call_and_nothing_above_its_base_behind_it() {
    check_program(
        "func main(1)",
        "0     | int r3 7
         0 3   | move r1 r0
         0 1 3 | call r2 args=1 @f
         0 1 2 | add r2 r2 r1
         0 2   | add r2 r2 r0
         2     | return r2",
        "func f(1)\nreturn r0",
    );
}

#[test]
fn a_call_of_a_closure_reads_its_base() {
    check(
        "(1)",
        "0   | move r1 r0
         1   | nil r2
         1 2 | call-closure r1 args=1
         1   | return r1",
    );
}

#[test]
fn calls_in_place_of_the_frame_keep_nothing() {
    check("(1)", "0 | move r1 r0\n 1 | tail-call-closure r1 args=0");
}

#[test]
fn what_a_handler_reads_is_live_in_its_whole_range_except_its_own_register() {
    check(
        "(2)",
        "0 1 | int r2 5
         .try -> caught r2
         0 1 | div r1 r1 r1
         0   | nil r1
         .end
             | nil r1
         1   | return r1
         caught:
         0 2 | add r0 r0 r2
         0   | return r0",
    );
}

#[test]
fn the_handler_around_a_handler_counts_in_the_code_of_the_inner_one() {
    check(
        "(3)",
        ".try -> outer r3
         .try -> inner r3
         0 1 2 | div r4 r0 r0
         0 1 2 | jump done
         .end
         inner:
         0 1   | raise r1
         .end
         outer:
         0     | return r0
         done:
         2     | return r2",
    );
}

#[test]
fn a_register_that_only_the_handler_reads_lives_through_the_call_that_ends_the_range() {
    let source = "func main(1)\n.try -> caught r1\ncall r1 args=0 @f\n.end\nreturn r1\ncaught:\nreturn r0\nfunc f()\nnil r0\nreturn r0";
    let verified = verified(source);
    assert_eq!(verified.live(0).at(0).collect::<Vec<_>>(), [0]);
    assert_eq!(verified.live(0).at(1).collect::<Vec<_>>(), [1]);
}

#[test]
fn many_registers_take_several_words() {
    check(
        "(200)",
        "64 65 130 199 | add r0 r64 r65
         0 130 199     | add r0 r0 r130
         0 199         | add r0 r0 r199
         0             | return r0",
    );
    let all = verified("func main(200)\nvector r0 r0 count=200\nreturn r0");
    assert!(all.live(0).at(0).eq(0..200));
}

#[test]
fn code_that_is_never_reached_has_live_registers_too() {
    check("(1)", "0 | return r0\n 1 2 | add r1 r1 r2\n 1 | return r1");
}

#[test]
fn a_function_without_registers_has_none() {
    let verified = verified("func main()\nhead: loop\njump head");
    assert!(verified.live(0).row(0).is_empty());
    assert!(!verified.live(0).is_live(1, 0));
}
