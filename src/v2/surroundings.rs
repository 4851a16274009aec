//! What V2 code can reach: the bridge between a fiber's effects and whoever runs the actor.

use std::sync::Arc;

use pw_isa::ErrorKind;
use pw_isa::v2::{Capability, HostFunction};
use pw_jit::fiber::arena::Arena;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::heap::Heap;
use pw_jit::host::{Answer, CapabilityName, Effect, Host, Kept};
use pw_jit::{CodeSpace, Value as Register};

use super::capabilities::CapDecision;
use super::transfer::{Exporter, Importer, Message, Programs};
use super::{HeapObjects, Value};

/// Carries out the host functions that reach outside.
///
/// The caller holds the capability that the function needs. A provider answers at once and gives
/// values without pairs and closures of its own making unless it adds them to `objects`.
pub trait HostProvider: Send {
    /// Calls a function for an actor.
    fn call(
        &mut self,
        actor: u32,
        function: HostFunction,
        arguments: &[Value],
        objects: &mut HeapObjects,
    ) -> Value;
}

/// The provider that V2 documents: constants for what is read, nil for what is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct DocumentedHost;

impl HostProvider for DocumentedHost {
    fn call(
        &mut self,
        _actor: u32,
        function: HostFunction,
        _arguments: &[Value],
        _objects: &mut HeapObjects,
    ) -> Value {
        match function {
            HostFunction::ReadSensor => Value::Int(42),
            HostFunction::GetWallClockNs => Value::Int(1_234_567_890),
            HostFunction::SpawnActor => Value::ActorId(1),
            _ => Value::Nil,
        }
    }
}

/// Whoever runs an actor.
pub(crate) trait Surroundings {
    /// Whether the actor holds a capability.
    fn holds(&mut self, capability: &Capability) -> bool;
    /// Decides on a request.
    fn request(&mut self, capability: &Capability, reason: &str) -> CapDecision;
    /// Gives a capability to another actor; false when that is refused.
    fn grant(&mut self, to: u32, capability: &Capability) -> bool;
    /// Takes a capability away; false when that is refused.
    fn revoke(&mut self, from: u32, capability: &Capability) -> bool;
    /// Sends a message.
    fn send(&mut self, to: u32, message: Message);
    /// Calls a host function.
    fn call(
        &mut self,
        function: HostFunction,
        arguments: &[Value],
        objects: &mut HeapObjects,
    ) -> Value;
}

/// Why a fiber stopped before its end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Pause {
    /// It yielded.
    Yield,
    /// It waits for a decision on a capability.
    Capability(Capability),
}

/// The host of one fiber while it runs.
pub(crate) struct Bridge<'a> {
    pub(crate) surroundings: &'a mut dyn Surroundings,
    pub(crate) programs: &'a Programs,
    /// Messages to be pushed when the program can take them.
    pub(crate) inbox: &'a mut Vec<Message>,
    /// Why the fiber waits.
    pub(crate) pause: Option<Pause>,
}

impl Bridge<'_> {
    fn export(&self, code: &CodeSpace, parcels: &[Parcel]) -> (Vec<Value>, HeapObjects) {
        let mut objects = HeapObjects::new();
        let values = parcels
            .iter()
            .map(|parcel| {
                let mut arena = Arena::new();
                let register = parcel.unpack(code, &mut arena);
                let heap = Heap {
                    arena: &arena,
                    code,
                };
                Exporter::new(heap, self.programs, &mut objects).export(register)
            })
            .collect();
        (values, objects)
    }

    fn import(&self, code: &CodeSpace, value: &Value, objects: &HeapObjects) -> Parcel {
        let mut arena = Arena::new();
        let mut importer = Importer {
            code,
            programs: self.programs,
            objects,
            arena: &mut arena,
        };
        let register = importer.import(value);
        Parcel::pack(
            Heap {
                arena: &arena,
                code,
            },
            register,
        )
    }

    fn send(&mut self, code: &CodeSpace, to: u64, value: &Parcel) -> Answer {
        let (mut values, objects) = self.export(code, std::slice::from_ref(value));
        let Ok(to) = u32::try_from(to) else {
            return refused("no V2 actor has such an address");
        };
        let message = Message {
            value: values.pop().unwrap_or(Value::Nil),
            objects: Arc::new(objects),
        };
        self.surroundings.send(to, message);
        Answer::NIL
    }

    fn receive_all(&mut self, code: &CodeSpace) -> Answer {
        let messages: Vec<Parcel> = std::mem::take(self.inbox)
            .iter()
            .map(|message| self.import(code, &message.value, &message.objects))
            .collect();
        Answer::Done(Parcel::list(code, &messages))
    }

    fn host_call(&mut self, code: &CodeSpace, name: &str, arguments: &[Parcel]) -> Answer {
        let Some(function) = HostFunction::from_kebab(name) else {
            return refused("V2 has no such host function");
        };
        let (arguments, mut objects) = self.export(code, arguments);
        let value = self.surroundings.call(function, &arguments, &mut objects);
        Answer::Done(self.import(code, &value, &objects))
    }

    fn request(&mut self, capability: &Capability, reason: &str) -> Answer {
        match self.surroundings.request(capability, reason) {
            CapDecision::Granted => truth(true),
            CapDecision::Denied => truth(false),
            CapDecision::PendingConsensus => {
                self.pause = Some(Pause::Capability(capability.clone()));
                Answer::Pending
            }
        }
    }

    fn capability(
        &mut self,
        code: &CodeSpace,
        name: &CapabilityName,
        act: impl FnOnce(&mut Self, &Capability) -> Answer,
    ) -> Answer {
        let parameter = name.parameter.as_ref().map(|parcel| {
            let mut arena = Arena::new();
            parcel
                .unpack(code, &mut arena)
                .as_int()
                .map(|amount| amount as u64)
        });
        let capability = match parameter {
            None => Capability::from_kebab(&name.name, None),
            Some(parameter) => Capability::from_kebab(&name.name, parameter),
        };
        match capability {
            Some(capability) => act(self, &capability),
            None => truth(false),
        }
    }
}

impl Host for Bridge<'_> {
    fn effect(&mut self, code: &CodeSpace, _: Option<&Kept>, effect: Effect) -> Answer {
        let actor = |id: u64| u32::try_from(id).ok();
        match effect {
            Effect::Yield => {
                self.pause = Some(Pause::Yield);
                Answer::Pending
            }
            Effect::Send { to, value, .. } => self.send(code, to, &value),
            Effect::ReceiveAll => self.receive_all(code),
            Effect::HasCapability { capability } => {
                self.capability(code, &capability, |bridge, held| {
                    truth(bridge.surroundings.holds(held))
                })
            }
            Effect::RequestCapability { capability, reason } => {
                self.capability(code, &capability, |bridge, wanted| {
                    bridge.request(wanted, &reason)
                })
            }
            Effect::GrantCapability { to, capability } => {
                self.capability(code, &capability, |bridge, given| {
                    truth(actor(to).is_some_and(|to| bridge.surroundings.grant(to, given)))
                })
            }
            Effect::RevokeCapability { to, capability } => {
                self.capability(code, &capability, |bridge, taken| {
                    truth(actor(to).is_some_and(|from| bridge.surroundings.revoke(from, taken)))
                })
            }
            Effect::HostCall { name, arguments } => self.host_call(code, &name, &arguments),
            _ => refused("V2 code has no such effect"),
        }
    }
}

fn truth(value: bool) -> Answer {
    Answer::Done(Parcel::Plain(Register::bool(value)))
}

fn refused(message: &str) -> Answer {
    Answer::Refused {
        kind: ErrorKind::CapabilityDenied,
        message: message.to_owned(),
    }
}
