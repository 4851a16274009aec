//! What `pw recover` leaves out of a history, and what it says about that.

use std::path::Path;

use clap::Args;
use physics_world::World;
use physics_world::runtime::world::{HistorySettings, RecordedInput, RollbackReport};

use super::{Refused, bad, own_history, tell};

/// What is left out of a history.
#[derive(Args)]
pub(crate) struct Rollback {
    /// Leave these inputs out, by the numbers that `pw inspect --inputs` shows, and do all others again. What was printed and is not printed any more
    /// is told; nothing is printed twice.
    #[arg(long, value_name = "INPUT", value_delimiter = ',')]
    without: Vec<u64>,
    /// Leave out all that was said in these sessions.
    #[arg(long, value_name = "SESSION", value_delimiter = ',')]
    without_session: Vec<u64>,
    /// Do everything again from the state after so many ticks on, also if nothing is left out; with --without, leave out only what came
    /// since then.
    #[arg(long, value_name = "TICK")]
    rollback_to: Option<u64>,
}

impl Rollback {
    /// Whether anything is to be done again.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.rollback_to.is_some() || !self.without.is_empty() || !self.without_session.is_empty()
    }

    fn leaves_out(&self, recorded: &RecordedInput<'_>) -> bool {
        let session = recorded.session();
        let is_named = self.without.contains(&recorded.number)
            || session.is_some_and(|session| self.without_session.contains(&session));
        is_named && self.rollback_to.is_none_or(|tick| tick <= recorded.tick)
    }
}

/// A new world goes on with a history, without some inputs; what has come of that is told on stderr.
pub(crate) fn roll_back(
    world: &mut World,
    directory: &Path,
    settings: HistorySettings,
    rollback: &Rollback,
) -> Result<(), Refused> {
    let disk = own_history(directory)?;
    let mut missing = rollback.without.clone();
    let leave_out = |recorded: &RecordedInput<'_>| {
        missing.retain(|number| *number != recorded.number);
        rollback.leaves_out(recorded)
    };
    let done = world.keep_history_without(disk, settings, rollback.rollback_to, leave_out);
    let (recovery, report) = done.map_err(|error| bad(directory, error))?;
    for number in missing {
        note!("not found    there is no input {number} that was not left out before");
    }
    crate::note::write(&text(&report));
    tell(&recovery);
    Ok(())
}

/// A rollback in words.
pub(crate) fn text(report: &RollbackReport) -> String {
    let why = report.why.as_ref();
    let why = why.map_or(String::new(), |why| format!("by itself    {why}\n"));
    let mut out = format!(
        "{why}rollback     from tick {} to tick {}: {} inputs left out, {} answers withheld, {} new outputs, {} conflicts\n",
        report.from,
        report.to,
        report.without.len(),
        report.withheld.len(),
        report.new_outputs,
        report.conflict_count
    );
    if !report.without.is_empty() {
        let numbers = report.without.iter().map(u64::to_string);
        out += &format!("left out     {}\n", numbers.collect::<Vec<_>>().join(", "));
    }
    for conflict in &report.conflicts {
        let now = conflict.is.as_deref();
        out += &format!(
            "conflict     output {} of actor {} was heard: {}; now {}\n",
            conflict.number,
            conflict.from,
            conflict.was,
            now.map_or("there is none".to_owned(), |is| format!("it is: {is}"))
        );
    }
    out
}
