//! Verification takes bounded time, whatever the control flow looks like.

use std::time::{Duration, Instant};

use pw_isa::{Program, text, verify};

fn assembled(source: &str) -> Program {
    text::parse(source).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Verifies a hostile program; what comes out does not matter, how long it takes does.
fn settles(program: Program) -> Result<(), String> {
    let start = Instant::now();
    let result = verify::verify(program);
    let taken = start.elapsed();
    assert!(taken < Duration::from_secs(100), "{taken:?}");
    result.map(|_| ()).map_err(|error| error.reason)
}

/// States that each lead to the next and back to the one before: what the last state leaves dead
/// reaches the first by one state a pass.
fn chain(states: u32, registers: u32) -> Program {
    let mut source = format!("func main({registers})\n");
    for state in 0..states {
        let (next, before) = ((state + 1).min(states), state.saturating_sub(1));
        source.push_str(&format!(
            "s{state}: loop\nbranch-if r0 s{next}\nbranch-if r1 s{before}\n"
        ));
        source.push_str("return r0\n");
    }
    source.push_str(&format!(
        "s{states}: loop\ncall r2 args=0 @f\njump s{}\n",
        states - 1
    ));
    source.push_str("func f()\nnil r0\nreturn r0\n");
    assembled(&source)
}

/// Random jumps between states, each of which leaves registers of its own dead.
fn tangle(states: u32, registers: u32) -> Program {
    let mut source = format!("func main({registers})\n");
    for state in 0..states {
        let register = 1 + state * 7919 % (registers - 1);
        let (near, far) = (state.saturating_sub(1), state.wrapping_mul(48_271) % states);
        source.push_str(&format!(
            "s{state}: loop\nbranch-if r0 s{near}\nbranch-if r0 s{far}\n"
        ));
        source.push_str(&format!("call r{register} args=0 @f\n"));
    }
    source.push_str("return r0\nfunc f()\nnil r0\nreturn r0\n");
    assembled(&source)
}

#[test]
fn unstructured_control_flow_settles() {
    assert_eq!(settles(chain(300, 10)), Ok(()));
    assert_eq!(settles(chain(5_000, 10)), Ok(()));
    assert_eq!(settles(tangle(20_000, 2_000)), Ok(()));
    assert_eq!(settles(tangle(100_000, 60)), Ok(()));
    assert_eq!(settles(tangle(60, 60_000)), Ok(()));
}

#[test]
fn tangled_control_flow_is_refused_in_bounded_time() {
    let tangled = Err("control flow is too tangled to be analysed".to_owned());
    assert_eq!(settles(chain(20_000, 2_000)), tangled);
    assert_eq!(settles(chain(60_000, 10)), tangled);
}

#[test]
fn wide_reads_and_many_handlers_are_settled_in_bounded_time() {
    let wide = "vector r0 r0 count=65000\n".repeat(4_000);
    assert_eq!(
        settles(assembled(&format!("func main(65000)\n{wide}return r0\n"))),
        Ok(())
    );
    let mut deep = String::from("func main(1)\n");
    deep.push_str(&".try -> out r0\n".repeat(4_096));
    deep.push_str(&"branch-if r0 out\n".repeat(200_000));
    deep.push_str(&".end\n".repeat(4_096));
    deep.push_str("out: return r0\n");
    assert_eq!(settles(assembled(&deep)), Ok(()));
}

#[test]
fn deeply_nested_loops_settle() {
    let mut source = String::from("func main(70)\n");
    (0..60).for_each(|loop_| source.push_str(&format!("head{loop_}: loop\n")));
    (0..60).rev().for_each(|loop_| {
        source.push_str(&format!(
            "branch-if r{loop_} head{loop_}\nmove r{loop_} r{}\n",
            loop_ + 1
        ));
    });
    source.push_str("return r0\n");
    if let Err(error) = verify::verify(assembled(&source)) {
        panic!("{error}");
    }
}
