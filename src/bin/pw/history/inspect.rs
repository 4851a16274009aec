//! `pw inspect`: what a history holds.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use physics_world::runtime::world::{Input, RecordedInput, RollbackReport};
use physics_world::source::BadInput;
use serde_json::json;

use super::{replay, silent};
use crate::input;

/// Say what a history, or a bundle of one, holds: its checkpoints, how far it goes, and the actors of its last state or of another.
///
/// Examples:
///   pw inspect history
///   pw inspect --tick 100 --json history
///   pw inspect --inputs history
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Inspect {
    /// The directory with the history, or a bundle.
    history: PathBuf,
    /// The state after so many ticks; without this, the last.
    #[arg(long, value_name = "N")]
    tick: Option<u64>,
    /// List all inputs, with their numbers and the ticks before which they took effect.
    #[arg(long)]
    inputs: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Bytes of an input that are shown.
const INPUT_SHOWN: usize = 120;

/// An input in a few words.
fn what(input: &Input) -> String {
    let mut text = match input {
        Input::Load { program } => format!("a program of {} bytes", program.len()),
        Input::Spawn {
            program, function, ..
        } => format!("an actor that runs function {function} of program {program}"),
        Input::Send { to, content, .. } => format!("to actor {to}: {}", content.text()),
        Input::Ask { to, content } => format!("a question to actor {to}: {}", content.text()),
        Input::Once {
            session,
            sequence,
            to,
            content,
            ..
        } => {
            let content = content.text();
            format!("number {sequence} of session {session}, to actor {to}: {content}")
        }
        other => format!("{other:?}"),
    };
    let shown = text.floor_char_boundary(INPUT_SHOWN);
    text.truncate(shown);
    text
}

fn rollback_json(of: &RollbackReport) -> serde_json::Value {
    let conflicts: Vec<_> = of
        .conflicts
        .iter()
        .map(|of| json!({"output": of.number, "actor": of.from.0, "was": of.was, "is": of.is}))
        .collect();
    json!({"number": of.number, "from": of.from, "to": of.to, "without": of.without, "withheld": of.withheld,
        "new_outputs": of.new_outputs, "conflict_count": of.conflict_count, "conflicts": conflicts})
}

/// Actors that are listed as text.
const ACTORS_SHOWN: usize = 64;

impl Inspect {
    pub(crate) fn execute(self) -> ExitCode {
        match self.text() {
            Ok(text) => {
                input::say(&text);
                ExitCode::SUCCESS
            }
            Err(bad) => input::refuse(&bad, self.json),
        }
    }

    fn text(&self) -> Result<String, BadInput> {
        let mut replay = replay(silent(), &self.history)?;
        let (first, last) = replay.range();
        let tick = self.tick.unwrap_or(last);
        let failed = |error| super::bad(&self.history, error);
        replay.go_to(tick).map_err(failed)?;
        let (checkpoints, flaws) = replay.checkpoints();
        let (world, state) = (replay.world(), replay.to_checkpoint());
        let actors = world.actors();
        if self.json {
            let checkpoints: Vec<_> = checkpoints
                .iter()
                .map(|of| json!({"name": of.name, "ticks": of.ticks, "base": of.base, "actors": of.actors, "bytes": of.bytes}))
                .collect();
            let flaws: Vec<_> = flaws
                .iter()
                .map(|flaw| json!({"name": flaw.name, "what": flaw.what}))
                .collect();
            let actors: Vec<_> = actors
                .iter()
                .map(|actor| json!({"id": actor.id.0, "parent": actor.parent.0, "doing": actor.doing.to_string(), "gas": actor.gas,
                    "memory_bytes": actor.memory_bytes, "messages": actor.mailbox_messages}))
                .collect();
            let tail = replay.tail().map(|tail| json!({"name": tail.name, "offset": tail.offset, "bytes": tail.bytes, "what": tail.what}));
            let rollbacks: Vec<_> = replay.rollbacks().iter().map(rollback_json).collect();
            let mut all = json!({"first_tick": first, "last_tick": last, "tick": tick, "checkpoints": checkpoints, "flaws": flaws,
                "torn_tail": tail, "programs": world.code().len(), "state_bytes": state.size_bytes(), "actors": actors,
                "rollbacks": rollbacks});
            if self.inputs {
                let mut inputs = Vec::new();
                let see = |of: &RecordedInput<'_>, left_out| {
                    inputs.push(json!({"number": of.number, "tick": of.tick, "what": what(of.input), "left_out": left_out}));
                };
                replay.see_inputs(see).map_err(failed)?;
                all["inputs"] = inputs.into();
            }
            return Ok(format!("{all}\n"));
        }
        let mut out = format!(
            "history      tick {first} to tick {last}, {} inputs\n",
            replay.input_count()
        );
        for of in &checkpoints {
            let kind = match of.base {
                None => format!("{} actors", of.actors),
                Some(base) => format!(
                    "{} actors changed and {} gone since tick {base}",
                    of.actors, of.gone
                ),
            };
            out += &format!(
                "checkpoint   tick {}: {kind}, {} bytes\n",
                of.ticks, of.bytes
            );
        }
        for flaw in &flaws {
            out += &format!("damaged      {flaw}\n");
        }
        if let Some(tail) = replay.tail() {
            out += &format!(
                "torn tail    {} at byte {}: {} bytes\n",
                tail.name, tail.offset, tail.bytes
            );
        }
        for rollback in replay.rollbacks() {
            out += &super::rollback::text(&rollback);
        }
        if self.inputs {
            let see = |of: &RecordedInput<'_>, left_out| {
                let left_out = if left_out { ", left out" } else { "" };
                let (number, tick) = (of.number, of.tick);
                out += &format!(
                    "input        {number} at tick {tick}{left_out}: {}\n",
                    what(of.input)
                );
            };
            replay.see_inputs(see).map_err(failed)?;
        }
        out += &format!(
            "state        tick {tick}: {} actors, {} programs, {} ms, {} bytes\n",
            actors.len(),
            world.code().len(),
            world.now_ms(),
            state.size_bytes()
        );
        for actor in actors.iter().take(ACTORS_SHOWN) {
            let place = actor
                .place
                .as_ref()
                .map_or(String::new(), |place| format!(" at {place}"));
            out += &format!(
                "  actor {:<6} {}{place}, gas {}, {} messages, {} bytes\n",
                actor.id.0, actor.doing, actor.gas, actor.mailbox_messages, actor.memory_bytes
            );
        }
        if actors.len() > ACTORS_SHOWN {
            out += &format!("  … {} more\n", actors.len() - ACTORS_SHOWN);
        }
        Ok(out)
    }
}
