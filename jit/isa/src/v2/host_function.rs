//! The functions that `HostCall` names by number.
//!
//! The first nine reach outside and need a capability. The rest are arithmetic that needs none and
//! answers with an Error value where the arithmetic instructions would fail.

use serde::{Deserialize, Serialize};

use super::Capability;

macro_rules! host_functions {
    ($($(#[doc = $doc:literal])* $name:ident = $id:literal,)*) => {
        /// A host function of V2.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[repr(u16)]
        pub enum HostFunction { $($(#[doc = $doc])* $name = $id,)* }

        impl HostFunction {
            /// All functions, by rising number.
            pub const ALL: &'static [HostFunction] = &[$(HostFunction::$name),*];
        }
    };
}

host_functions! {
    /// The value of a sensor.
    ReadSensor = 0,
    /// Sets an actuator.
    WriteActuator = 1,
    /// Nanoseconds of the wall clock.
    GetWallClockNs = 2,
    /// A new actor.
    SpawnActor = 3,
    /// Ends an actor.
    TerminateActor = 4,
    /// Sends to the network.
    NetworkSend = 5,
    /// Receives from the network.
    NetworkReceive = 6,
    /// Writes to storage.
    PersistWrite = 7,
    /// Reads from storage.
    PersistRead = 8,
    /// Checked addition.
    IntAdd = 9,
    /// Checked subtraction.
    IntSub = 10,
    /// Checked multiplication.
    IntMul = 11,
    /// Checked division toward zero.
    IntDiv = 12,
    /// Checked remainder.
    IntMod = 13,
    /// Float addition.
    FloatAdd = 14,
    /// Float subtraction.
    FloatSub = 15,
    /// Float multiplication.
    FloatMul = 16,
    /// Float division, without an error for zero.
    FloatDiv = 17,
    /// The nearest float.
    IntToFloat = 18,
    /// Truncated toward zero, saturating; 0 for NaN.
    FloatToInt = 19,
    /// 1 or 0: integers are equal.
    IntEq = 20,
    /// 1 or 0: less.
    IntLt = 21,
    /// 1 or 0: greater.
    IntGt = 22,
    /// 1 or 0: floats are equal.
    FloatEq = 23,
    /// 1 or 0: less.
    FloatLt = 24,
    /// 1 or 0: greater.
    FloatGt = 25,
}

impl HostFunction {
    /// The function with this number.
    pub fn from_id(id: u16) -> Option<HostFunction> {
        HostFunction::ALL.get(usize::from(id)).copied()
    }

    /// The number that `HostCall` uses.
    pub fn id(self) -> u16 {
        self as u16
    }

    /// The name under which the function is called at the boundary to the host.
    pub fn kebab_name(self) -> &'static str {
        match self {
            HostFunction::ReadSensor => "read-sensor",
            HostFunction::WriteActuator => "write-actuator",
            HostFunction::GetWallClockNs => "get-wall-clock-ns",
            HostFunction::SpawnActor => "spawn-actor",
            HostFunction::TerminateActor => "terminate-actor",
            HostFunction::NetworkSend => "network-send",
            HostFunction::NetworkReceive => "network-receive",
            HostFunction::PersistWrite => "persist-write",
            HostFunction::PersistRead => "persist-read",
            _ => "v2-arithmetic",
        }
    }

    /// The function that reaches outside under this name.
    pub fn from_kebab(name: &str) -> Option<HostFunction> {
        HostFunction::ALL.iter().copied().find(|function| {
            function.required_capability().is_some() && function.kebab_name() == name
        })
    }

    /// The capability that a caller must hold and name; `None` for arithmetic.
    pub fn required_capability(self) -> Option<Capability> {
        Some(match self {
            HostFunction::ReadSensor => Capability::IoReadSensor,
            HostFunction::WriteActuator => Capability::IoWriteActuator,
            HostFunction::GetWallClockNs => Capability::SysClock,
            HostFunction::SpawnActor => Capability::SysCreateActor,
            HostFunction::TerminateActor => Capability::SysTerminateActor,
            HostFunction::NetworkSend | HostFunction::NetworkReceive => Capability::IoNetwork,
            HostFunction::PersistWrite | HostFunction::PersistRead => Capability::IoPersist,
            _ => return None,
        })
    }

    /// Whether the function takes one operand; the other arithmetic takes two.
    pub fn is_unary(self) -> bool {
        matches!(self, HostFunction::IntToFloat | HostFunction::FloatToInt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_positions() {
        for (position, function) in HostFunction::ALL.iter().enumerate() {
            assert_eq!(usize::from(function.id()), position);
            assert_eq!(HostFunction::from_id(function.id()), Some(*function));
            assert_eq!(function.required_capability().is_some(), position < 9);
            let named = HostFunction::from_kebab(function.kebab_name());
            assert_eq!(named, (position < 9).then_some(*function));
        }
        assert_eq!(HostFunction::from_id(26), None);
    }
}
