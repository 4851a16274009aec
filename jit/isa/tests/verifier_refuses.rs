//! What the verifier refuses, with the place and the reason; one test a property of `verify`.

use pw_isa::program::{FunctionDebug, Handler};
use pw_isa::verify::{self, VerifyError, limits};
use pw_isa::{Constant, Function, Link, Program, text};

fn assembled(source: &str) -> Program {
    text::parse(source).unwrap_or_else(|errors| panic!("{errors}\nin\n{source}"))
}

fn refusal(program: Program) -> VerifyError {
    verify::verify(program).expect_err("the program is refused")
}

/// The body of a function of two parameters is refused at this pc for this reason.
fn refused(body: &str, pc: impl Into<Option<u32>>, reason: &str) {
    refused_program(
        &format!("func main(2) registers=5\n{body}\n{OTHERS}"),
        pc,
        reason,
    );
}

const OTHERS: &str =
    "func plain(1)\nreturn r0\nfunc capturing() captures=2\nreturn r0\n.global total";

fn refused_program(source: &str, pc: impl Into<Option<u32>>, reason: &str) {
    let error = refusal(assembled(source));
    assert_eq!(
        (error.reason.as_str(), error.pc),
        (reason, pc.into()),
        "{source}"
    );
}

fn accepted(body: &str) {
    let source = format!("func main(2) registers=5\n{body}\n{OTHERS}");
    if let Err(error) = verify::verify(assembled(&source)) {
        panic!("{error}\nin\n{source}");
    }
}

#[test]
fn registers_exist() {
    let beyond = "r5 is beyond the frame's 5 registers";
    refused("nil r5\nreturn r0", 0, beyond);
    refused("nil r0\nreturn r5", 1, beyond);
    refused("vector r0 r0 count=6\nreturn r0", 0, beyond);
    refused("call r4 args=1 @plain\nreturn r0", 0, beyond);
    refused("call r5 args=0 @plain\nreturn r0", 0, beyond);
    refused("call-closure r4 args=1\nreturn r0", 0, beyond);
    refused("tail-call r4 args=1 @plain", 0, beyond);
    refused(
        "call r65535 args=65535 @plain\nreturn r0",
        0,
        "r131069 is beyond the frame's 5 registers",
    );
    refused(
        "call-closure r65535 args=65535\nreturn r0",
        0,
        "r131069 is beyond the frame's 5 registers",
    );
    refused(
        "vector r0 r65535 count=65535\nreturn r0",
        0,
        "r131069 is beyond the frame's 5 registers",
    );
    accepted("vector r0 r5 count=0\nreturn r0");
}

#[test]
fn constants_exist_and_refer_to_earlier_ones() {
    refused("const r0 %0\nreturn r0", 0, "constant 0 of 0");
    let later = "refers to constant 1, which does not come before it";
    refused(
        ".const '(%1 . %0)\n.const nil\nreturn r0",
        None,
        &format!("constant 0: {later}"),
    );
    refused(
        ".const #capability(a %1)\n.const nil\nreturn r0",
        None,
        &format!("constant 0: {later}"),
    );
    let itself = "constant 0: refers to constant 0, which does not come before it";
    refused(".const '(%0 . %0)\nreturn r0", None, itself);
}

#[test]
fn links_name_what_the_instruction_expects() {
    refused(
        "call r2 args=0 @%0\nreturn r0",
        0,
        "link 0 is not a function",
    );
    refused(
        ".link $total\ncall r2 args=0 @%0\nreturn r0",
        0,
        "link 0 is not a function",
    );
    refused("global-get r2 $%0\nreturn r0", 0, "link 0 is not a global");
    refused(
        ".link @plain\nglobal-set $%0 r0\nreturn r0",
        0,
        "link 0 is not a global",
    );
    refused(
        ".const @%3\nreturn r0",
        None,
        "constant 0: link 3 is not a function",
    );
    refused(
        "closure r2 @%0 r0 count=0\nreturn r0",
        0,
        "link 0 is not a function",
    );
    refused(
        ".link @#9\nreturn r0",
        None,
        "function #0 links to Function(9), which does not exist",
    );
    refused(
        ".link $#9\nreturn r0",
        None,
        "function #0 links to Global(9), which does not exist",
    );
}

#[test]
fn functions_with_captures_are_only_made_as_closures() {
    refused(
        "call r2 args=0 @capturing\nreturn r0",
        0,
        "a direct call of a function that captures values",
    );
    refused(
        "tail-call r2 args=0 @capturing",
        0,
        "a direct call of a function that captures values",
    );
    refused(
        ".const @capturing\nreturn r0",
        None,
        "constant 0: function #2 has captures",
    );
    refused(
        "closure r2 @capturing r0 count=1\nreturn r0",
        0,
        "1 values for a function that captures 2",
    );
    accepted("closure r2 @capturing r0 count=2\nreturn r0");
    refused_program(
        "func main() captures=1\nreturn r0",
        None,
        "the entry function has captures",
    );
}

#[test]
fn jumps_stay_within_the_function() {
    refused("jump 7\nreturn r0", 0, "a jump to pc 7, behind the end");
    refused(
        "branch-if r0 end\nreturn r0\nend:",
        0,
        "a jump to pc 2, behind the end",
    );
    refused(
        "jump 4294967295",
        0,
        "a jump to pc 4294967295, behind the end",
    );
}

#[test]
fn handlers_lie_within_the_function() {
    refused(
        ".try 1..1 -> 1 r0\nnil r0\nreturn r0",
        None,
        "handler 0 covers pc 1 to 1",
    );
    refused(
        ".try 1..0 -> 1 r0\nnil r0\nreturn r0",
        None,
        "handler 0 covers pc 1 to 0",
    );
    refused(
        ".try 0..9 -> 1 r0\nnil r0\nreturn r0",
        None,
        "handler 0 covers pc 0 to 9",
    );
    refused(
        ".try 0..1 -> 2 r0\nnil r0\nreturn r0",
        None,
        "handler 0 goes to pc 2 with r0",
    );
    refused(
        ".try 0..1 -> 1 r5\nnil r0\nreturn r0",
        None,
        "handler 0 goes to pc 1 with r5",
    );
}

#[test]
fn control_does_not_run_off_the_end() {
    refused("nil r0", None, "control runs off the end, behind `nil`");
    refused(
        "branch-if r0 0",
        None,
        "control runs off the end, behind `branch-if`",
    );
    refused("", None, "a function without instructions");
}

#[test]
fn no_register_is_read_before_it_is_written() {
    refused(
        "return r2",
        0,
        "`return` reads r2, which may not be set here",
    );
    refused(
        "branch-if r0 join\nnil r2\njoin: return r2",
        2,
        "`return` reads r2, which may not be set here",
    );
    refused(
        "vector r0 r0 count=4\nreturn r0",
        0,
        "`vector` reads r2, which may not be set here",
    );
    accepted("branch-if r0 other\nnil r2\njump join\nother: nil r2\njoin: return r2");
    refused(
        "head: loop\nbranch-if r0 out\nnil r2\njump head\nout: return r2",
        4,
        "`return` reads r2, which may not be set here",
    );
}

#[test]
fn a_call_leaves_every_register_above_its_base_dead() {
    refused(
        "nil r3\ncall r2 args=0 @plain\nreturn r3",
        2,
        "`return` reads r3, which may not be set here",
    );
    refused(
        "nil r3\nnil r2\napply r1 args=1\nreturn r2",
        3,
        "`return` reads r2, which may not be set here",
    );
    accepted("nil r1\ncall r2 args=0 @plain\nadd r2 r2 r1\nreturn r2");
    refused(
        "nil r3\nhead: loop\nadd r3 r3 r3\ncall r2 args=0 @plain\njump head",
        2,
        "`add` reads r3, which may not be set here",
    );
}

#[test]
fn a_handler_reads_only_what_every_instruction_of_its_range_leaves() {
    refused(
        ".try -> caught r3\nnil r2\ndiv r0 r0 r2\n.end\nreturn r0\ncaught: return r2",
        3,
        "`return` reads r2, which may not be set here",
    );
    refused(
        "nil r2\nnil r4\n.try -> caught r3\ncall r2 args=0 @plain\n.end\nreturn r0\ncaught: return r4",
        4,
        "`return` reads r4, which may not be set here",
    );
    refused(
        "nil r2\n.try -> caught r3\ncall r2 args=0 @plain\n.end\nreturn r0\ncaught: return r2",
        3,
        "`return` reads r2, which may not be set here",
    );
    refused(
        ".try -> caught r3\ncall r2 args=0 @plain\nnil r4\n.end\nreturn r0\ncaught: return r4",
        3,
        "`return` reads r4, which may not be set here",
    );
    accepted(
        "nil r2\n.try -> caught r3\ndiv r0 r0 r2\n.end\nreturn r0\ncaught: vector r0 r2 count=2\nreturn r0",
    );
}

#[test]
fn code_that_is_never_reached_reads_nothing_that_a_call_left_dead() {
    refused(
        "return r0\ncall r2 args=0 @plain\nreturn r3",
        2,
        "`return` reads r3, which may not be set here",
    );
    accepted("return r0\nreturn r3");
}

#[test]
fn backward_jumps_go_to_loops() {
    refused(
        "head: nil r0\njump head",
        1,
        "a jump back to pc 0, which is not a `loop`",
    );
    refused(
        "nil r0\nhead: jump head",
        1,
        "a jump back to pc 1, which is not a `loop`",
    );
    refused(
        "back: nil r0\n.try -> back r0\ndiv r0 r0 r1\n.end\nreturn r0",
        None,
        "handler 0 goes back to pc 0, which is not a `loop`",
    );
    refused(
        ".try 0..3 -> 1 r0\ndiv r0 r0 r1\ndiv r0 r0 r1\ndiv r0 r0 r1\nreturn r0",
        None,
        "handler 0 goes back to pc 1, which is not a `loop`",
    );
    accepted("back: loop\n.try -> back r0\ndiv r0 r0 r1\n.end\nreturn r0");
}

#[test]
fn loops_and_calls_cost_gas() {
    refused(
        "head: loop gas=0\njump head",
        0,
        "loops and calls must cost gas",
    );
    refused(
        "call r2 args=0 @plain gas=0\nreturn r0",
        0,
        "loops and calls must cost gas",
    );
    refused(
        "tail-call-closure r1 args=0 gas=0",
        0,
        "loops and calls must cost gas",
    );
    refused(
        "apply r0 args=1 gas=0\nreturn r0",
        0,
        "loops and calls must cost gas",
    );
    accepted("nil r0 gas=0\nreturn r0 gas=0");
}

#[test]
fn inner_handlers_come_first_and_lie_inside() {
    let body = "nil r2\nnil r2\nnil r2\nnil r2\nreturn r0";
    let crossing = "handler 1 overlaps handler 0, but is not inside and before it";
    refused(
        &format!(".try 0..2 -> 4 r0\n.try 1..3 -> 4 r0\n{body}"),
        None,
        crossing,
    );
    refused(
        &format!(".try 0..3 -> 4 r0\n.try 1..2 -> 4 r0\n{body}"),
        None,
        crossing,
    );
    let crossing = "handler 0 overlaps handler 1, but is not inside and before it";
    refused(
        &format!(".try 1..3 -> 4 r0\n.try 0..2 -> 4 r0\n{body}"),
        None,
        crossing,
    );
    refused(
        &format!(".try 0..3 -> 4 r0\n.try 0..2 -> 4 r0\n{body}"),
        None,
        crossing,
    );
    accepted(&format!(
        ".try 1..2 -> 4 r0\n.try 1..2 -> 4 r0\n.try 0..3 -> 4 r0\n{body}"
    ));
    accepted(&format!(
        ".try 1..2 -> 4 r0\n.try 2..3 -> 4 r0\n.try 1..3 -> 4 r0\n{body}"
    ));
}

#[test]
fn apply_takes_one_list_and_spawn_a_function() {
    refused(
        "apply r0 args=0\nreturn r0",
        0,
        "apply takes one list, not 0 arguments",
    );
    refused(
        "nil r2\ntail-apply r0 args=2",
        1,
        "apply takes one list, not 2 arguments",
    );
    refused(
        "spawn r0 r0 count=0\nreturn r0",
        0,
        "spawn takes at least the function of the actor",
    );
    accepted("host-call r0 r1 r0 count=0\nreturn r0");
}

#[test]
fn frames_hold_what_the_caller_fills() {
    refused_program(
        "func main(2, ...) registers=2\nreturn r0",
        None,
        "3 registers hold values at entry, the frame has 2",
    );
    refused_program(
        "func main(1)\nreturn r0\nfunc f(65535, ...) captures=1 registers=65535\nreturn r0",
        None,
        "65537 registers hold values at entry, the frame has 65535",
    );
    refused_program(
        "func main() registers=65535\nhead: loop\njump head",
        None,
        "a frame has at most 65534 registers",
    );
}

#[test]
fn the_entry_exists() {
    refused_program("", None, "the entry is function 0, there are 0");
    refused_program(
        ".entry @#1\nfunc main(1)\nreturn r0",
        None,
        "the entry is function 1, there are 1",
    );
}

#[test]
fn the_debug_section_names_registers_that_exist() {
    refused(
        ".var x r5 0..1\nreturn r0",
        None,
        "a variable of the debug section is in r5, the frame has 5",
    );
    refused(
        ".line 7 at=1\n.line 8 at=0\nreturn r0",
        None,
        "lines of the debug section do not rise with the pc",
    );
}

#[test]
fn tables_fit_together() {
    let sound = || assembled("func main(1)\nreturn r0\n.global a");
    let mut program = sound();
    program.links.clear();
    assert_eq!(refusal(program).reason, "0 link tables for 1 functions");
    let mut program = sound();
    program.debug.functions.push(FunctionDebug::default());
    assert_eq!(
        refusal(program).reason,
        "the debug section describes 2 of 1 functions"
    );
    let mut program = sound();
    program.globals = 7;
    assert_eq!(
        refusal(program).reason,
        "the debug section names 1 of 7 globals"
    );
    let mut program = sound();
    program.functions[0].gas = vec![1, 1];
    assert_eq!(
        refusal(program).reason,
        "function #0: gas is given for 2 of 1 instructions"
    );
}

#[test]
fn programs_stay_within_the_limits() {
    let sound = || assembled("func main(1)\nreturn r0");
    let change = |change: &dyn Fn(&mut Program)| {
        let mut program = sound();
        change(&mut program);
        refusal(program).reason
    };
    let main = |change_main: &dyn Fn(&mut Function)| {
        change(&|program| change_main(&mut program.functions[0]))
    };
    let end = sound().functions[0].code[0];
    assert_eq!(
        main(&|main| main.code = vec![end; limits::CODE_MAX + 1]),
        "1048577 instructions are more than 1048576"
    );
    assert_eq!(
        main(&|main| main.constants = vec![Constant::Nil; limits::CONSTANTS_MAX + 1]),
        "1048577 constants are more than 1048576"
    );
    assert_eq!(
        change(&|program| {
            program.entry = 1;
            program.functions.push(program.functions[0].clone());
            program.links.push(Vec::new());
            program.debug.functions.clear();
            program.functions[0].captures = limits::CAPTURES_MAX + 1;
        }),
        "1025 captures are more than 1024"
    );
    let handler = Handler {
        start: 0,
        end: 1,
        target: 0,
        dst: 0,
    };
    assert_eq!(
        main(&|main| main.handlers = vec![handler; limits::HANDLERS_MAX + 1]),
        "4097 handlers are more than 4096"
    );
    assert_eq!(
        change(&|program| program.globals = limits::GLOBALS_MAX + 1),
        "1048577 globals are more than 1048576"
    );
    assert_eq!(
        change(&|program| {
            program.functions = vec![Function::default(); limits::FUNCTIONS_MAX + 1];
            program.links = vec![Vec::new(); limits::FUNCTIONS_MAX + 1];
            program.debug.functions.clear();
        }),
        "1048577 functions are too many"
    );
    assert_eq!(
        main(&|main| {
            main.code = vec![end; limits::LIVE_WORDS_MAX / 1000];
            main.registers = 65_000;
        }),
        "too many instructions times registers for the live-register table"
    );
}

#[test]
fn the_reason_comes_with_function_pc_and_line() {
    let error = refusal(assembled(
        "func main(1)\nreturn r0\nfunc other()\n.line 17\nloop\nreturn r0",
    ));
    assert_eq!(error.function, Some((1, "other".to_owned())));
    assert_eq!((error.pc, error.line), (Some(1), Some(17)));
    assert_eq!(
        error.to_string(),
        "function other, pc 1, line 17: `return` reads r0, which may not be set here"
    );
    let links = Program {
        links: vec![vec![Link::Global(0)]],
        ..Program::default()
    };
    assert_eq!(refusal(links).to_string(), "1 link tables for 0 functions");
}
