//! Breakpoints, watched values and a record of what happened. The machine asks the debugger before
//! and after each instruction while one is attached.
//!
//! Times are steps, so that two runs of the same program leave the same record.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::vm_state::VmState;

/// Events and states that are kept.
const RECORDS_MAX: usize = 10_000;

/// A debugger.
#[derive(Clone, Debug, Default)]
pub struct Debugger {
    /// Instructions before which the machine pauses, in whatever function.
    pub breakpoints: BTreeSet<usize>,
    /// Watched values by name.
    pub watchpoints: BTreeMap<String, Watchpoint>,
    /// Whether the machine pauses behind every instruction.
    pub step_mode: bool,
    debug_log: VecDeque<DebugEvent>,
    vm_state_history: VecDeque<VmStateSnapshot>,
    call_stack_depth: usize,
    paused_at_step: Option<u64>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugEvent {
    /// Steps taken until then.
    pub timestamp: u64,
    /// What kind of thing.
    pub event_type: DebugEventType,
    /// What exactly.
    pub data: DebugEventData,
}

/// Kinds of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DebugEventType {
    /// The machine paused at a breakpoint.
    BreakpointHit,
    /// A watched value changed.
    WatchpointTriggered,
    /// An instruction ran in step mode.
    StepCompleted,
    /// A function was entered.
    FunctionEntry,
    /// A function was left.
    FunctionExit,
    /// An instruction failed.
    ExceptionThrown,
}

/// What exactly happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DebugEventData {
    /// The instruction.
    Breakpoint(usize),
    /// The change.
    Watchpoint(WatchpointTrigger),
    /// The function.
    Function(String),
    /// The error.
    Exception(String),
}

/// A watched value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watchpoint {
    /// What is watched; see [`Debugger::add_watchpoint`].
    pub expression: String,
    /// Its value when it was last looked at.
    pub last_value: Option<String>,
}

/// A change of a watched value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchpointTrigger {
    /// The name of the watchpoint.
    pub name: String,
    /// The value before.
    pub old_value: String,
    /// The value now.
    pub new_value: String,
}

/// What a debugger was told and has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugInfo {
    /// The breakpoints.
    pub breakpoints: BTreeSet<usize>,
    /// The watched values.
    pub watchpoints: BTreeMap<String, Watchpoint>,
    /// The events, the oldest first.
    pub events: Vec<DebugEvent>,
}

/// The machine at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmStateSnapshot {
    /// The instruction.
    pub ip: usize,
    /// Values on the operand stack of the running function.
    pub stack_depth: usize,
    /// Open calls.
    pub call_stack_depth: usize,
    /// Bytes in use.
    pub memory_usage: usize,
    /// Steps taken.
    pub timestamp: u64,
}

impl VmStateSnapshot {
    /// The machine now.
    pub fn from_vm(vm: &VmState) -> VmStateSnapshot {
        VmStateSnapshot {
            ip: vm.ip(),
            stack_depth: vm.stack().len(),
            call_stack_depth: vm.call_stack_depth(),
            memory_usage: vm.memory_used(),
            timestamp: vm.steps_used(),
        }
    }
}

impl Debugger {
    /// A debugger that watches nothing yet.
    pub fn new() -> Debugger {
        Debugger::default()
    }

    /// Pauses before the instruction at this position.
    pub fn add_breakpoint(&mut self, address: usize) {
        self.breakpoints.insert(address);
    }

    /// No longer pauses there.
    pub fn remove_breakpoint(&mut self, address: usize) {
        self.breakpoints.remove(&address);
    }

    /// Pauses when a value changes. The expression is one of `ip`, `steps`, `memory`, `depth`,
    /// `stack` (its height), `top`, `stack[N]` and `local[N]` (while anything will read the local
    /// variables); anything else never changes.
    pub fn add_watchpoint(&mut self, name: &str, expression: &str) {
        let watchpoint = Watchpoint {
            expression: expression.to_owned(),
            last_value: None,
        };
        self.watchpoints.insert(name.to_owned(), watchpoint);
    }

    /// No longer watches a value.
    pub fn remove_watchpoint(&mut self, name: &str) {
        self.watchpoints.remove(name);
    }

    /// Whether there is a breakpoint before the next instruction.
    pub fn check_breakpoints(&self, vm: &VmState) -> bool {
        self.breakpoints.contains(&vm.ip())
    }

    /// The watched values that changed since the last look.
    pub fn check_watchpoints(&mut self, vm: &VmState) -> Vec<WatchpointTrigger> {
        let mut triggers = Vec::new();
        for (name, watchpoint) in &mut self.watchpoints {
            let Some(new_value) = evaluate(&watchpoint.expression, vm) else {
                continue;
            };
            let old_value = watchpoint.last_value.replace(new_value.clone());
            if let Some(old_value) = old_value.filter(|old| *old != new_value) {
                triggers.push(WatchpointTrigger {
                    name: name.clone(),
                    old_value,
                    new_value,
                });
            }
        }
        triggers
    }

    /// Records an event; the oldest make room.
    pub fn log_debug_event(&mut self, event: DebugEvent) {
        if self.debug_log.len() == RECORDS_MAX {
            self.debug_log.pop_front();
        }
        self.debug_log.push_back(event);
    }

    /// Records the machine's state; the oldest make room.
    pub fn capture_vm_state(&mut self, vm: &VmState) {
        if self.vm_state_history.len() == RECORDS_MAX {
            self.vm_state_history.pop_front();
        }
        self.vm_state_history
            .push_back(VmStateSnapshot::from_vm(vm));
    }

    /// The recorded states, the oldest first.
    pub fn vm_state_history(&self) -> impl Iterator<Item = &VmStateSnapshot> {
        self.vm_state_history.iter()
    }

    /// What the debugger was told and has seen.
    pub fn get_debug_info(&self) -> DebugInfo {
        DebugInfo {
            breakpoints: self.breakpoints.clone(),
            watchpoints: self.watchpoints.clone(),
            events: self.debug_log.iter().cloned().collect(),
        }
    }

    /// Asked before an instruction: whether to pause instead. The same place pauses once.
    pub(crate) fn before_instruction(&mut self, vm: &VmState) -> bool {
        let step = vm.steps_used();
        if self
            .watchpoints
            .values()
            .any(|watched| watched.last_value.is_none())
        {
            self.check_watchpoints(vm);
        }
        if !self.check_breakpoints(vm) || self.paused_at_step == Some(step) {
            return false;
        }
        self.paused_at_step = Some(step);
        self.log(
            vm,
            DebugEventType::BreakpointHit,
            DebugEventData::Breakpoint(vm.ip()),
        );
        true
    }

    /// Told after an instruction; whether to pause.
    pub(crate) fn after_instruction(&mut self, vm: &VmState) -> bool {
        self.capture_vm_state(vm);
        let depth = vm.call_stack_depth();
        let function = || DebugEventData::Function(vm.function_name());
        if depth > self.call_stack_depth {
            self.log(vm, DebugEventType::FunctionEntry, function());
        } else if depth < self.call_stack_depth {
            self.log(vm, DebugEventType::FunctionExit, function());
        }
        self.call_stack_depth = depth;
        let triggers = self.check_watchpoints(vm);
        let changed = !triggers.is_empty();
        for trigger in triggers {
            let data = DebugEventData::Watchpoint(trigger);
            self.log(vm, DebugEventType::WatchpointTriggered, data);
        }
        if self.step_mode {
            self.log(
                vm,
                DebugEventType::StepCompleted,
                DebugEventData::Breakpoint(vm.ip()),
            );
        }
        changed || self.step_mode
    }

    /// Told when an instruction failed.
    pub(crate) fn failed(&mut self, vm: &VmState, message: String) {
        let data = DebugEventData::Exception(message);
        self.log(vm, DebugEventType::ExceptionThrown, data);
    }

    fn log(&mut self, vm: &VmState, event_type: DebugEventType, data: DebugEventData) {
        self.log_debug_event(DebugEvent {
            timestamp: vm.steps_used(),
            event_type,
            data,
        });
    }
}

fn evaluate(expression: &str, vm: &VmState) -> Option<String> {
    let element = |values: &[super::Value], rest: &str| {
        let index: usize = rest.strip_suffix(']')?.parse().ok()?;
        Some(
            values
                .get(index)
                .map_or("none".to_owned(), ToString::to_string),
        )
    };
    match expression {
        "ip" => Some(vm.ip().to_string()),
        "steps" => Some(vm.steps_used().to_string()),
        "memory" => Some(vm.memory_used().to_string()),
        "depth" => Some(vm.call_stack_depth().to_string()),
        "stack" => Some(vm.stack().len().to_string()),
        "top" => {
            let stack = vm.stack();
            Some(stack.last().map_or("none".to_owned(), ToString::to_string))
        }
        _ => match expression.split_once('[')? {
            ("stack", rest) => element(&vm.stack(), rest),
            ("local", rest) => element(&vm.known_locals()?, rest),
            _ => None,
        },
    }
}
