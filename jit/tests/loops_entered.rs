//! Native code has ways only into loops in which the interpreter would stay, and gets more of them when it does.

use std::sync::{Arc, Mutex};

use pw_isa::op::{Control, Op};
use pw_jit::interp::profile::Profile;
use pw_jit::reference::{self, Outcome};
use pw_jit::tier::{JitCompiler, JitEvent, JitSettings, Watch};
use pw_jit::{CodeSpace, Fiber, Limits, interp};
use testkit::fibers::Surroundings;

/// A function that is called often for two rounds of its loop, and then once for many.
const CALLED_OFTEN: &str = ".entry @main
func triangle(n)
    .locals i sum test
    int i 0
    int sum 0
again:
    loop
    num-eq test i n
    branch-if test done
    add sum sum i
    int r4 1
    add i i r4
    jump again
done:
    return sum
func main()
    .locals i sum test
    int i 0
    int sum 0
again:
    loop
    int r4 2000
    num-eq test i r4
    branch-if test last
    int r5 2
    call r4 args=1 @triangle
    add sum sum r4
    int r4 1
    add i i r4
    jump again
last:
    int r5 ROUNDS
    call r4 args=1 @triangle
    add sum sum r4
    return sum
";

/// A loop in a loop in a loop, each of 60 rounds.
const NESTED: &str = ".entry @main
func main()
    .locals i j k n one sum test
    int i 0
    int n 60
    int one 1
    int sum 0
first:
    loop
    lt test i n
    branch-unless test end
    int j 0
second:
    loop
    lt test j n
    branch-unless test next-of-first
    int k 0
third:
    loop
    lt test k n
    branch-unless test next-of-second
    add sum sum k
    add k k one
    jump third
next-of-second:
    add j j one
    jump second
next-of-first:
    add i i one
    jump first
end:
    return sum
";

/// Where a loop of the first function begins.
const LOOP: u32 = 2;

/// What was compiled: the function, and the loops that its code can be entered at; and for which loops, in turn, it was
/// compiled anew.
#[derive(Default)]
struct Seen {
    compiled: Vec<(u32, Vec<u32>)>,
    lacking: Vec<Vec<u32>>,
    /// At the end: whether the first function has code.
    has_code: bool,
}

struct Watching(Arc<Mutex<Seen>>);

impl Watch for Watching {
    fn event(&self, event: &JitEvent<'_>) {
        let mut seen = self.0.lock().expect("no panic");
        match event {
            JitEvent::Compiled { function, .. } => {
                let loops = function.loops().to_vec();
                seen.compiled.push((function.function(), loops));
            }
            JitEvent::Recompiling { loops, .. } => seen.lacking.push(loops.to_vec()),
            _ => {}
        }
    }
}

/// Runs a program in slices as `pw run` does, but waiting for the compiler, and compares its end with the reference.
fn run(source: &str, slice: u64) -> Seen {
    let mut code = CodeSpace::default();
    let program = pw_isa::text::parse(source).expect("assembly text");
    let number = code.load(pw_isa::verify::verify(program).expect("a program"));
    let settings = JitSettings {
        background: false,
        ..JitSettings::default()
    };
    let seen = Arc::new(Mutex::new(Seen::default()));
    let watch = Box::new(Watching(Arc::clone(&seen)));
    let compiler = JitCompiler::new(settings).expect("a machine with native code");
    let mut profile = Profile::with_compiler(Arc::new(compiler.watched_by(watch)));
    let mut slow = Fiber::new(&code, number, Limits::default());
    let mut fast = slow.clone();
    let expected = reference::run(&mut slow, &code, &mut Surroundings, u64::MAX);
    let outcome = loop {
        match interp::run(&mut fast, &code, &mut Surroundings, &mut profile, slice) {
            Outcome::Preempted => {}
            outcome => break outcome,
        }
    };
    assert_eq!(outcome, expected);
    assert!(fast.to_image(&code) == slow.to_image(&code));
    let native = profile.native().expect("it has one");
    let has_code = native.compiled(number, 0).is_some();
    let seen = std::mem::take(&mut *seen.lock().expect("no panic"));
    Seen { has_code, ..seen }
}

/// The loops at which the code of the first function could be entered, compilation by compilation.
fn of_first(seen: &Seen) -> Vec<Vec<u32>> {
    let of_first = seen.compiled.iter().filter(|(function, _)| *function == 0);
    of_first.map(|(_, loops)| loops.clone()).collect()
}

#[test]
fn a_loop_of_a_function_that_is_called_often_is_entered_when_slices_end_in_it_again_and_again() {
    let source = |rounds: &str| CALLED_OFTEN.replace("ROUNDS", rounds);
    let short = run(&source("1000"), 10_000);
    assert_eq!(of_first(&short), [[0; 0]]);
    let long = run(&source("100000"), 10_000);
    assert_eq!(of_first(&long), [vec![], vec![LOOP]]);
    assert_eq!(long.lacking, [[LOOP]]);
}

#[test]
fn of_loops_in_loops_the_innermost_is_entered() {
    let source = pw_isa::text::parse(NESTED).expect("assembly text");
    let code = &source.functions[0].code;
    let third = code
        .iter()
        .rposition(|op| matches!(op, Op::Control(Control::Loop {})));
    let seen = run(NESTED, u64::MAX);
    let entered = of_first(&seen);
    assert_eq!(entered[0], [third.expect("a loop") as u32]);
    assert!(seen.lacking.iter().all(Vec::is_empty), "{:?}", seen.lacking);
}

#[test]
fn code_that_lacks_many_ways_in_stays() {
    let loops = (0..30).map(|number| {
        format!(
            "    int k 0\nagain{number}:\n    loop\n    lt test k n\n    branch-unless test end{number}\n    \
             add k k one\n    jump again{number}\nend{number}:\n    add sum sum k\n"
        )
    });
    let source = format!(
        ".entry @main\nfunc main()\n    .locals k n one sum test\n    int n 20000\n    int one 1\n    int sum 0\n{}    \
         return sum\n",
        loops.collect::<String>()
    );
    let seen = run(&source, 10_000);
    assert!(seen.lacking.len() > 2, "{:?}", seen.lacking);
    assert!(seen.has_code);
}
