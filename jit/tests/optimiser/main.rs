//! What the compiler makes of small loops: the intermediate form that Cranelift is given is looked at, each
//! time beside that of a program where the optimisation would be wrong.
//!
//! | file | what it is about |
//! |---|---|
//! | `main` | the intermediate form as tests see it, programs with a loop |
//! | `inlined` | functions in place of their calls |
//! | `loops` | numbers, guards and checks |
//! | `objects` | pairs and closures that are not made, vectors that are |
//! | `powers` | what actors ask about themselves |
//! | `raises` | errors, calls with lists of arguments, calls that are seldom made |

mod inlined;
mod loops;
mod objects;
mod powers;
mod raises;

use std::collections::{BTreeMap, BTreeSet};

use pw_jit::interp::profile::Profile;
use pw_jit::reference::{self, Outcome};
use pw_jit::tier::{ExitReason, Explanation, JitSettings, Optimizations};
use pw_jit::{CodeSpace, Fiber, Limits, interp};
use testkit::fibers::{Surroundings, load};

/// Cranelift's form of a function.
struct Form {
    /// Instructions by block, and the blocks that each goes on to.
    blocks: BTreeMap<String, Vec<String>>,
    next: BTreeMap<String, BTreeSet<String>>,
    /// Those that stand aside.
    cold: BTreeSet<String>,
    /// How the function's instructions are compiled.
    plans: Vec<String>,
}

/// Runs a program, of which something becomes hot: its number, and what is known about it then. In native code it ends
/// like in the reference.
fn run(optimizations: Optimizations, source: &str) -> (CodeSpace, u32, Profile) {
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
    (code, number, profile)
}

/// How a function is compiled once the program has run.
fn explained(optimizations: Optimizations, source: &str, function: u32) -> Explanation {
    let (code, number, profile) = run(optimizations, source);
    let jit = profile.native().expect("it has one");
    let explanation = jit.compiler().explain(&code, &profile, number, function);
    explanation.expect("code")
}

/// How often native code is left by a program whose calls are calls.
fn exits(source: &str) -> BTreeMap<ExitReason, u64> {
    let called = Optimizations {
        inline: false,
        ..Optimizations::default()
    };
    let (_, _, profile) = run(called, source);
    let jit = profile.native().expect("it has one");
    jit.statistics().exits
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
            cold: BTreeSet::new(),
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
                if line.ends_with(" cold:") {
                    form.cold.insert(block.clone());
                }
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

    /// How many of them stand aside.
    fn count_cold(&self, word: &str) -> usize {
        let lines = self.cold.iter().flat_map(|block| &self.blocks[block]);
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
