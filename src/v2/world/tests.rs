use super::*;
use crate::v2::{
    Capability, ComptimeEnv, ComptimeError, ComptimeExecution, TickResult, closure_body,
};

fn run(world: &mut PhysicsWorld, id: u32, code: &[OpCode]) -> ExecutionResult {
    world.execute_actor(id, code.to_vec(), vec![], 1000, 1 << 16)
}

#[test]
fn every_call_runs_the_actor_that_was_named() {
    let mut world = PhysicsWorld::new();
    let sums = [(1, 1, 2), (2, 10, 20), (1, 100, 0)];
    for (id, a, b) in sums {
        let result = run(
            &mut world,
            id,
            &[OpCode::Int(a), OpCode::Int(b), OpCode::Add],
        );
        assert_eq!(result.output, Some(Value::Int(a + b)));
        assert_eq!(result.error, None);
        assert_eq!(result.metrics.steps_used, 4);
        assert!(result.messages_sent.is_empty());
    }
    assert_eq!(world.scheduler().actors().len(), 2);
}

#[test]
fn errors_carry_real_numbers() {
    let mut world = PhysicsWorld::new();
    let endless = vec![OpCode::Jmp(-1)];
    let result = world.execute_actor(1, endless, vec![], 50, 0);
    let limit = StructuredError::CpuLimitExceeded {
        limit: 50,
        attempted: 51,
    };
    assert_eq!((result.output, result.error), (None, Some(limit)));
    assert_eq!(result.metrics.steps_used, 50);
    let pair = vec![OpCode::Nil, OpCode::Nil, OpCode::Cons];
    let result = world.execute_actor(1, pair.clone(), vec![], 50, 10);
    let limit = StructuredError::MemoryLimitExceeded {
        limit: 10,
        attempted: 11,
    };
    assert_eq!(result.error, Some(limit));
    let result = world.execute_actor(1, pair, vec![], 50, 1000);
    assert_eq!(result.metrics.memory_used, 24);
    let deep = Value::Code(vec![OpCode::MakeClosure(0, 0), OpCode::Call(0)]);
    let call = vec![OpCode::MakeClosure(0, 0), OpCode::Call(0)];
    let result = world.execute_actor(1, call, vec![deep], 5000, 1 << 20);
    let text = "Scheduler error: Recursion limit exceeded";
    assert_eq!(result.error.unwrap().to_string(), text);
    let clock = Value::Capability(Capability::SysClock);
    let call = OpCode::HostCall {
        cap_idx: 0,
        func_id: 2,
        args: 0,
    };
    let result = world.execute_actor(1, vec![call], vec![clock], 50, 0);
    let text = "Capability error: Capability error: SysClock";
    assert_eq!(result.error.unwrap().to_string(), text);
}

#[test]
fn an_actor_keeps_its_mailbox_and_capabilities() {
    let mut world = PhysicsWorld::new();
    let unknown = world.deliver_messages(1, vec![Value::Nil]);
    assert_eq!(unknown, Err(PhysicsError::ActorNotFound(1)));
    let constants = vec![
        Value::Capability(Capability::SysClock),
        Value::String("time".into()),
    ];
    let code = vec![OpCode::RequestCap(0, 1)];
    world.execute_actor(1, code, constants.clone(), 50, 100);
    let messages = vec![Value::Int(42), Value::Bool(true)];
    world.deliver_messages(1, messages.clone()).unwrap();
    let mailbox = world.scheduler().actor(1).unwrap().mailbox();
    assert!(mailbox.eq(&messages));
    let code = vec![OpCode::Cons, OpCode::HasCap(0), OpCode::Cons];
    let result = world.execute_actor(1, code, constants, 50, 10_000);
    let (both, held) = result.objects.pair(&result.output.unwrap()).unwrap();
    assert_eq!(held, &Value::Bool(true));
    let pair = result.objects.pair(both).unwrap();
    assert_eq!(pair, (&Value::Int(42), &Value::Bool(true)));
}

#[test]
fn yielding_goes_on_with_what_the_actor_sent_itself() {
    let mut world = PhysicsWorld::new();
    let code = vec![
        OpCode::GetConst(0),
        OpCode::Int(5),
        OpCode::Send,
        OpCode::Int(1),
        OpCode::Yield,
        OpCode::Add,
    ];
    let result = world.execute_actor(3, code, vec![Value::ActorId(3)], 50, 10_000);
    assert_eq!(result.output, Some(Value::Int(6)));
    assert_eq!(result.messages_sent, [(3, Value::Int(5))]);
}

#[test]
fn a_request_that_needs_a_vote_ends_the_call_and_keeps_the_actor() {
    let mut world = PhysicsWorld::new();
    let wanted = Capability::MetaGrant;
    let constants = vec![Value::Capability(wanted.clone()), Value::Symbol(1)];
    let code = vec![OpCode::RequestCap(0, 1), OpCode::Int(9)];
    let result = world.execute_actor(1, code, constants, 50, 1000);
    let text = "Capability error: Capability request pending consensus";
    assert_eq!(result.error.unwrap().to_string(), text);
    let scheduler = world.scheduler_mut();
    assert!(scheduler.actor(1).unwrap().is_waiting());
    let mut voter = Actor::new(2, VmState::new(vec![], vec![], 1, 1, 2, 1));
    voter.capabilities.insert(Capability::MetaGrant);
    scheduler.add_actor(voter);
    scheduler
        .handle_consensus_vote(2, 1, &wanted, true)
        .unwrap();
    let finished = TickResult::ActorFinished(1, Value::Int(9));
    assert_eq!(scheduler.tick_actor(1), Ok(finished));
}

#[test]
fn a_snapshot_goes_on_where_it_was_taken() {
    let mut world = PhysicsWorld::new();
    let missing = world.snapshot_actor_state(1);
    assert_eq!(missing, Err(PhysicsError::ActorNotFound(1)));
    let code = vec![OpCode::Int(1), OpCode::Yield, OpCode::Int(2), OpCode::Cons];
    let vm = VmState::new(code, vec![], 100, 10_000, 1, 100);
    world.scheduler_mut().add_actor(Actor::new(1, vm));
    world.scheduler_mut().tick().unwrap();
    let snapshot = world.snapshot_actor_state(1).unwrap();
    let mut restored = VmState::from_snapshot(&snapshot).unwrap();
    assert_eq!(restored.stack(), [Value::Int(1)]);
    let pair = restored.run().unwrap();
    let parts = restored.objects().pair(&pair).unwrap();
    assert_eq!(parts, (&Value::Int(1), &Value::Int(2)));
    assert_eq!(restored.steps_used(), 5);
    let again = VmState::from_snapshot(&restored.snapshot()).unwrap();
    assert!(matches!(again.result(), Some(Ok(Value::Pair(_)))));
    for damaged in [&snapshot[..10], b"PWV2", &[]] {
        assert!(VmState::from_snapshot(damaged).is_err());
    }
}

#[test]
fn comptime_runs_apart_from_all_actors() {
    let mut world = PhysicsWorld::new();
    let env = ComptimeEnv {
        capabilities: [Capability::IoReadSensor].into(),
        max_steps: 100,
        memory_limit: 10_000,
    };
    let sensor = vec![
        Value::Capability(Capability::IoReadSensor),
        Value::Symbol(0),
    ];
    let call = OpCode::HostCall {
        cap_idx: 0,
        func_id: 0,
        args: 0,
    };
    let code = vec![OpCode::RequestCap(0, 1), call, OpCode::Yield];
    let result = world.execute_comptime(code, sensor, env.clone()).unwrap();
    assert_eq!(result.output, Some(Value::Int(42)));
    assert_eq!(result.computed_constants, [Value::Int(42)]);
    assert_eq!(result.expanded_code, None);
    assert_eq!(result.metrics.steps_used, 4);
    assert!(world.scheduler().actors().is_empty());

    let other = vec![
        Value::Capability(Capability::SysClock),
        Value::Symbol(0),
        Value::ActorId(1),
    ];
    let mut fails = |code: Vec<OpCode>| {
        let env = env.clone();
        world
            .execute_comptime(code, other.clone(), env)
            .unwrap_err()
            .to_string()
    };
    let request = fails(vec![OpCode::RequestCap(0, 1)]);
    let text =
        "Comptime capability error: Comptime execution cannot request additional capabilities";
    assert_eq!(request, text);
    let send = fails(vec![OpCode::GetConst(2), OpCode::Nil, OpCode::Send]);
    let text = "Comptime capability error: Comptime execution cannot send messages";
    assert_eq!(send, text);
    let endless = fails(vec![OpCode::Jmp(-1)]);
    let text = "Comptime CPU limit exceeded: attempted 101 steps, limit was 100";
    assert_eq!(endless, text);
    assert_eq!(fails(vec![OpCode::Pop]), "Comptime stack underflow");
    assert_eq!(
        fails(vec![OpCode::Symbol(9)]),
        "Comptime invalid heap pointer"
    );
    let grant = fails(vec![OpCode::GrantCap(1, 0)]);
    assert_eq!(
        grant,
        "Comptime capability error: Capability error: SysClock"
    );
}

#[test]
fn comptime_gives_code_constants_and_obligations() {
    let mut world = PhysicsWorld::new();
    let env = ComptimeEnv {
        max_steps: 100,
        memory_limit: 10_000,
        ..ComptimeEnv::default()
    };
    let body = vec![OpCode::Int(1), OpCode::Ret];
    let constants = vec![
        Value::String(closure_body::print(&body)),
        Value::String("proof:it ends".into()),
    ];
    let code = vec![OpCode::LoadString(0)];
    let result = world
        .execute_comptime(code, constants.clone(), env.clone())
        .unwrap();
    assert_eq!(result.expanded_code, Some(body));
    assert!(result.computed_constants.is_empty());
    let list = vec![
        OpCode::Int(1),
        OpCode::LoadString(1),
        OpCode::Nil,
        OpCode::Cons,
        OpCode::Cons,
    ];
    let result = world
        .execute_comptime(list, constants.clone(), env)
        .unwrap();
    assert_eq!(
        result.computed_constants,
        [Value::Int(1), constants[1].clone()]
    );
    assert_eq!(result.proof_obligations, ["it ends"]);
}

#[test]
fn comptime_errors_read_as_v2_words_them() {
    for (error, text) in [
        (ComptimeError::UnknownOpCode, "Comptime unknown opcode"),
        (ComptimeError::TypeMismatch, "Comptime type mismatch"),
        (ComptimeError::DivisionByZero, "Comptime division by zero"),
        (
            ComptimeError::ArithmeticOverflow,
            "Comptime arithmetic overflow",
        ),
        (
            ComptimeError::SchedulerError("x".into()),
            "Comptime scheduler error: x",
        ),
        (
            ComptimeError::MemoryLimitExceeded {
                limit: 1,
                attempted: 2,
            },
            "Comptime memory limit exceeded: attempted 2 bytes, limit was 1",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}
