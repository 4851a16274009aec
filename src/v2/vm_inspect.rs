//! Looking at a machine, and the heap that only its embedding program uses.

use super::debugger::Debugger;
use super::gc::{GcObject, GcStats};
use super::machine::{Machine, V2Frame};
use super::transfer::Message;
use super::vm_error::{ErrorContext, StackFrame, VmError};
use super::vm_state::{Phase, VmState};
use super::{Capability, GcPtr, HeapObjects, OpCode, ResourceMetrics, Value, closure_body};

/// An open call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallFrame {
    /// Where the caller goes on.
    pub return_ip: usize,
    /// Local variables of the called function.
    pub locals: usize,
}

/// How much memory a machine uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryAnalysis {
    /// Bytes in use.
    pub heap_usage: usize,
    /// Bytes allowed.
    pub heap_capacity: usize,
    /// The first as a percentage of the second; 0 when nothing is allowed.
    pub heap_usage_percent: f64,
    /// Objects, live or not yet collected.
    pub object_count: usize,
    /// Dead bytes as a share of the bytes that objects take.
    pub fragmentation_ratio: f32,
}

impl VmState {
    fn machine(&self) -> Option<&Machine> {
        match &self.phase {
            Phase::Running(machine) => Some(machine),
            Phase::New | Phase::Refused => None,
        }
    }

    fn machine_mut(&mut self) -> Option<&mut Machine> {
        match &mut self.phase {
            Phase::Running(machine) => Some(machine),
            Phase::New | Phase::Refused => None,
        }
    }

    /// The instruction that runs next, or the failing one, as a position in its function.
    pub fn ip(&self) -> usize {
        self.machine().map_or(0, |machine| machine.position().1)
    }

    /// That instruction; `None` behind the last one.
    pub fn current_instruction(&self) -> Option<OpCode> {
        let (constant, ip) = self.machine().map_or((None, 0), Machine::position);
        match constant.map(|index| self.constant_pool.get(index)) {
            None => self.instructions.get(ip).copied(),
            Some(Some(Value::Code(code))) => code.get(ip).copied(),
            Some(Some(Value::String(text))) => closure_body::parse(text)?.get(ip).copied(),
            Some(_) => None,
        }
    }

    /// `main`, or the constant that holds the running function.
    pub fn function_name(&self) -> String {
        function_name(self.machine().and_then(|machine| machine.position().0))
    }

    /// The program.
    pub fn instructions(&self) -> &[OpCode] {
        &self.instructions
    }

    /// Its constants.
    pub fn constant_pool(&self) -> &[Value] {
        &self.constant_pool
    }

    /// The actor's number.
    pub fn actor_id(&self) -> u32 {
        self.actor_id
    }

    fn frames(&self) -> (Vec<V2Frame>, HeapObjects) {
        let mut objects = HeapObjects::new();
        let frames = self.machine().map(|machine| machine.frames(&mut objects));
        (frames.unwrap_or_default(), objects)
    }

    /// The operand stack of the running function, the topmost value last. A value that nothing will
    /// ever read may have been given up already, and is nil.
    pub fn stack(&self) -> Vec<Value> {
        self.stack_with_objects().0
    }

    /// The operand stack with the objects that its pointers name.
    pub fn stack_with_objects(&self) -> (Vec<Value>, HeapObjects) {
        let (frames, objects) = self.frames();
        let newest = frames.into_iter().next();
        (newest.map_or_else(Vec::new, |frame| frame.stack), objects)
    }

    /// The local variables of the running function; none when nothing will read them any more.
    pub fn locals(&self) -> Vec<Value> {
        self.known_locals().unwrap_or_default()
    }

    pub(super) fn known_locals(&self) -> Option<Vec<Value>> {
        let (frames, _) = self.frames();
        frames.into_iter().next()?.locals
    }

    /// The open calls, the newest first.
    pub fn call_stack(&self) -> Vec<CallFrame> {
        let (frames, _) = self.frames();
        let calls = frames.windows(2);
        calls
            .map(|pair| CallFrame {
                return_ip: pair[1].ip + 1,
                locals: pair[0].locals.as_ref().map_or(0, Vec::len),
            })
            .collect()
    }

    /// How many calls are open.
    pub fn call_stack_depth(&self) -> usize {
        self.machine().map_or(0, Machine::open_calls)
    }

    /// Steps taken. A limit that stopped the program is used up.
    pub fn steps_used(&self) -> u64 {
        let steps = self.machine().map_or(0, Machine::steps);
        match self.ended {
            Some(Err(VmError::CpuLimitExceeded { .. })) => steps.max(self.limits.steps),
            _ => steps,
        }
    }

    /// Steps left.
    pub fn steps_remaining(&self) -> u64 {
        self.limits.steps.saturating_sub(self.steps_used())
    }

    /// Bytes in use.
    pub fn memory_used(&self) -> usize {
        self.machine().map_or(0, Machine::memory_bytes)
    }

    /// What the machine used so far; of memory, the most at once.
    pub fn metrics(&self) -> ResourceMetrics {
        ResourceMetrics {
            steps_used: self.steps_used(),
            memory_used: self.machine().map_or(0, Machine::memory_bytes_max),
            execution_time_ms: self.time_ms as u64,
        }
    }

    /// The steps and bytes that the machine may use.
    pub fn limits(&self) -> (u64, usize) {
        (self.limits.steps, self.limits.memory_bytes)
    }

    /// Changes the steps and bytes that the machine may use.
    pub fn set_limits(&mut self, steps: u64, memory_bytes: usize) {
        self.limits.steps = steps;
        self.limits.memory_bytes = memory_bytes;
        let limits = self.limits;
        if let Some(machine) = self.machine_mut() {
            machine.set_limits(limits);
        }
    }

    /// Whether the program has ended, with a value or an error.
    pub fn is_done(&self) -> bool {
        self.ended.is_some()
    }

    /// How the program ended.
    pub fn result(&self) -> Option<&Result<Value, VmError>> {
        self.ended.as_ref()
    }

    /// The capability that the machine waits for.
    pub fn waiting_for(&self) -> Option<&Capability> {
        self.waiting_for.as_ref()
    }

    /// The objects that the result points to.
    pub fn objects(&self) -> &HeapObjects {
        &self.objects
    }

    /// Puts a message where the program finds it at its beginning or behind its next `Yield`.
    pub fn deliver(&mut self, message: Value) {
        self.inbox.push(Message {
            value: message,
            objects: Default::default(),
        });
    }

    /// Everything that is known at this moment.
    pub fn create_error_context(&self) -> ErrorContext {
        let (frames, _) = self.frames();
        let stack_trace = frames
            .iter()
            .map(|frame| StackFrame {
                function_name: function_name(frame.constant),
                call_ip: frame.ip,
                arg_count: frame.locals.as_ref().map_or(0, Vec::len),
                locals: frame.locals.clone().unwrap_or_default(),
            })
            .collect();
        ErrorContext {
            instruction_pointer: self.ip(),
            current_instruction: self.current_instruction(),
            stack_state: frames
                .into_iter()
                .next()
                .map_or_else(Vec::new, |frame| frame.stack),
            call_stack_depth: self.call_stack_depth(),
            steps_remaining: self.steps_remaining(),
            actor_id: self.actor_id,
            memory_usage: self.memory_used(),
            stack_trace,
            execution_history: self.history.clone(),
            timestamp: self.steps_used(),
        }
    }

    /// How much memory the machine uses.
    pub fn get_memory_analysis(&self) -> MemoryAnalysis {
        let report = self.machine().map(Machine::heap_report).unwrap_or_default();
        let (used, capacity) = (self.memory_used(), self.limits.memory_bytes);
        let percent = if capacity == 0 {
            0.0
        } else {
            used as f64 * 100.0 / capacity as f64
        };
        MemoryAnalysis {
            heap_usage: used,
            heap_capacity: capacity,
            heap_usage_percent: percent,
            object_count: report
                .objects
                .iter()
                .map(|(_, count)| *count as usize)
                .sum(),
            fragmentation_ratio: self.fragmentation_ratio(),
        }
    }

    /// Bytes that a collection would free, as a share of the bytes in use; 0 when none are.
    pub fn fragmentation_ratio(&self) -> f32 {
        self.machine().map_or(0.0, Machine::dead_share)
    }

    /// Frees what the program can no longer reach, and brings the rest together; the bytes freed.
    /// The program cannot tell.
    pub fn defragment(&mut self) -> usize {
        let Some(machine) = self.machine_mut() else {
            return 0;
        };
        let freed = machine.collect();
        machine.compact();
        freed
    }

    /// Lets a debugger watch from now on.
    pub fn attach_debugger(&mut self, debugger: Debugger) {
        self.debugger = Some(debugger);
    }

    /// Adds an object to the embedding program's own heap.
    ///
    /// # Errors
    /// When that heap is switched off.
    pub fn allocate_heap_object(&mut self, object: GcObject) -> Result<Value, VmError> {
        if !self.gc_enabled {
            return Err(VmError::GcDisabled);
        }
        Ok(Value::GcPtr(self.gc.allocate(object)))
    }

    /// The object of the embedding program's own heap that a pointer names.
    pub fn heap_object(&self, pointer: GcPtr) -> Option<&GcObject> {
        self.gc.get(pointer)
    }

    /// Keeps an object of that heap.
    pub fn add_gc_root(&mut self, pointer: GcPtr, description: &str) {
        self.gc.add_root(pointer, description);
    }

    /// No longer keeps an object for its own sake.
    pub fn remove_gc_root(&mut self, pointer: GcPtr) {
        self.gc.remove_root(pointer);
    }

    /// Frees what no root of that heap leads to.
    pub fn collect_garbage(&mut self) {
        self.gc.collect();
    }

    /// What collections of that heap did.
    pub fn get_gc_stats(&self) -> GcStats {
        self.gc.stats()
    }

    /// Switches that heap on or off.
    pub fn set_gc_enabled(&mut self, enabled: bool) {
        self.gc_enabled = enabled;
    }

    /// Whether that heap is on.
    pub fn is_gc_enabled(&self) -> bool {
        self.gc_enabled
    }
}

fn function_name(constant: Option<usize>) -> String {
    constant.map_or("main".to_owned(), |index| format!("constant {index}"))
}
