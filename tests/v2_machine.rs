//! One actor's machine: stepping, saving at every step, debugging, measuring.

use physics_world::v2::debugger::{DebugEventData, DebugEventType};
use physics_world::v2::gc::GcObject;
use physics_world::v2::vector::{self, Vector, parse_all};
use physics_world::v2::{
    Capability, Debugger, InstructionResult, OpCode, PerformanceMonitor, Value, VmError, VmState,
};

fn machine(code: &[OpCode]) -> VmState {
    VmState::new(code.to_vec(), vec![], 10_000, 1 << 16, 1, 100)
}

/// A machine for a vector.
fn machine_of(vector: &Vector) -> VmState {
    let mut vm = VmState::new(
        vector.code.clone(),
        vector.constants.clone(),
        vector.step_limit,
        vector.memory_limit,
        1,
        vector.max_depth,
    );
    for capability in &vector.caps {
        vm.hold_capability(capability.clone());
    }
    vm
}

/// What a machine gives when it is single-stepped, and treated by `between` after each step.
fn stepped(
    mut vm: VmState,
    between: impl Fn(VmState, &Vector) -> VmState,
    vector: &Vector,
) -> (String, u64) {
    loop {
        match vm.step() {
            Ok(InstructionResult::Finished(value)) => {
                let structure = match vm.objects().pair(&value) {
                    Some((car, cdr)) => format!("{car} {cdr}"),
                    None => value.to_string(),
                };
                return (structure, vm.steps_used());
            }
            Ok(_) => vm = between(vm, vector),
            Err(error) => return (error.kind().unwrap().name().to_owned(), vm.steps_used()),
        }
    }
}

fn vectors() -> Vec<Vector> {
    let mut vectors = parse_all(include_str!("v2/vectors.json")).unwrap();
    vectors.extend(parse_all(include_str!("v2/vectors_sane.json")).unwrap());
    vectors
}

#[test]
fn single_steps_lead_to_the_same_end() {
    for vector in vectors() {
        let vm = machine_of(&vector);
        let outcome = vector::run(&vector);
        let (end, steps) = stepped(vm, |vm, _| vm, &vector);
        match &outcome.result {
            Err(kind) => assert_eq!(end, *kind, "{}", vector.name),
            Ok(Value::Pair(_) | Value::Closure(_)) => {}
            Ok(value) => assert_eq!(end, value.to_string(), "{}", vector.name),
        }
        assert_eq!(steps, outcome.steps, "{}", vector.name);
    }
}

#[test]
fn a_machine_that_is_saved_and_restored_at_every_step_notices_nothing() {
    let reload = |vm: VmState, vector: &Vector| {
        let mut vm = VmState::from_snapshot(&vm.snapshot()).unwrap();
        for capability in &vector.caps {
            vm.hold_capability(capability.clone());
        }
        vm
    };
    for vector in vectors()
        .iter()
        .filter(|vector| vector.step_limit < 50_000)
        .step_by(3)
    {
        let (vm, other) = (machine_of(vector), machine_of(vector));
        if vector::run(vector).steps > 300 {
            continue;
        }
        let expected = stepped(vm, |vm, _| vm, vector);
        assert_eq!(stepped(other, reload, vector), expected, "{}", vector.name);
    }
}

#[test]
fn a_damaged_snapshot_is_refused_or_runs_within_its_limits() {
    let body = Value::Code(vec![OpCode::GetLocal(0), OpCode::Yield, OpCode::Ret]);
    let capability = Value::Capability(Capability::MetaGrant);
    let code = vec![
        OpCode::Int(1),
        OpCode::Nil,
        OpCode::MakeClosure(0, 1),
        OpCode::Call(1),
        OpCode::RequestCap(1, 2),
        OpCode::HasCap(1),
    ];
    let constants = vec![body, capability, Value::Symbol(1)];
    let mut vm = VmState::new(code, constants, 100, 10_000, 1, 100);
    let mut snapshots = vec![vm.snapshot()];
    for _ in 0..2 {
        vm.run_until_pause().unwrap();
        snapshots.push(vm.snapshot());
    }
    for snapshot in snapshots {
        for place in 0..snapshot.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = snapshot.clone();
                damaged[place] ^= flip;
                let Ok(mut vm) = VmState::from_snapshot(&damaged) else {
                    continue;
                };
                vm.set_limits(200, 10_000);
                vm.resolve_capability(true);
                for _ in 0..3 {
                    // Whatever it gives, it gives it soon.
                    let _ending = vm.run_until_pause();
                }
                vm.create_error_context();
            }
        }
    }
}

#[test]
fn a_step_is_one_instruction() {
    let mut vm = machine(&[OpCode::Int(1), OpCode::Int(2), OpCode::Add]);
    assert_eq!((vm.ip(), vm.stack()), (0, vec![]));
    assert_eq!(vm.current_instruction(), Some(OpCode::Int(1)));
    assert_eq!(vm.step(), Ok(InstructionResult::Continue));
    assert_eq!((vm.ip(), vm.stack()), (1, vec![Value::Int(1)]));
    vm.step().unwrap();
    vm.step().unwrap();
    assert_eq!((vm.ip(), vm.stack()), (3, vec![Value::Int(3)]));
    assert_eq!(vm.current_instruction(), None);
    assert_eq!((vm.steps_used(), vm.steps_remaining()), (3, 9_997));
    assert!(!vm.is_done());
    let finished = InstructionResult::Finished(Value::Int(3));
    assert_eq!(vm.step(), Ok(finished.clone()));
    assert_eq!(vm.step(), Ok(finished));
    assert_eq!(vm.result(), Some(&Ok(Value::Int(3))));
    assert_eq!((vm.steps_used(), vm.actor_id()), (4, 1));
    assert_eq!((vm.instructions().len(), vm.constant_pool().len()), (3, 0));
}

#[test]
fn the_step_limit_is_noticed_at_the_step_that_it_forbids() {
    let mut vm = VmState::new(vec![OpCode::Int(1), OpCode::Pop], vec![], 2, 100, 1, 100);
    assert_eq!(vm.step(), Ok(InstructionResult::Continue));
    assert_eq!(vm.step(), Ok(InstructionResult::Continue));
    assert!(matches!(
        vm.step(),
        Err(VmError::CpuLimitExceeded { limit: 2, .. })
    ));
    assert!(matches!(vm.step(), Err(VmError::CpuLimitExceeded { .. })));
    assert_eq!(vm.steps_used(), 2);
    let code = vec![OpCode::CheckStepLimit];
    let mut vm = VmState::new(code, vec![], 1, 100, 1, 100);
    assert!(matches!(vm.step(), Err(VmError::CpuLimitExceeded { .. })));
}

#[test]
fn calls_are_frames() {
    let body = Value::Code(vec![
        OpCode::GetLocal(1),
        OpCode::Yield,
        OpCode::GetLocal(0),
        OpCode::Pop,
        OpCode::Ret,
    ]);
    let code = vec![
        OpCode::Int(7),
        OpCode::Int(8),
        OpCode::MakeClosure(0, 0),
        OpCode::Call(2),
    ];
    let mut vm = VmState::new(code, vec![body], 100, 10_000, 1, 100);
    assert_eq!(vm.run(), Ok(Value::Nil));
    assert_eq!(vm.function_name(), "constant 0");
    assert_eq!(vm.current_instruction(), Some(OpCode::Yield));
    assert_eq!(vm.locals(), [Value::Int(7), Value::Int(8)]);
    assert_eq!(vm.stack(), [Value::Int(8)]);
    let calls = vm.call_stack();
    assert_eq!(
        (calls.len(), calls[0].return_ip, calls[0].locals),
        (1, 4, 2)
    );
    assert_eq!(vm.call_stack_depth(), 1);
    assert_eq!(vm.run(), Ok(Value::Int(8)));
    assert_eq!(vm.call_stack_depth(), 0);
}

#[test]
fn errors_know_where_they_happened() {
    let code = vec![OpCode::Int(i64::MAX), OpCode::Int(1), OpCode::Add];
    let mut vm = VmState::new(code, vec![], 100, 10_000, 6, 100);
    let error = loop {
        if let Err(error) = vm.step() {
            break error;
        }
    };
    let context = error.context().unwrap();
    assert_eq!(context.instruction_pointer, 2);
    assert_eq!(context.current_instruction, Some(OpCode::Add));
    assert_eq!(context.stack_state, [Value::Int(i64::MAX), Value::Int(1)]);
    assert_eq!((context.actor_id, context.timestamp), (6, 3));
    assert_eq!((context.steps_remaining, context.call_stack_depth), (97, 0));
    assert_eq!(context.execution_history.len(), 3);
    assert_eq!(context.stack_trace[0].function_name, "main");
    let text = format!("Arithmetic overflow: Add of {} and 1", i64::MAX);
    assert_eq!(error.to_string(), text);
    assert!(
        error
            .detailed_message()
            .starts_with(&format!("{text} at IP 2 (actor 6)."))
    );
    let mut vm = machine(&[OpCode::Int(1), OpCode::StrLen]);
    let text = "Type mismatch: StrLen: a string expected, found an int 1";
    assert_eq!(vm.run().unwrap_err().to_string(), text);
}

#[test]
fn a_capability_that_is_asked_for_is_decided_by_the_embedder() {
    let constants = vec![Value::Capability(Capability::SysClock), Value::Symbol(1)];
    let code = vec![OpCode::RequestCap(0, 1), OpCode::HasCap(0)];
    let vm = || VmState::new(code.clone(), constants.clone(), 100, 100, 1, 100);
    let waiting = Ok(InstructionResult::WaitingForCapability(
        Capability::SysClock,
    ));
    let mut granted = vm();
    assert_eq!(granted.run_until_pause(), waiting);
    assert_eq!(granted.step(), waiting);
    assert_eq!(granted.waiting_for(), Some(&Capability::SysClock));
    assert!(matches!(
        granted.run(),
        Err(VmError::CapabilityError { .. })
    ));
    let mut restored = VmState::from_snapshot(&granted.snapshot()).unwrap();
    for vm in [&mut granted, &mut restored] {
        vm.resolve_capability(true);
        assert_eq!(vm.run(), Ok(Value::Bool(true)));
    }
    let mut denied = vm();
    denied.run_until_pause().unwrap();
    denied.resolve_capability(false);
    assert!(matches!(denied.run(), Err(VmError::CapabilityError { .. })));
    let mut held = vm();
    held.hold_capability(Capability::SysClock);
    assert_eq!(held.run(), Ok(Value::Bool(true)));
}

#[test]
fn delivered_messages_are_on_the_stack_at_the_beginning_and_behind_a_yield() {
    let mut vm = machine(&[OpCode::Sub, OpCode::Yield, OpCode::Mul]);
    vm.deliver(Value::Int(9));
    vm.deliver(Value::Int(2));
    assert_eq!(vm.run_until_pause(), Ok(InstructionResult::Yield));
    vm.deliver(Value::Int(6));
    assert_eq!(vm.run(), Ok(Value::Int(42)));
}

#[test]
fn a_breakpoint_pauses_before_its_instruction_each_time() {
    let code = [
        OpCode::Int(2),
        OpCode::Int(1),
        OpCode::Sub,
        OpCode::Dup,
        OpCode::JmpIfFalse(1),
        OpCode::Jmp(-5),
        OpCode::Ret,
    ];
    let mut vm = machine(&code);
    let mut debugger = Debugger::new();
    debugger.add_breakpoint(2);
    debugger.add_breakpoint(3);
    debugger.remove_breakpoint(3);
    vm.attach_debugger(debugger);
    let tops: Vec<Vec<Value>> = (0..2)
        .map(|_| {
            assert_eq!(vm.run_until_pause(), Ok(InstructionResult::Paused));
            vm.stack()
        })
        .collect();
    let ones = |a| vec![Value::Int(a), Value::Int(1)];
    assert_eq!(tops, [ones(2), ones(1)]);
    assert_eq!(
        vm.run_until_pause(),
        Ok(InstructionResult::Finished(Value::Int(0)))
    );
    let info = vm.debugger.as_ref().unwrap().get_debug_info();
    assert_eq!(info.breakpoints, [2].into());
    let hits = info
        .events
        .iter()
        .filter(|event| event.event_type == DebugEventType::BreakpointHit);
    assert!(hits.map(|event| event.timestamp).eq([2, 7]));
    let first = &info.events[0];
    assert_eq!(first.data, DebugEventData::Breakpoint(2));
    assert_eq!(vm.debugger.unwrap().vm_state_history().count(), 10);
}

#[test]
fn watched_values_pause_when_they_change() {
    let body = Value::Code(vec![OpCode::Int(5), OpCode::Ret]);
    let code = vec![
        OpCode::Int(1),
        OpCode::SetLocal(0),
        OpCode::MakeClosure(0, 0),
        OpCode::Call(0),
        OpCode::SetLocal(0),
        OpCode::GetLocal(0),
        OpCode::Pop,
        OpCode::Pop,
    ];
    let mut vm = VmState::new(code, vec![body], 100, 10_000, 1, 100);
    let mut debugger = Debugger::new();
    debugger.add_watchpoint("first", "local[0]");
    debugger.add_watchpoint("deep", "depth");
    debugger.add_watchpoint("nothing", "weather");
    debugger.add_watchpoint("gone", "ip");
    debugger.remove_watchpoint("gone");
    vm.attach_debugger(debugger);
    let mut seen = Vec::new();
    let error = loop {
        match vm.run_until_pause() {
            Ok(result) => {
                assert_eq!(result, InstructionResult::Paused);
                seen.push(vm.steps_used());
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind().unwrap().name(), "StackUnderflow");
    assert_eq!(seen, [2, 4, 6, 7]);
    let info = vm.debugger.unwrap().get_debug_info();
    let kinds: Vec<DebugEventType> = info.events.iter().map(|event| event.event_type).collect();
    for kind in [
        DebugEventType::FunctionEntry,
        DebugEventType::FunctionExit,
        DebugEventType::WatchpointTriggered,
        DebugEventType::ExceptionThrown,
    ] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    let watched = |name: &str| info.watchpoints[name].last_value.clone();
    assert_eq!(watched("first").as_deref(), Some("5"));
    assert_eq!(watched("nothing"), None);
}

#[test]
fn step_mode_pauses_behind_every_instruction() {
    let mut vm = machine(&[OpCode::Int(1), OpCode::Dup, OpCode::Add]);
    let mut debugger = Debugger::new();
    debugger.step_mode = true;
    debugger.add_watchpoint("top", "top");
    debugger.add_watchpoint("memory", "memory");
    debugger.add_watchpoint("height", "stack");
    debugger.add_watchpoint("steps", "steps");
    debugger.add_watchpoint("bottom", "stack[0]");
    vm.attach_debugger(debugger);
    for _ in 0..3 {
        assert_eq!(vm.run_until_pause(), Ok(InstructionResult::Paused));
    }
    assert_eq!(vm.run(), Ok(Value::Int(2)));
}

#[test]
fn a_monitor_is_told_what_the_machine_did() {
    let code = [
        OpCode::Nil,
        OpCode::Nil,
        OpCode::Cons,
        OpCode::Yield,
        OpCode::Car,
    ];
    let mut vm = machine(&code);
    vm.performance_monitor = Some(PerformanceMonitor::new(0));
    vm.run().unwrap();
    vm.run().unwrap();
    let monitor = vm.performance_monitor.as_mut().unwrap();
    monitor.increment_counter("runs", 2);
    monitor.start_timer("all");
    monitor.stop_timer("all");
    monitor.stop_timer("never started");
    assert_eq!(monitor.counter("runs"), 2);
    let metrics = monitor.get_metrics();
    assert_eq!(metrics.instructions_executed, 6);
    assert!(metrics.heap_allocations > 0);
    assert_eq!(
        (metrics.counter_increments, metrics.timer_operations),
        (1, 1)
    );
    let samples = monitor.samples();
    assert_eq!(samples.len(), 2);
    assert_eq!(samples[0].instructions_executed, 4);
    assert!(samples[0].heap_usage > 0);
    let analysis = monitor.get_analysis();
    assert!(analysis.instructions_per_second >= 0.0);
    assert_eq!(analysis.gc_efficiency, 0.0);
    assert_eq!(
        PerformanceMonitor::new(5).get_analysis().heap_growth_rate,
        0.0
    );
}

#[test]
fn memory_is_analysed_and_defragmented() {
    let mut code = [OpCode::Nil, OpCode::Nil, OpCode::Cons, OpCode::Pop].repeat(20);
    code.extend([
        OpCode::Int(1),
        OpCode::Int(2),
        OpCode::Cons,
        OpCode::Yield,
        OpCode::Car,
    ]);
    let mut vm = machine(&code);
    vm.run().unwrap();
    let before = vm.get_memory_analysis();
    assert_eq!(before.heap_capacity, 1 << 16);
    assert!(before.object_count > 20);
    assert!(before.fragmentation_ratio > 0.5);
    assert!(before.heap_usage_percent > 0.0);
    let freed = vm.defragment();
    assert_eq!(
        vm.get_memory_analysis().heap_usage,
        before.heap_usage - freed
    );
    assert_eq!(vm.fragmentation_ratio(), 0.0);
    assert_eq!(vm.run(), Ok(Value::Int(1)));
    assert_eq!(vm.metrics().steps_used, vm.steps_used());
    assert!(vm.metrics().memory_used >= before.heap_usage);
}

#[test]
fn the_embedders_own_heap_can_be_switched_off() {
    let mut vm = machine(&[]);
    assert!(vm.is_gc_enabled());
    let value = vm.allocate_heap_object(GcObject::Array(vec![])).unwrap();
    let Value::GcPtr(pointer) = value else {
        panic!("{value}")
    };
    vm.add_gc_root(pointer, "test");
    vm.collect_garbage();
    assert_eq!(vm.heap_object(pointer), Some(&GcObject::Array(vec![])));
    vm.remove_gc_root(pointer);
    vm.collect_garbage();
    assert_eq!(vm.heap_object(pointer), None);
    assert_eq!(vm.get_gc_stats().collections, 2);
    vm.set_gc_enabled(false);
    let refused = vm.allocate_heap_object(GcObject::Array(vec![]));
    assert_eq!(refused, Err(VmError::GcDisabled));
}
