//! V2 capabilities: names of powers. Who holds which is recorded elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A V2 capability. Two are the same only when their parameters are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Capability {
    /// Change one's own code.
    MetaSelfModify,
    /// Give capabilities to others.
    MetaGrant,
    /// Expand hygienic macros.
    MacroHygienic,
    /// Generate arbitrary syntax.
    MacroUnsafe,
    /// Run code while compiling.
    ComptimeEval,
    /// Read sensors.
    IoReadSensor,
    /// Write to actuators.
    IoWriteActuator,
    /// Use the network.
    IoNetwork,
    /// Use persistent storage.
    IoPersist,
    /// Create actors.
    SysCreateActor,
    /// End actors.
    SysTerminateActor,
    /// Read the clock.
    SysClock,
    /// This many bytes of memory more.
    ResourceExtraMemory(u64),
    /// This much time more.
    ResourceExtraTime(u64),
}

impl Capability {
    /// The name that the instruction set uses, without the parameter.
    pub fn kebab_name(&self) -> &'static str {
        match self {
            Capability::MetaSelfModify => "meta-self-modify",
            Capability::MetaGrant => "meta-grant",
            Capability::MacroHygienic => "macro-hygienic",
            Capability::MacroUnsafe => "macro-unsafe",
            Capability::ComptimeEval => "comptime-eval",
            Capability::IoReadSensor => "io-read-sensor",
            Capability::IoWriteActuator => "io-write-actuator",
            Capability::IoNetwork => "io-network",
            Capability::IoPersist => "io-persist",
            Capability::SysCreateActor => "sys-create-actor",
            Capability::SysTerminateActor => "sys-terminate-actor",
            Capability::SysClock => "sys-clock",
            Capability::ResourceExtraMemory(_) => "resource-extra-memory",
            Capability::ResourceExtraTime(_) => "resource-extra-time",
        }
    }

    /// The parameter, for those that have one.
    pub fn parameter(&self) -> Option<u64> {
        match self {
            Capability::ResourceExtraMemory(amount) | Capability::ResourceExtraTime(amount) => {
                Some(*amount)
            }
            _ => None,
        }
    }

    /// The capability with this name in the instruction set and this parameter.
    pub fn from_kebab(name: &str, parameter: Option<u64>) -> Option<Capability> {
        const PLAIN: [Capability; 12] = [
            Capability::MetaSelfModify,
            Capability::MetaGrant,
            Capability::MacroHygienic,
            Capability::MacroUnsafe,
            Capability::ComptimeEval,
            Capability::IoReadSensor,
            Capability::IoWriteActuator,
            Capability::IoNetwork,
            Capability::IoPersist,
            Capability::SysCreateActor,
            Capability::SysTerminateActor,
            Capability::SysClock,
        ];
        match (name, parameter) {
            ("resource-extra-memory", Some(amount)) => {
                Some(Capability::ResourceExtraMemory(amount))
            }
            ("resource-extra-time", Some(amount)) => Some(Capability::ResourceExtraTime(amount)),
            (_, None) => PLAIN
                .into_iter()
                .find(|capability| capability.kebab_name() == name),
            _ => None,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_has_a_name_in_the_instruction_set() {
        let all = [
            Capability::MetaSelfModify,
            Capability::SysClock,
            Capability::ResourceExtraMemory(u64::MAX),
            Capability::ResourceExtraTime(0),
        ];
        for capability in all {
            let back = Capability::from_kebab(capability.kebab_name(), capability.parameter());
            assert_eq!(back, Some(capability));
        }
        assert_eq!(Capability::from_kebab("sys-clock", Some(1)), None);
        assert_eq!(Capability::from_kebab("resource-extra-time", None), None);
    }

    #[test]
    fn the_json_form_is_externally_tagged() {
        let text = serde_json::to_string(&Capability::ResourceExtraMemory(1024)).unwrap();
        assert_eq!(text, r#"{"ResourceExtraMemory":1024}"#);
        let plain: Capability = serde_json::from_str(r#""SysClock""#).unwrap();
        assert_eq!(plain, Capability::SysClock);
    }
}
