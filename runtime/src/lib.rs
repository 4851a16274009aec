//! Actors: worlds, ticks, messages, capabilities and quotas.
//!
//! A [`World`] holds actors and moves in ticks. In a tick a list of actors that was fixed beforehand runs,
//! each for at most a quantum of gas, and none sees another; what they do to each other takes effect between
//! ticks, in an order that depends on nothing but the state. So the same inputs give the same
//! trajectory on any number of threads, in every tier.
//!
//! | folder | what it holds |
//! |---|---|
//! | `world` | the embedding API, ticks, what happens between them |
//! | `actor` | one actor, where actors are found, what an actor asks of its surroundings while it runs |
//! | `capability` | powers: who holds which, who decides |
//! | `message` | messages, mailboxes |
//! | `quota` | what subtrees may use together |
//! | `schedule` | who runs next |
//! | `hibernation` | actors that wait for long, in a file in place of memory |
//! | `host` | functions of the embedder, values as it sees them |
//! | `inspect` | looking at actors, and stopping them |
//! | `monitor` | what goes wrong, and metrics |
//! | `options` | options as programs give them |
//! | `queue` | what the lines of actors and the rows of mailboxes are made of |
//! | `settings` | every number that can be chosen |
//! | `sync` | what threads share data by |
//! | `together` | work on many things, shared by threads |
#![forbid(unsafe_code)]

pub mod actor;
pub mod capability;
pub mod checkpoint;
pub mod disk;
pub mod hibernation;
pub mod host;
pub mod inspect;
pub mod journal;
pub mod message;
pub mod monitor;
mod options;
mod portable;
mod queue;
pub mod quota;
pub mod schedule;
pub mod settings;
mod sync;
mod together;
pub mod world;

pub use actor::ActorId;
pub use host::Datum;
pub use settings::WorldSettings;
pub use world::World;
