//! `pw compare`: a program in the interpreter and in native code, side by side.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use physics_world::jit::interp::profile::Profile;
use physics_world::jit::optimize::PerformanceSettings;
use physics_world::source::BadInput;
use serde_json::json;

use crate::input;
use crate::native::{NativeOptions, milliseconds};
use crate::subject::Subject;
use crate::table::table;
use crate::trial::{self, Shown, difference};

/// Run a program in the interpreter and in native code, and compare.
///
/// The runs alternate, so that both see the same machine; each starts from nothing, and a run in native
/// code includes the time to compile it. Result, printed text, gas and final state must be equal in all
/// runs. A program that fails is compared by its error.
///
/// Exit codes: 0 all runs agree, 1 something other than time differs, 2 usage or bad input.
///
/// Examples:
///   pw compare examples/fib.jue 25
///   pw compare --runs 9 --json program.jue
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Compare {
    #[command(flatten)]
    subject: Subject,
    /// Runs in each tier; the median of their times is shown.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// What the runs of a tier showed.
struct Side {
    shown: Vec<Shown>,
    times: Vec<Duration>,
}

impl Compare {
    pub(crate) fn execute(self) -> ExitCode {
        match self.compare() {
            Ok(sides) => self.report(&sides),
            Err(bad) => input::refuse(&bad, self.json),
        }
    }

    fn compare(&self) -> Result<[Side; 2], BadInput> {
        let (kind, bytes) = input::read_file(&self.subject.file)?;
        self.subject.refuse_vector(kind)?;
        let mut sides = [(); 2].map(|()| Side {
            shown: Vec::new(),
            times: Vec::new(),
        });
        for _ in 0..self.runs {
            let native = NativeOptions::default().optimizer(PerformanceSettings::default())?;
            for (side, profile) in sides.iter_mut().zip([Profile::default(), native.worker()]) {
                let (code, fiber) = self.subject.begin(kind, &bytes)?;
                let (shown, time) = trial::run(fiber, &code, &mut { profile });
                side.shown.push(shown);
                side.times.push(time);
            }
        }
        Ok(sides)
    }

    fn report(&self, [interp, native]: &[Side; 2]) -> ExitCode {
        let first = &interp.shown[0];
        let mut all = interp.shown.iter().chain(&native.shown);
        let different = all.find(|shown| *shown != first);
        let times = [interp.median(), native.median()].map(milliseconds);
        let ratio = times[1] / times[0].max(1e-9);
        if self.json {
            let other = different.map(|shown| {
                json!({
                    "outcome": shown.outcome,
                    "gas": shown.gas,
                    "state": shown.state,
                    "printed": String::from_utf8_lossy(&shown.printed),
                })
            });
            let report = json!({
                "outcome": first.outcome,
                "gas": first.gas,
                "state": first.state,
                "equal": different.is_none(),
                "different": other,
                "runs": self.runs,
                "interpreter_ms": times[0],
                "native_ms": times[1],
                "ratio": ratio,
            });
            input::say(&format!("{report}\n"));
        } else {
            let row = |name: &str, side: &Side, time: f64, ratio: f64| {
                let shown = &side.shown[0];
                let time = format!("{time:.3} ms");
                let ratio = format!("{ratio:.2}");
                vec![time, ratio, shown.gas.to_string(), name.to_owned()]
            };
            let rows = vec![
                row("interpreter", interp, times[0], 1.0),
                row("native", native, times[1], ratio),
            ];
            let heads = ["median time", "ratio", "gas", "tier"];
            input::say(&format!("{}\n{}", first.outcome, table(&heads, 3, rows)));
        }
        let Some(other) = different else {
            return ExitCode::SUCCESS;
        };
        if !self.json {
            note!("{}", difference(first, other));
        }
        ExitCode::from(input::PROGRAM_FAILED)
    }
}

impl Side {
    fn median(&self) -> Duration {
        trial::median(&self.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(gas: u64, times: [u64; 3]) -> Side {
        let shown = Shown {
            outcome: "1".to_owned(),
            succeeded: true,
            gas,
            state: "s".to_owned(),
            printed: Vec::new(),
        };
        Side {
            shown: vec![shown; 3],
            times: times.map(Duration::from_millis).to_vec(),
        }
    }

    #[test]
    fn runs_that_differ_are_told_by_the_exit_code_and_in_words() {
        let [same, again, other] = [side(7, [9, 1, 2]), side(7, [1, 2, 3]), side(8, [1, 2, 3])];
        assert_eq!(same.median(), Duration::from_millis(2));
        let text = difference(&same.shown[0], &other.shown[0]);
        assert_eq!(text, "the runs differ in their gas: expected 7, found 8");
        assert_eq!(difference(&same.shown[0], &again.shown[0]), "");
    }
}
