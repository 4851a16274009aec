//! The course that a history has taken: what its rollbacks say about the records before them.
//!
//! A rollback is one record, so a history takes another course at once or not at all. It says from which record on the world was done
//! again, which inputs were left out, and how the numbers that the outside has seen go on. Whoever does the history again obeys it: before the first of
//! these records outputs get higher numbers than all there were, inputs that were left out only use up their numbers, and at the rollback
//! itself all other numbers are beyond those of the course that was given up. Checkpoints of that course lie between the two, by
//! the first record of the journal behind them, and are not used.

use std::collections::{BTreeMap, BTreeSet};

use pw_isa::ErrorKind;

use super::{Input, World};
use crate::actor::ActorId;
use crate::checkpoint::{Loaded, RecoveryError, load};
use crate::disk::Disk;
use crate::host::Output;
use crate::journal::{self, Rollback, Survey};
use crate::portable::portable;

/// An output that had left the world, or may have, and that the course which the world has taken does not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutputConflict {
    /// Its number.
    pub number: u64,
    /// Who said it.
    pub from: ActorId,
    /// What was said, cut off where it is long.
    pub was: String,
    /// What the actor says in its place now, if anything: it does not leave the world.
    pub is: Option<String>,
}

/// What a rollback says.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Rolled {
    /// The first record that was taken back.
    pub(crate) from: u64,
    /// Ticks of the state before it.
    pub(crate) ticks: u64,
    /// Records that were left out, in order.
    pub(crate) without: Vec<u64>,
    /// Answers to calls that are not made any more, in order.
    pub(crate) withheld: Vec<u64>,
    /// The numbers of the course that was given up.
    pub(crate) numbers: Numbers,
    /// Outputs of the new course that leave the world, by their numbers, in order.
    pub(crate) fresh: Vec<u64>,
    /// Outputs of the new course that may not have left when the other one said the same: their numbers, and those they had.
    pub(crate) again: BTreeMap<u64, u64>,
    /// The last output of the new course that is one of the above, or leaves no more.
    pub(crate) last_output: u64,
    /// Outputs that the new course does not have; those beyond some thousand are only counted.
    pub(crate) conflicts: Vec<OutputConflict>,
    pub(crate) conflict_count: u64,
}

portable!(struct OutputConflict { number, from, was, is });
portable!(struct Rolled {
    from, ticks, without, withheld, numbers, fresh, again, last_output, conflicts, conflict_count
});

/// The last numbers that were given to what the outside sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) outputs: u64,
    asked: u64,
    sessions: u64,
    actors: u64,
    tenants: u32,
}

portable!(struct Numbers { outputs, asked, sessions, actors, tenants });

impl Numbers {
    /// The higher of each.
    pub(super) fn max(self, other: Numbers) -> Numbers {
        Numbers {
            outputs: self.outputs.max(other.outputs),
            asked: self.asked.max(other.asked),
            sessions: self.sessions.max(other.sessions),
            actors: self.actors.max(other.actors),
            tenants: self.tenants.max(other.tenants),
        }
    }
}

/// What is to be done about a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Treatment {
    /// What it says.
    Done,
    /// Its input uses up its numbers.
    LeftOut,
    /// Nothing.
    Withheld,
}

/// What the rollbacks of a journal say.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    rollbacks: Vec<Rollback>,
    without: BTreeSet<u64>,
    withheld: BTreeSet<u64>,
    /// The record from which on nobody knows what states there should be, if there is one.
    unwitnessed_from: Option<u64>,
}

impl Course {
    /// The course of a journal.
    pub(super) fn of(journal: &Survey) -> Course {
        let mut course = Course::default();
        for rollback in &journal.rollbacks {
            course.without.extend(&rollback.rolled.without);
            course.withheld.extend(&rollback.rolled.withheld);
            course.rollbacks.push(rollback.clone());
        }
        course
    }

    /// What is recorded of states behind this record is not compared with them any more.
    pub(super) fn unwitness(&mut self, from: u64) {
        self.unwitnessed_from = Some(from);
    }

    /// It is compared again.
    pub(super) fn witness_again(&mut self) {
        self.unwitnessed_from = None;
    }

    /// Whether a state that the journal knows of is one of the course, by the number of its record.
    pub(super) fn is_witnessed(&self, record: u64) -> bool {
        let mut rollbacks = self.rollbacks.iter();
        self.unwitnessed_from.is_none_or(|from| record < from)
            && !rollbacks.any(|of| (of.rolled.from..of.number).contains(&record))
    }

    /// Whether a checkpoint is of it, by the first record behind the checkpoint.
    pub(super) fn has(&self, record: u64) -> bool {
        let mut rollbacks = self.rollbacks.iter();
        !rollbacks.any(|of| of.rolled.from < record && record <= of.number)
    }

    /// What is to be done about a record.
    pub(super) fn treatment(&self, record: u64) -> Treatment {
        if self.without.contains(&record) {
            Treatment::LeftOut
        } else if self.withheld.contains(&record) {
            Treatment::Withheld
        } else {
            Treatment::Done
        }
    }

    /// Outputs have higher numbers than this from a record on.
    pub(super) fn outputs_before(&self, record: u64) -> Option<u64> {
        let rollbacks = self.rollbacks.iter();
        let outputs = rollbacks
            .filter(|of| of.rolled.from == record)
            .map(|of| of.rolled.numbers.outputs);
        outputs.max()
    }

    /// Those of the outputs behind the one that was released last that are to leave, in order.
    pub(super) fn leaving(&self, outputs: Vec<Output>, released: u64) -> Vec<Output> {
        let mut leaving: Vec<Output> = outputs
            .into_iter()
            .filter_map(|output| self.leaves(output))
            .filter(|output| output.number > released)
            .collect();
        leaving.sort_by_key(|output| output.number);
        leaving
    }

    fn leaves(&self, output: Output) -> Option<Output> {
        let number = output.number;
        let is_of =
            |rolled: &Rolled| (rolled.numbers.outputs + 1..=rolled.last_output).contains(&number);
        let mut rollbacks = self.rollbacks.iter().rev().map(|of| &of.rolled);
        let Some(rolled) = rollbacks.find(|rolled| is_of(rolled)) else {
            return Some(output);
        };
        if rolled.fresh.binary_search(&number).is_ok() {
            return Some(output);
        }
        let number = *rolled.again.get(&number)?;
        Some(Output { number, ..output })
    }

    /// The rollbacks of the course.
    pub(super) fn rollbacks(&self) -> &[Rollback] {
        &self.rollbacks
    }
}

/// The newest state of at most so many ticks that is of the course of a history, the journal behind it, and that course.
pub(super) fn load_course(
    disk: &dyn Disk,
    threads: usize,
    ticks_max: u64,
    records_max: u64,
) -> Result<(Loaded, Survey, Course), RecoveryError> {
    let mut course = Course::default();
    loop {
        let loaded = load(disk, threads, ticks_max, |record| {
            record <= records_max && course.has(record)
        })?;
        let journal = journal::survey(disk, loaded.head.journal)?;
        course = Course::of(&journal);
        if course.has(loaded.head.journal) {
            return Ok((loaded, journal, course));
        }
        // It is of a course that was given up: an older one is not.
    }
}

/// What a client is told that says again what was left out.
const LEFT_OUT: &str = "a rollback of the history has left this out";

impl World {
    /// The last numbers that were given to what the outside sees.
    pub(super) fn numbers(&self) -> Numbers {
        Numbers {
            outputs: self.outside.outputs,
            asked: self.outside.asked,
            sessions: self.outside.sessions.opened(),
            actors: self.next_id,
            tenants: self.tenants,
        }
    }

    /// Numbers that another course has given are not given again.
    pub(super) fn go_beyond(&mut self, numbers: Numbers) {
        self.number_outputs_beyond(numbers.outputs);
        self.outside.asked = self.outside.asked.max(numbers.asked);
        self.outside.sessions.open_beyond(numbers.sessions);
        self.next_id = self.next_id.max(numbers.actors);
        self.tenants = self.tenants.max(numbers.tenants);
    }

    /// Outputs have higher numbers than this.
    pub(super) fn number_outputs_beyond(&mut self, outputs: u64) {
        self.outside.outputs = self.outside.outputs.max(outputs);
    }

    /// An input is left out: what comes after it has the numbers that it had.
    pub(super) fn leave_out(&mut self, input: &Input) {
        match input {
            Input::Spawn { .. } => {
                self.next_id += 1;
                self.tenants = self.tenants.saturating_add(1);
            }
            Input::Ask { .. } => self.outside.asked += 1,
            Input::OpenSession => {
                let opened = self.outside.sessions.opened();
                self.outside.sessions.open_beyond(opened + 1);
            }
            Input::Once {
                session,
                sequence,
                asks,
                ..
            } => {
                let refused = (ErrorKind::Error, LEFT_OUT.to_owned());
                let is_new = self.outside.sessions.refuse((*session, *sequence), refused);
                self.outside.asked += u64::from(is_new && *asks);
            }
            _ => {}
        }
    }
}
