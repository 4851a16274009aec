//! Native code under a budget: the coldest goes, and its pages really are given back. One test a process,
//! for it looks at all executable memory of its process.

use std::sync::Arc;

use pw_jit::interp::profile::Profile;
use pw_jit::reference::{self, Outcome};
use pw_jit::tier::{CompilationBudget, JitCompiler, JitSettings};
use pw_jit::{CodeSpace, Fiber, Limits, interp};
use testkit::fibers::Surroundings;

/// Functions of the program, each with a loop.
const FUNCTIONS: u32 = 24;
/// Pages that may be in use: far fewer than there are functions.
const PAGES: u64 = 6;

/// `main` calls all functions, again and again.
fn source() -> String {
    let calls: String = (0..FUNCTIONS)
        .map(|n| format!("    call r4 args=0 @f{n}\n"))
        .collect();
    let functions: String = (0..FUNCTIONS)
        .map(|n| {
            let end = 20 + n;
            format!(
                "func f{n}()\n    int r0 0\n    int r1 {end}\n    int r2 1\nL3:\n    loop\n    \
                 add r0 r0 r2\n    lt r3 r0 r1\n    branch-if r3 L3\n    return r0\n"
            )
        })
        .collect();
    format!(
        ".entry @main\nfunc main()\n    int r0 0\n    int r1 400\n    int r2 1\nL3:\n    loop\n{calls}    \
         add r0 r0 r2\n    lt r3 r0 r1\n    branch-if r3 L3\n    return r0\n{functions}"
    )
}

/// Bytes of executable memory that belongs to no file.
fn executable_bytes() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("this is Linux");
    let code = maps.lines().filter_map(|line| {
        let mut parts = line.split_ascii_whitespace();
        let (range, rights) = (parts.next()?, parts.next()?);
        let inode = parts.nth(2)?;
        // What the kernel itself maps has a name in brackets.
        if !rights.contains('x') || inode != "0" || parts.next().is_some() {
            return None;
        }
        assert!(!rights.contains('w'), "writable code: {line}");
        let (from, to) = range.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).expect("an address");
        Some(number(to) - number(from))
    });
    code.sum()
}

#[test]
fn what_is_cold_makes_room_and_memory_is_given_back() {
    let settings = JitSettings {
        budget: CompilationBudget {
            code_bytes: PAGES * 4096,
            ..CompilationBudget::default()
        },
        ..JitSettings::eager()
    };
    let before = executable_bytes();
    let compiler = Arc::new(JitCompiler::new(settings).expect("a machine with native code"));
    let mut code = CodeSpace::default();
    let program = pw_isa::text::parse(&source()).expect("assembly text");
    let number = code.load(pw_isa::verify::verify(program).expect("a program"));
    let mut slow = Fiber::new(&code, number, Limits::default());
    let fast = slow.clone();
    let expected = reference::run(&mut slow, &code, &mut Surroundings, u64::MAX);
    let mut workers: Vec<(Profile, Fiber)> = (0..2)
        .map(|_| (Profile::with_compiler(Arc::clone(&compiler)), fast.clone()))
        .collect();
    let mut running = workers.len();
    while running > 0 {
        running = 0;
        for (profile, fiber) in &mut workers {
            let outcome = interp::run(fiber, &code, &mut Surroundings, profile, 5_000);
            match outcome {
                Outcome::Preempted => running += 1,
                outcome => assert_eq!(outcome, expected),
            }
            // Four ways in and out; and what one worker has not looked at yet, the other still holds.
            let most = (4 + 2 * PAGES) * 4096;
            assert!(executable_bytes() - before <= most);
            assert_eq!(
                executable_bytes() - before,
                compiler.statistics().code_bytes
            );
        }
    }
    for (profile, fiber) in &workers {
        assert!(fiber.to_image(&code) == slow.to_image(&code));
        assert!(profile.native().expect("it has one").statistics().entries > 0);
    }
    let statistics = compiler.statistics();
    assert!(statistics.evicted > 0, "{statistics:?}");
    assert!(statistics.compiled > u64::from(FUNCTIONS), "{statistics:?}");
    drop((workers, compiler));
    assert_eq!(executable_bytes(), before);
}
