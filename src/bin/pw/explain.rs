//! `pw explain`: what the engine knows about a function, and what it made of it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use physics_world::jit::CodeSpace;
use physics_world::jit::interp::{self, profile::Profile};
use physics_world::jit::optimize::PerformanceSettings;
use physics_world::jit::reference::Outcome;
use physics_world::jit::tier::{CompileError, ExitSite, Explanation, JitSettings};
use physics_world::profile::{ListedInstruction, function_listing};
use physics_world::solo::Solo;
use physics_world::source::BadInput;
use serde_json::{Value as Json, json};

use crate::native::NativeOptions;
use crate::subject::Subject;
use crate::table::{cut, place_text, seen_text, table};
use crate::{failure, input};

/// Functions that are named where one is not found.
const NAMES_MAX: usize = 30;

/// Run a program, and show what the compiler makes of one of its functions.
///
/// The program runs to its end with native code for what is hot. Then its instructions are shown with
/// what was seen at them, how each is compiled (its plan), and where native code was left and why. What
/// the program prints goes to stderr; a program without an end needs --gas.
///
/// Plans: `Ints`, `Floats`: for two numbers of that kind, behind a guard where it is a guess; `Words`: for
/// any values, by tag and bits; `Object`, `Elements`: for an object of that kind; `Known`, `AnyClosure`: a
/// call of the one closure that was seen, or of any; `Inline`: the function of that number stands in place
/// of the call; `Routine`: by a routine of the runtime; `Aside`: by a handler of the interpreter; `Exit`:
/// not, the interpreter does it; `Plain`: nothing is guessed.
///
/// Examples:
///   pw explain examples/fib.jue fib 25
///   pw explain program.jue main --exits
///   pw explain program.jue inner --asm > inner.s
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Explain {
    /// The program: .jue, .pwa or .pwb.
    file: PathBuf,
    /// The function: its name, or # and its number.
    function: String,
    /// Arguments of the program; what reads as a number is one.
    #[arg(allow_negative_numbers = true)]
    arguments: Vec<String>,
    /// Gas it may use; without this, as much as it likes.
    #[arg(long, value_name = "N")]
    gas: Option<u64>,
    /// Logical bytes it may use at any time; without this, 1 GiB.
    #[arg(long, value_name = "BYTES")]
    memory: Option<u64>,
    /// Show Cranelift's intermediate form.
    #[arg(long)]
    clif: bool,
    /// Show machine instructions.
    #[arg(long)]
    asm: bool,
    /// Show where and why native code was left, the most frequent first.
    #[arg(long)]
    exits: bool,
    /// Print one JSON object on stdout, with everything in it.
    #[arg(long)]
    json: bool,
}

/// What is known about the function.
struct Explained {
    /// What the program calls it.
    name: String,
    listing: Vec<ListedInstruction>,
    calls: u64,
    /// Whether it had native code at the end of the run.
    is_native: bool,
    explanation: Result<Explanation, CompileError>,
    exits: Vec<ExitSite>,
    /// How the program ended.
    outcome: String,
}

impl Explain {
    pub(crate) fn execute(self) -> ExitCode {
        match self.explain() {
            Ok(explained) if self.json => {
                input::say(&format!("{}\n", explained.json()));
                ExitCode::SUCCESS
            }
            Ok(explained) => {
                input::say(&self.text(&explained));
                ExitCode::SUCCESS
            }
            Err(bad) => input::refuse(&bad, self.json),
        }
    }

    fn explain(&self) -> Result<Explained, BadInput> {
        let (kind, bytes) = input::read_file(&self.file)?;
        let subject = Subject {
            file: self.file.clone(),
            arguments: self.arguments.clone(),
            gas: self.gas,
            memory: self.memory,
        };
        subject.refuse_vector(kind)?;
        let (code, mut fiber) = subject.begin(kind, &bytes)?;
        let number = self.find(&code)?;
        let jit = JitSettings {
            background: false,
            ..JitSettings::default()
        };
        let settings = PerformanceSettings {
            jit: Some(jit),
            ..PerformanceSettings::default()
        };
        let mut learnt = NativeOptions::default().optimizer(settings)?.worker();
        let mut host = Solo::new(std::io::stderr());
        let outcome = interp::run(&mut fiber, &code, &mut host, &mut learnt, u64::MAX);
        let outcome = match outcome {
            Outcome::Failed(failure) => {
                failure::complain(&failure, &bytes);
                failure.kind.name().to_owned()
            }
            _ => "done".to_owned(),
        };
        Ok(explained(&code, &learnt, number, outcome))
    }

    /// The number of the function that was asked for.
    fn find(&self, code: &CodeSpace) -> Result<u32, BadInput> {
        let program = code.program(0).program();
        let names: Vec<String> = (0..program.functions.len() as u32)
            .map(|number| program.function_name(number))
            .collect();
        let by_number = self
            .function
            .strip_prefix('#')
            .and_then(|text| text.parse().ok());
        let number = names.iter().position(|name| *name == self.function);
        let number = number.or(by_number.filter(|number| *number < names.len()));
        number.map(|number| number as u32).ok_or_else(|| {
            let more = names.len().saturating_sub(NAMES_MAX);
            let mut known = names[..names.len() - more].join(", ");
            if more > 0 {
                known += &format!(" and {more} more (`pw check` lists all)");
            }
            BadInput::new(format!(
                "{}: no function is called {}; there are: {known}",
                self.file.display(),
                self.function
            ))
        })
    }

    fn text(&self, explained: &Explained) -> String {
        let mut out = explained.summary();
        if !(self.clif || self.asm || self.exits) {
            return out + &explained.instructions();
        }
        if self.exits {
            out += &explained.exit_table();
        }
        if let Ok(explanation) = &explained.explanation {
            if self.clif {
                out += &format!("\n{}", explanation.ir);
            }
            if self.asm {
                out += &format!("\n{}", explanation.assembly);
            }
        }
        out
    }
}

fn explained(code: &CodeSpace, learnt: &Profile, number: u32, outcome: String) -> Explained {
    let jit = learnt.native().expect("the profile was made with one");
    let mut counts = learnt.counts(code, 0).into_iter();
    let mut exits: Vec<ExitSite> = jit.exits().filter(|site| site.function == number).collect();
    exits.sort_by_key(|site| std::cmp::Reverse(site.count));
    Explained {
        name: code.program(0).program().function_name(number),
        listing: function_listing(code, learnt, 0, number),
        // The entry of a function stands behind its loops.
        calls: counts
            .rfind(|(function, ..)| *function == number)
            .map_or(0, |(.., count)| count),
        is_native: jit.compiled(0, number).is_some(),
        explanation: jit.compiler().explain(code, learnt, 0, number),
        exits,
        outcome,
    }
}

impl Explained {
    fn summary(&self) -> String {
        let place = self.listing.first().map(|first| place_text(&first.place));
        let native = match &self.explanation {
            Ok(explanation) => format!(
                "{}{} bytes, entries at 0{}",
                if self.is_native {
                    ""
                } else {
                    "not hot; it would have "
                },
                explanation.code.bytes.len(),
                explanation
                    .code
                    .loops
                    .iter()
                    .map(|pc| format!(" and {pc}"))
                    .collect::<String>()
            ),
            Err(error) => format!("none: {error}"),
        };
        let exits: u64 = self.exits.iter().map(|site| site.count).sum();
        format!(
            "{}\ninstructions {}\ncalls        {} counted by the interpreter\nnative code  {native}\nexits        {exits}\n",
            place.unwrap_or_else(|| self.name.clone()),
            self.listing.len(),
            self.calls
        )
    }

    fn plan(&self, pc: u32) -> &str {
        let explanation = self.explanation.as_ref().ok();
        explanation.map_or("", |explanation| &explanation.plans[pc as usize])
    }

    fn instructions(&self) -> String {
        let rows = self.listing.iter().map(|row| {
            let pc = row.place.pc;
            let of_pc = self.exits.iter().filter(|site| site.pc == pc);
            let exits: Vec<String> = of_pc
                .map(|site| format!("{} {}", site.reason.name(), site.count))
                .collect();
            vec![
                pc.to_string(),
                row.seen.count.to_string(),
                cut(&row.text),
                self.plan(pc).to_owned(),
                seen_text(&row.seen),
                exits.join(", "),
            ]
        });
        let heads = ["pc", "seen", "instruction", "plan", "values", "exits"];
        table(&heads, 2, rows.collect())
    }

    fn exit_table(&self) -> String {
        let rows = self.exits.iter().map(|site| {
            let text = cut(&self.listing[site.pc as usize].text);
            let (count, pc) = (site.count.to_string(), site.pc.to_string());
            vec![count, pc, site.reason.name().to_owned(), text]
        });
        table(&["exits", "pc", "reason", "instruction"], 2, rows.collect())
    }

    fn json(&self) -> Json {
        let instructions = self.listing.iter().map(|row| {
            let kinds: Vec<&str> = row.seen.kinds.iter().map(|kind| kind.name()).collect();
            json!({
                "pc": row.place.pc,
                "line": row.place.line,
                "text": row.text,
                "plan": self.plan(row.place.pc),
                "seen": {"count": row.seen.count, "kinds": kinds, "target": row.seen.target},
            })
        });
        let exits = self
            .exits
            .iter()
            .map(|site| json!({"pc": site.pc, "reason": site.reason.name(), "count": site.count}));
        let explanation = self.explanation.as_ref();
        json!({
            "function": self.name,
            "outcome": self.outcome,
            "calls": self.calls,
            "is_native": self.is_native,
            "error": explanation.err().map(ToString::to_string),
            "code_bytes": explanation.ok().map(|explanation| explanation.code.bytes.len()),
            "loops": explanation.ok().map(|explanation| &explanation.code.loops),
            "clif": explanation.ok().map(|explanation| &explanation.ir),
            "asm": explanation.ok().map(|explanation| &explanation.assembly),
            "instructions": instructions.collect::<Json>(),
            "exits": exits.collect::<Json>(),
        })
    }
}
