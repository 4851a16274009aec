//! Generated programs mean the same to the compiler and to a plain evaluator.
//!
//! The generator favours what a compiler can get wrong: variables that are set while an expression
//! that reads them is half evaluated, loops that permute their variables, closures made in loops,
//! local functions that call each other in and out of tail position, values raised across all of it.

mod code;
mod evaluate;
mod generate;

use physics_world::lang;
use pw_isa::verify::verify;
use pw_jit::host::{Answer, Effect, Host, Kept};
use pw_jit::reference::{self, Outcome};
use pw_jit::text::{Style, value_text};
use pw_jit::{CodeSpace, Fiber, Limits};

use code::Code;
use evaluate::{Evaluator, Stop};
use generate::{Generator, Known};

struct NoHost;

impl Host for NoHost {
    fn effect(&mut self, _: &CodeSpace, _: Option<&Kept>, _: Effect) -> Answer {
        Answer::error("there is no host")
    }
}

fn run(source: &str) -> String {
    let program = lang::compile("generated.jue", source)
        .unwrap_or_else(|errors| panic!("{source}\n{errors}"));
    let verified = verify(program).unwrap_or_else(|error| panic!("{source}\n{error}"));
    let mut code = CodeSpace::new([1, 2]);
    let program = code.load(verified);
    let mut fiber = Fiber::new(&code, program, Limits::default());
    match reference::run(&mut fiber, &code, &mut NoHost, 1_000_000) {
        Outcome::Done(value) => value_text(fiber.heap(&code), value, Style::Quoted),
        outcome => format!("{outcome:?}"),
    }
}

#[test]
fn generated_programs_agree_with_the_evaluator() {
    let mut compared = 0;
    for seed in 1..=6_000_u64 {
        let mut generator = Generator {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            names: 0,
        };
        let size = 10 + generator.below(70);
        let known = [Known::Int("a".to_owned()), Known::Int("b".to_owned())];
        let code = generator.code(&known, size);
        let whole = Code::Let(
            "let",
            vec![("a".into(), Code::Int(3)), ("b".into(), Code::Int(-2))],
            Box::new(code),
        );
        let mut evaluator = Evaluator {
            steps_left: 20_000,
            depth: 0,
        };
        let expected = match evaluator.int(&whole, &None) {
            Ok(value) => value.to_string(),
            Err(Stop::Raised(value)) => format!("(raised {value})"),
            Err(Stop::TooLong) => continue,
        };
        compared += 1;
        // At top level in one half, in a function in the other.
        let body = format!("(try {whole} (catch e (list 'raised e)))");
        let source = if seed % 2 == 0 {
            body
        } else {
            format!("(define (f) {body}) (f)")
        };
        assert_eq!(run(&source), expected, "seed {seed}:\n{source}");
    }
    assert!(compared > 4_000, "only {compared} programs ended in time");
}
