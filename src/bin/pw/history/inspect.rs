//! `pw inspect`: what a history holds.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use physics_world::source::BadInput;
use serde_json::json;

use super::{replay, silent};
use crate::input;

/// Say what a history, or a bundle of one, holds: its checkpoints, how far it goes, and the actors of its last state or of another.
///
/// Examples:
///   pw inspect history
///   pw inspect --tick 100 --json history
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Inspect {
    /// The directory with the history, or a bundle.
    history: PathBuf,
    /// The state after so many ticks; without this, the last.
    #[arg(long, value_name = "N")]
    tick: Option<u64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
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
            let all = json!({"first_tick": first, "last_tick": last, "tick": tick, "checkpoints": checkpoints, "flaws": flaws,
                "torn_tail": tail, "programs": world.code().len(), "state_bytes": state.size_bytes(), "actors": actors});
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
