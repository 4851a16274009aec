//! Delivering effects to the host, and its answers to registers; reading operands of effects.

use pw_isa::op::Effects;
use pw_isa::operand::Use;
use pw_isa::{ErrorKind, Kind};

use super::data::out_of_range;
use super::{Machine, Next, Step, Stop};
use crate::fiber::parcel::Parcel;
use crate::host::{Answer, CapabilityName, Effect};
use crate::value::Value;

impl Machine<'_> {
    /// Asks the host.
    #[inline(always)]
    pub(super) fn ask(&mut self, effect: Effect) -> Answer {
        self.host.effect(self.code, self.fiber.kept(), effect)
    }

    /// Asks the host, and puts its answer in the instruction's result register.
    pub(super) fn effect(&mut self, effect: Effect) -> Step {
        match self.host.effect(self.code, self.fiber.kept(), effect) {
            Answer::Done(parcel) => {
                let delivered = self.deliver(&parcel);
                if matches!(delivered, Err(Stop::Limit(_))) {
                    self.host.take_back(parcel);
                }
                delivered
            }
            Answer::Refused { kind, message } => Err(Stop::Error(kind, message)),
            Answer::Again => Ok(Next::Again),
            Answer::Pending => {
                debug_assert!(
                    self.may_suspend(),
                    "a host lets wait an instruction that cannot"
                );
                Ok(Next::Wait)
            }
        }
    }

    /// Whether the current instruction may wait.
    fn may_suspend(&self) -> bool {
        let (_, function) = self.fiber.current(self.code);
        let effects = function.code[self.fiber.pc as usize].info().effects;
        effects.has(Effects::SUSPEND)
    }

    /// Puts a value from outside in the result register of the current instruction, if it has one.
    pub(super) fn deliver(&mut self, parcel: &Parcel) -> Step {
        let (program, _) = self.fiber.current(self.code);
        let facts = program.step_facts(self.fiber.function, self.fiber.pc);
        let Some(dst) = facts.result else {
            return Ok(Next::Advance);
        };
        self.charge(parcel.size_bytes())?;
        // A plain value needs no room, so it is never the one that a limit stops.
        let bytes = parcel.logical_bytes();
        if bytes > 0 {
            self.reserve(bytes)?;
        }
        let value = parcel.unpack(self.code, &mut self.fiber.arena);
        self.set(dst, value)
    }

    /// Packs a value for the host, charging for the copy; what the gas limit cannot pay is not copied.
    pub(super) fn pack(&mut self, value: Value) -> Result<Parcel, Stop> {
        let bytes_max = self.affordable_work();
        let Some(parcel) = Parcel::pack_within(self.heap(), value, bytes_max) else {
            return Err(Stop::Limit(ErrorKind::GasLimitExceeded));
        };
        self.charge(parcel.size_bytes())?;
        Ok(parcel)
    }

    pub(super) fn actor_operand(&self, register: Use) -> Result<u64, Stop> {
        let value = self.get(register);
        value
            .as_actor()
            .ok_or_else(|| self.mismatch("an actor", value))
    }

    /// Milliseconds, from 0.
    pub(super) fn milliseconds(&self, register: Use) -> Result<u64, Stop> {
        self.unsigned(register, "milliseconds")
    }

    pub(super) fn unsigned(&self, register: Use, what: &str) -> Result<u64, Stop> {
        let value = self.int(register)?;
        u64::try_from(value).map_err(|_| out_of_range(format!("{value} {what}")))
    }

    pub(super) fn optional_unsigned(&self, register: Use, what: &str) -> Result<Option<u64>, Stop> {
        if self.get(register) == Value::NIL {
            Ok(None)
        } else {
            self.unsigned(register, what).map(Some)
        }
    }

    /// A copy of the text of a symbol, charged for.
    pub(super) fn symbol(&mut self, register: Use) -> Result<String, Stop> {
        let value = self.get(register);
        if value.kind() != Kind::Symbol {
            return Err(self.mismatch("a symbol", value));
        }
        self.owned_text(value)
    }

    fn owned_text(&mut self, value: Value) -> Result<String, Stop> {
        self.charge(self.heap().text_bytes(value).len() as u64)?;
        Ok(self.heap().text(value).to_owned())
    }

    /// A list whose elements are all accepted; charges for its length.
    pub(super) fn elements<T>(
        &mut self,
        register: Use,
        wanted: &str,
        accept: impl Fn(&Self, Value) -> Option<T>,
    ) -> Result<Vec<T>, Stop> {
        let list = self.get(register);
        let mut parts = Vec::new();
        for element in self.heap().list(list) {
            match element.and_then(|element| accept(self, element)) {
                Some(part) => parts.push(part),
                None => return Err(self.mismatch(wanted, list)),
            }
        }
        self.charge(parts.len() as u64 * 16)?;
        Ok(parts)
    }

    /// A capability: a Symbol, a list of a Symbol and a parameter, or a Capability. Charged for.
    pub(super) fn capability_operand(&mut self, register: Use) -> Result<CapabilityName, Stop> {
        let value = self.get(register);
        let capability = self
            .capability_name(value)
            .ok_or_else(|| self.mismatch("a capability", value))?;
        self.charge(capability.size_bytes())?;
        Ok(capability)
    }

    pub(super) fn capability_name(&self, value: Value) -> Option<CapabilityName> {
        let heap = self.heap();
        let (name, parameter) = match value.kind() {
            Kind::Symbol => (value, Value::NIL),
            Kind::Capability => heap.capability(value)?,
            Kind::Pair => {
                let (name, rest) = heap.pair(value)?;
                let (parameter, end) = heap.pair(rest)?;
                if end != Value::NIL {
                    return None;
                }
                (name, parameter)
            }
            _ => return None,
        };
        let parameter = (parameter != Value::NIL).then(|| Parcel::pack(heap, parameter));
        Some(CapabilityName {
            name: heap.symbol(name)?.to_owned(),
            parameter,
        })
    }

    /// A copy of the text of a string operand, charged for.
    pub(super) fn owned_string(&mut self, register: Use) -> Result<String, Stop> {
        let value = self.get(register);
        if value.kind() != Kind::String {
            return Err(self.mismatch("a string", value));
        }
        self.owned_text(value)
    }

    /// A priority, 0 to 7.
    pub(super) fn priority(&self, register: Use) -> Result<u8, Stop> {
        let value = self.int(register)?;
        match u8::try_from(value) {
            Ok(priority) if priority < 8 => Ok(priority),
            _ => {
                let message = format!("priority {value}; priorities are 0 (highest) to 7");
                Err(Stop::Error(ErrorKind::OutOfRange, message))
            }
        }
    }
}
