//! What is shown of a world.

use std::time::Duration;

use physics_world::runtime::hibernation::HibernationStatistics;
use physics_world::runtime::inspect::{ActorStack, ActorView, HeldCapability, StackFrame};
use physics_world::runtime::world::WorldStatistics;
use physics_world::{ActorId, World};
use serde_json::{Value, json};

use crate::hibernating::{hibernation_json, lost};

/// Whether the world runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Running {
    /// It does.
    #[default]
    Runs,
    /// The user has paused it, or the ticks that were asked for are over.
    Paused,
    /// Nobody can run.
    Idle,
    /// Its first actor has ended.
    Ended,
}

impl Running {
    pub(super) fn name(self) -> &'static str {
        match self {
            Running::Runs => "runs",
            Running::Paused => "paused",
            Running::Idle => "idle",
            Running::Ended => "ended",
        }
    }
}

/// A world at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) running: Running,
    pub(super) ticks: u64,
    pub(super) now_ms: u64,
    pub(super) runnable: usize,
    pub(super) statistics: WorldStatistics,
    pub(super) hibernation: Option<HibernationStatistics>,
    pub(super) actors: Vec<ActorView>,
    /// The stack of the selected actor.
    pub(super) stack: Option<(ActorId, ActorStack)>,
    pub(super) anomalies: Vec<String>,
    /// The last lines that the program printed.
    pub(super) output: Vec<String>,
    /// How the first actor ended.
    pub(super) end: Option<String>,
    /// Since the program was started.
    pub(super) time: Duration,
}

impl Snapshot {
    /// A world as it is, with the stack of one actor.
    pub(super) fn of(world: &World, selected: Option<ActorId>) -> Snapshot {
        Snapshot {
            ticks: world.ticks(),
            now_ms: world.now_ms(),
            runnable: world.runnable_count(),
            statistics: world.statistics(),
            hibernation: world.hibernation(),
            actors: world.actors(),
            stack: selected.and_then(|actor| Some((actor, world.stack(actor)?))),
            anomalies: world
                .anomalies()
                .map(ToString::to_string)
                .chain(lost(world))
                .collect(),
            ..Snapshot::default()
        }
    }

    /// All of it for machines.
    pub(super) fn json(&self) -> Value {
        let WorldStatistics {
            slices,
            delivered,
            dead_letters,
            started,
            ended,
            restarts,
            failed,
            ..
        } = self.statistics;
        json!({
            "running": self.running.name(),
            "end": self.end,
            "ticks": self.ticks,
            "world_ms": self.now_ms,
            "runnable": self.runnable,
            "turns": slices,
            "messages": delivered,
            "dead_letters": dead_letters,
            "started": started,
            "ended": ended,
            "restarts": restarts,
            "failed": failed,
            "hibernation": hibernation_json(self.hibernation.as_ref()),
            "anomalies": self.anomalies,
            "output": self.output,
            "actors": self.actors.iter().map(actor_json).collect::<Vec<_>>(),
        })
    }
}

fn actor_json(actor: &ActorView) -> Value {
    let children: Vec<u64> = actor.children.iter().map(|child| child.0).collect();
    let place = actor.place.as_ref();
    json!({
        "id": actor.id.0,
        "parent": actor.parent.0,
        "doing": actor.doing.to_string(),
        "function": place.map(|place| place.function.as_str()),
        "line": place.and_then(|place| place.line),
        "gas": actor.gas,
        "debt": actor.debt,
        "mailbox_messages": actor.mailbox_messages,
        "mailbox_bytes": actor.mailbox_bytes,
        "memory_bytes": actor.memory_bytes,
        "held_bytes": actor.held_bytes,
        "capabilities": actor.capabilities.iter().map(capability_text).collect::<Vec<_>>(),
        "children": children,
    })
}

/// A capability with its limits.
pub(super) fn capability_text(held: &HeldCapability) -> String {
    let parameter = held
        .parameter
        .as_ref()
        .map_or(String::new(), |text| format!(" {text}"));
    let budget = held
        .budget
        .map_or(String::new(), |uses| format!(", {uses} uses"));
    let end = held
        .expires_ms
        .map_or(String::new(), |end| format!(", until {end} ms"));
    format!("{}{parameter}{budget}{end}", held.name)
}

/// A frame with its variables.
pub(super) fn frame_text(frame: &StackFrame) -> String {
    let variables = frame.variables.iter();
    let variables: Vec<String> = variables
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    format!("{}  {}", frame.place, variables.join("  "))
}

#[cfg(test)]
pub(super) mod tests {
    use physics_world::source::{FileKind, load_program};
    use physics_world::{ActorId, World};

    use super::Snapshot;

    /// Three actors: one waits for the others, of which one has a message and one computes.
    pub(in crate::top) fn snapshot() -> Snapshot {
        let source = "(defn spin [] (let loop ((i 0)) (loop (+ i 1))))
(defn deaf [] (spin))
(defn main [] (spawn spin) (send! (spawn deaf) \"hello\") (let ((mine 42)) (receive) mine))";
        let mut world = World::builder().build().unwrap();
        let verified = load_program("x.jue", FileKind::Jue, source.as_bytes()).unwrap();
        let program = world.load(verified);
        world.spawn(program, &[]).unwrap();
        world.run_ticks(6);
        Snapshot::of(&world, Some(ActorId(1)))
    }

    #[test]
    fn the_json_of_a_snapshot_has_the_actors_with_what_they_do() {
        let json = snapshot().json();
        assert_eq!(json["ticks"], 6);
        assert_eq!(json["messages"], 1);
        let actors = json["actors"].as_array().unwrap();
        assert_eq!(actors.len(), 3);
        assert_eq!(actors[0]["doing"], "waits for a message");
        assert_eq!(actors[0]["children"], serde_json::json!([2, 3]));
        assert_eq!(actors[0]["capabilities"][0], "io-console");
        assert_eq!(actors[2]["mailbox_messages"], 1);
    }
}
