//! At which of its loops the native code of a function can be entered.
//!
//! A way into the middle of a function is dear: it makes sure of all that the loop takes for granted, and what the loop
//! and those around it use can come from two places then, so that each of them keeps it in registers of its own. So there
//! are ways only into loops where the interpreter would stay long: those that go many rounds each time their function is
//! entered, and have no loop inside that goes even more. The others are left soon, or come to where there is a way in.
//! Where the interpreter stays in one of them nevertheless, the function is compiled once more, with a way into that.

use std::collections::BTreeMap;

use pw_isa::op::{Control, Op};

use crate::interp::profile::Passes;

/// A loop in which the interpreter stays has gone this part of the rounds that make a function hot,
const PART_OF_HEAT: u64 = 4;
/// and so many for each time that its function was entered.
const ROUNDS_TO_STAY: u64 = 4;
/// Rounds in the interpreter, in times of those that make a function hot, before a way into a loop is worth compiling its
/// function anew.
const HEATS_TO_COMPILE_ANEW: u64 = 4;

/// The rounds that the loops of a function had gone at a time, by pc.
#[derive(Debug, Default)]
pub(super) struct Rounds(BTreeMap<u32, u64>);

impl Rounds {
    pub(super) fn of(passes: Passes) -> Rounds {
        Rounds(passes.loops)
    }

    /// The loops that code which was asked for with ways into `asked` could not be entered at, and that the interpreter has
    /// stayed in for long since then, when so many rounds make a function hot. At its beginning code can always be entered.
    pub(super) fn lacking(&self, passes: &Passes, asked: &[u32], heat: u64) -> Vec<u32> {
        let least = heat.saturating_mul(HEATS_TO_COMPILE_ANEW).max(1);
        let stays = passes.loops.iter().filter(|(pc, rounds)| {
            let before = self.0.get(pc).copied().unwrap_or(0);
            **pc > 0 && rounds.saturating_sub(before) >= least
        });
        let lacking = stays.map(|(pc, _)| *pc);
        lacking
            .filter(|pc| asked.binary_search(pc).is_err())
            .collect()
    }
}

/// The loops of a function that code for it is to be entered at, when so many rounds make a function hot: all of them when
/// that is none, and always those that nobody counts.
pub(super) fn to_enter(code: &[Op], passes: &Passes, heat: u64) -> Vec<u32> {
    let of_code = (0..)
        .zip(code)
        .filter(|(_, op)| matches!(op, Op::Control(Control::Loop {})));
    let of_code = of_code.map(|(pc, _)| pc);
    if heat == 0 {
        return of_code.collect();
    }
    let mut entered: Vec<u32> = of_code
        .filter(|pc| !passes.loops.contains_key(pc))
        .collect();
    let ends = ends(code);
    let least = passes.entries.saturating_mul(ROUNDS_TO_STAY);
    let least = least.max(heat / PART_OF_HEAT);
    // Those that the place at hand is inside of, each with fewer rounds than the one around it.
    let mut around: Vec<(u32, u64)> = Vec::new();
    let loops = passes.loops.iter().map(|(pc, rounds)| (*pc, *rounds));
    for (pc, rounds) in loops.filter(|(_, rounds)| *rounds >= least) {
        let is_over = |outer: u32| ends.get(&outer).is_none_or(|end| *end < pc);
        while let Some((outer, of_outer)) = around.pop() {
            if is_over(outer) {
                entered.push(outer);
            } else if rounds < of_outer {
                around.push((outer, of_outer));
                break;
            }
        }
        around.push((pc, rounds));
    }
    entered.extend(around.into_iter().map(|(pc, _)| pc));
    entered.sort_unstable();
    entered
}

/// The last pc that goes back to each pc.
fn ends(code: &[Op]) -> BTreeMap<u32, u32> {
    let ways = (0..)
        .zip(code)
        .filter_map(|(pc, op)| Some((op.label()?, pc)));
    ways.filter(|(to, from)| to <= from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function with a loop at 1 that has those at 3 and 6 inside, and one at 11.
    const SOURCE: &str = ".entry @f
func f(x)
    move r2 x
outer:
    loop
    move r2 x
first:
    loop
    move r2 x
    branch-if x first
second:
    loop
    move r2 x
    branch-if x second
    branch-if x outer
    move r2 x
last:
    loop
    branch-if x last
    return x
";

    fn passes(entries: u64, loops: [u64; 4]) -> Passes {
        let loops = [1, 3, 6, 11].into_iter().zip(loops).collect();
        Passes { entries, loops }
    }

    fn entered(entries: u64, loops: [u64; 4], heat: u64) -> Vec<u32> {
        let program = pw_isa::text::parse(SOURCE).expect("assembly text");
        let code = &program.functions[0].code;
        to_enter(code, &passes(entries, loops), heat)
    }

    #[test]
    fn loops_that_go_long_are_entered_unless_one_inside_goes_longer() {
        assert_eq!(entered(1, [20, 900, 100, 0], 500), [3]);
        assert_eq!(entered(1, [200, 900, 800, 130], 500), [3, 6, 11]);
        assert_eq!(entered(1, [900, 200, 100, 0], 500), [1, 3]);
        assert_eq!(entered(0, [0; 4], 0), [1, 3, 6, 11]);
    }

    #[test]
    fn loops_of_a_function_that_is_called_often_are_entered_when_they_go_long_each_time() {
        assert_eq!(entered(400, [400, 800, 900, 1_599], 500), [0; 0]);
        assert_eq!(entered(400, [400, 800, 900, 1_600], 500), [11]);
    }

    #[test]
    fn a_loop_that_nobody_counts_is_entered() {
        let program = pw_isa::text::parse(SOURCE).expect("assembly text");
        let mut passes = passes(1, [20, 900, 100, 0]);
        passes.loops.remove(&6);
        assert_eq!(to_enter(&program.functions[0].code, &passes, 500), [3, 6]);
    }

    #[test]
    fn a_loop_in_which_the_interpreter_stays_is_missed() {
        let before = Rounds::of(passes(500, [0, 900, 100, 0]));
        let now = passes(500, [0, 2_900, 2_099, 2_000]);
        assert_eq!(before.lacking(&now, &[], 500), [3, 11]);
        assert_eq!(before.lacking(&now, &[3], 500), [11]);
        assert_eq!(before.lacking(&now, &[3, 11], 500), [0; 0]);
    }
}
