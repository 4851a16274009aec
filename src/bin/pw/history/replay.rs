//! `pw replay`: what happened, again; and where two histories part.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use physics_world::ActorId;
use physics_world::runtime::inspect::ActorStack;
use physics_world::runtime::world::Replay as Replayed;
use physics_world::source::BadInput;

use super::{bad, replay, silent};
use crate::input;

/// Do again what is in a history, or in a bundle of one. Nothing leaves the world: what it prints is shown with --print only.
///
/// With --step, commands are read from stdin: n (a tick forward), b (a tick back), g TICK (to a tick), a (all actors), s ACTOR (a
/// stack), w ACTOR (watch an actor: it is shown after each command), q.
///
/// Examples:
///   pw replay history
///   pw replay --to 100 --step history
///   pw replay --to-actor 3@120000 history
///   pw replay --against other-history history
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Replay {
    /// The directory with the history, or a bundle.
    history: PathBuf,
    /// Stop after so many ticks; without this, at the end.
    #[arg(long, value_name = "TICK")]
    to: Option<u64>,
    /// Stop in the middle of a turn: where this actor had used so much gas.
    #[arg(long, value_name = "ACTOR@GAS", value_parser = actor_at_gas, conflicts_with_all = ["to", "step"])]
    to_actor: Option<(ActorId, u64)>,
    /// Go forward and backward by commands.
    #[arg(long)]
    step: bool,
    /// Print what the world printed.
    #[arg(long)]
    print: bool,
    /// Say on stderr what happens.
    #[arg(long)]
    trace: bool,
    /// Say where this history parts from another: the tick, the actor, and what differs. Exit 1 when it does.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["to", "to_actor", "step"])]
    against: Option<PathBuf>,
}

fn actor_at_gas(text: &str) -> Result<(ActorId, u64), String> {
    let parts = text.split_once('@').and_then(|(actor, gas)| {
        let (actor, gas) = (actor.parse().ok()?, gas.parse().ok()?);
        Some((ActorId(actor), gas))
    });
    parts.ok_or_else(|| "an actor and its gas, as 3@120000".to_owned())
}

/// Ticks between two looks at the progress.
const PROGRESS_TICKS: u64 = 1_024;

impl Replay {
    pub(crate) fn execute(self) -> ExitCode {
        match self.run() {
            Ok(code) => code,
            Err(bad) => input::refuse(&bad, false),
        }
    }

    fn run(&self) -> Result<ExitCode, BadInput> {
        let mut replayed = replay(silent(), &self.history)?;
        if self.trace {
            replayed.observe(|event| note!("{event}"));
        }
        if self.print {
            replayed.hear(|call| input::say(&format!("{}\n", call.text())));
        }
        let failed = |error| bad(&self.history, error);
        if let Some(other) = &self.against {
            let mut other = replay(silent(), other)?;
            let found = replayed.first_divergence(&mut other).map_err(failed)?;
            return Ok(match found {
                Some(divergence) => {
                    input::say(&format!("they part at {divergence}\n"));
                    ExitCode::from(input::PROGRAM_FAILED)
                }
                None => {
                    input::say("they are the same where both are known\n");
                    ExitCode::SUCCESS
                }
            });
        }
        if let Some((actor, gas)) = self.to_actor {
            let stack = replayed.go_to_actor(actor, gas).map_err(failed)?;
            return match stack {
                Some(stack) => {
                    let tick = replayed.tick();
                    input::say(&format!("actor {actor} in tick {tick}, gas {gas}\n"));
                    input::say(&stack_text(&stack));
                    Ok(ExitCode::SUCCESS)
                }
                None => Err(failed_actor(&self.history, actor, gas)),
            };
        }
        let to = self.to.unwrap_or(replayed.range().1);
        self.go_to(&mut replayed, to)?;
        input::say(&summary(&replayed));
        if self.step {
            self.commands(&mut replayed);
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Goes to a tick, and shows how far it is.
    fn go_to(&self, replayed: &mut Replayed, to: u64) -> Result<(), BadInput> {
        let failed = |error| bad(&self.history, error);
        let bar = ProgressBar::new(to.saturating_sub(replayed.tick()));
        if let Ok(style) = ProgressStyle::with_template("{bar:40} tick {pos} of {len}, {eta}") {
            bar.set_style(style);
        }
        let ((first, last), begin) = (replayed.range(), replayed.tick());
        if !(first..=last).contains(&to) {
            return replayed.go_to(to).map_err(failed);
        }
        while replayed.tick() < to {
            let next = to.min(replayed.tick() + PROGRESS_TICKS);
            if self.print || self.trace {
                replayed.forward_from_here(next).map_err(failed)?;
            } else {
                replayed.go_to(next).map_err(failed)?;
            }
            bar.set_position(replayed.tick() - begin);
        }
        bar.finish_and_clear();
        replayed.go_to(to).map_err(failed)
    }

    fn commands(&self, replayed: &mut Replayed) {
        let mut watched = None;
        let prompt = |replayed: &Replayed| {
            if std::io::stdin().is_terminal() {
                input::say(&format!("{}> ", replayed.tick()));
            }
        };
        prompt(replayed);
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            let mut words = line.split_whitespace();
            let (command, number) = (words.next().unwrap_or("n"), words.next());
            let number = number.and_then(|number| number.parse::<u64>().ok());
            let done = match (command, number) {
                ("q", _) => return,
                ("n", _) => replayed.forward(),
                ("b", _) => replayed.back(),
                ("g", Some(tick)) => replayed.go_to(tick),
                ("a", _) => {
                    for actor in replayed.world().actors() {
                        let text =
                            format!("actor {} {}, gas {}\n", actor.id, actor.doing, actor.gas);
                        input::say(&text);
                    }
                    Ok(())
                }
                ("s", Some(actor)) => {
                    show_actor(replayed, ActorId(actor));
                    Ok(())
                }
                ("w", Some(actor)) => {
                    watched = Some(ActorId(actor));
                    Ok(())
                }
                _ => {
                    note!("n, b, g TICK, a, s ACTOR, w ACTOR or q; not: {line}");
                    Ok(())
                }
            };
            match done {
                Ok(()) => input::say(&summary(replayed)),
                Err(error) => note!("{error}"),
            }
            if let Some(actor) = watched {
                show_actor(replayed, actor);
            }
            prompt(replayed);
        }
    }
}

fn failed_actor(history: &std::path::Path, actor: ActorId, gas: u64) -> BadInput {
    bad(history, format!("actor {actor} never used {gas} gas in it"))
}

fn show_actor(replayed: &Replayed, actor: ActorId) {
    match replayed.world().actor(actor) {
        Some(view) => {
            let messages = view.mailbox_messages;
            input::say(&format!(
                "actor {actor} {}, gas {}, {messages} messages\n",
                view.doing, view.gas
            ));
            let stack = replayed.world().stack(actor);
            input::say(&stack.as_ref().map_or(String::new(), stack_text));
        }
        None => input::say(&format!("there is no actor {actor} at this tick\n")),
    }
}

fn summary(replayed: &Replayed) -> String {
    let (world, (from, to)) = (replayed.world(), replayed.range());
    format!(
        "tick {} of {from} to {to}: {} actors, {} can run, {} ms\n",
        replayed.tick(),
        world.actor_count(),
        world.runnable_count(),
        world.now_ms()
    )
}

fn stack_text(stack: &ActorStack) -> String {
    let mut out = String::new();
    for frame in &stack.frames {
        out += &format!("  {}\n", frame.place);
        for (name, value) in &frame.variables {
            out += &format!("    {name} = {value}\n");
        }
    }
    if stack.omitted > 0 {
        out += &format!("  … {} frames are left out of the middle\n", stack.omitted);
    }
    out
}
