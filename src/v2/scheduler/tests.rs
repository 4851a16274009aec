use super::super::capabilities::{CapDecisionResult, CapOperation};
use super::*;
use crate::v2::OpCode;

fn actor(id: u32, code: Vec<OpCode>, constants: Vec<Value>) -> Actor {
    Actor::new(id, VmState::new(code, constants, 10_000, 1 << 16, id, 100))
}

/// An actor that yields for ever.
fn endless(id: u32) -> Actor {
    actor(id, vec![OpCode::Yield, OpCode::Jmp(-2)], vec![])
}

fn scheduler(actors: impl IntoIterator<Item = Actor>) -> PhysicsScheduler {
    let mut scheduler = PhysicsScheduler::new();
    for actor in actors {
        scheduler.add_actor(actor);
    }
    scheduler
}

/// The actors that get the next turns.
fn turns(scheduler: &mut PhysicsScheduler, count: usize) -> Vec<u32> {
    let mut turns = Vec::new();
    for _ in 0..count {
        turns.push(match scheduler.tick().unwrap() {
            TickResult::ActorYielded(id)
            | TickResult::ActorFinished(id, _)
            | TickResult::ActorErrored(id, _)
            | TickResult::ActorWaitingForCapability(id, _)
            | TickResult::ActorPaused(id) => id,
        });
    }
    turns
}

#[test]
fn without_actors_nothing_can_run() {
    let error = PhysicsScheduler::default().tick().unwrap_err();
    assert_eq!(error.to_string(), "Scheduler error: No actors to schedule");
    assert_eq!(
        PhysicsError::ActorNotFound(3).to_string(),
        "Actor not found: 3"
    );
}

#[test]
fn turns_go_round_and_actors_that_ended_get_none() {
    let mut scheduler = scheduler([
        endless(1),
        actor(2, vec![OpCode::Int(5)], vec![]),
        actor(3, vec![OpCode::Pop], vec![]),
        endless(4),
    ]);
    assert_eq!(scheduler.current_actor_id(), Some(1));
    assert_eq!(scheduler.tick(), Ok(TickResult::ActorYielded(1)));
    assert_eq!(
        scheduler.tick(),
        Ok(TickResult::ActorFinished(2, Value::Int(5)))
    );
    let Ok(TickResult::ActorErrored(3, error)) = scheduler.tick() else {
        panic!("actor 3 fails")
    };
    assert_eq!(error.kind().unwrap().name(), "StackUnderflow");
    assert_eq!(turns(&mut scheduler, 5), [4, 1, 4, 1, 4]);
    assert!(scheduler.actor(2).unwrap().vm().is_done());
    assert_eq!(scheduler.remove_actor(1).map(|actor| actor.id), Some(1));
    assert_eq!(turns(&mut scheduler, 2), [4, 4]);
    assert_eq!(scheduler.actors().len(), 3);
    assert!(scheduler.remove_actor(1).is_none());
}

#[test]
fn the_highest_priority_runs_and_equals_take_turns() {
    let mut scheduler = scheduler([endless(1), endless(2), endless(3)]);
    scheduler.enable_priority_scheduling();
    scheduler.set_priority(1, 10).unwrap();
    assert_eq!(turns(&mut scheduler, 4), [2, 3, 2, 3]);
    scheduler.set_priority_boost(1, 300).unwrap();
    assert_eq!(turns(&mut scheduler, 2), [1, 1]);
    assert_eq!(scheduler.actor(1).unwrap().priority_boost, Some(298));
    scheduler.clear_priority_boost(1).unwrap();
    assert_eq!(turns(&mut scheduler, 2), [2, 3]);
    scheduler.set_priority_boost(1, 120).unwrap();
    // The boost wears off: 10 + 118 is no more than the others have.
    assert_eq!(turns(&mut scheduler, 4), [1, 1, 2, 3]);
    scheduler.disable_priority_scheduling();
    assert_eq!(turns(&mut scheduler, 3), [1, 2, 3]);
}

#[test]
fn nobody_is_passed_over_for_ever() {
    let mut scheduler = scheduler([endless(1), endless(2), endless(3), endless(4)]);
    scheduler.enable_priority_scheduling();
    assert_eq!(scheduler.get_starvation_threshold(), 1000);
    scheduler.set_starvation_threshold(3);
    for (id, priority) in [(1, 10), (2, 200), (3, 200), (4, 50)] {
        scheduler.set_priority(id, priority).unwrap();
    }
    let turns = turns(&mut scheduler, 12);
    for id in 1..=4 {
        assert!(turns.contains(&id), "{turns:?}");
    }
    assert_eq!(turns[..4], [2, 3, 2, 1]);
}

#[test]
fn priorities_stay_within_their_range() {
    let mut scheduler = scheduler([endless(1)]);
    assert_eq!(scheduler.get_priority(1), Ok(128));
    assert_eq!(scheduler.adjust_priority(1, -128), Ok(0));
    assert_eq!(scheduler.adjust_priority(1, -1), Ok(0));
    scheduler.set_priority(1, 250).unwrap();
    assert_eq!(scheduler.adjust_priority(1, 127), Ok(255));
    let unknown = Err(PhysicsError::ActorNotFound(9));
    assert_eq!(scheduler.adjust_priority(9, 1), unknown);
    assert_eq!(scheduler.get_priority(9), unknown);
    let unknown = Err(PhysicsError::ActorNotFound(9));
    assert_eq!(scheduler.set_priority(9, 1), unknown);
    assert_eq!(scheduler.set_priority_boost(9, 1), unknown);
    assert_eq!(scheduler.clear_priority_boost(9), unknown);
}

#[test]
fn messages_reach_the_stack_of_the_next_turn_in_order() {
    let receiver = actor(2, vec![OpCode::Sub], vec![]);
    let sender = vec![
        OpCode::GetConst(0),
        OpCode::Int(7),
        OpCode::Send,
        OpCode::GetConst(0),
        OpCode::Int(5),
        OpCode::Send,
    ];
    let mut scheduler = scheduler([actor(1, sender, vec![Value::ActorId(2)]), receiver]);
    scheduler.tick().unwrap();
    assert_eq!(
        scheduler.tick(),
        Ok(TickResult::ActorFinished(2, Value::Int(2)))
    );
    let mut objects = HeapObjects::new();
    let sent = scheduler.actor(1).unwrap().messages_sent(&mut objects);
    assert_eq!(sent, [(2, Value::Int(7)), (2, Value::Int(5))]);
}

#[test]
fn pairs_and_functions_can_be_sent() {
    let body = Value::Code(vec![
        OpCode::GetLocal(0),
        OpCode::Int(1),
        OpCode::Add,
        OpCode::Ret,
    ]);
    let sender = vec![
        OpCode::GetConst(0),
        OpCode::Int(20),
        OpCode::Int(21),
        OpCode::Nil,
        OpCode::MakeClosure(1, 1),
        OpCode::Cons,
        OpCode::Cons,
        OpCode::Send,
    ];
    // Calls the function of a list (n m . f) with m.
    let receiver = vec![
        OpCode::Cdr,
        OpCode::Dup,
        OpCode::Car,
        OpCode::Swap,
        OpCode::Cdr,
        OpCode::Call(1),
    ];
    let mut scheduler = scheduler([
        actor(1, sender, vec![Value::ActorId(2), body]),
        actor(2, receiver, vec![]),
    ]);
    scheduler.tick().unwrap();
    assert_eq!(
        scheduler.tick(),
        Ok(TickResult::ActorFinished(2, Value::Int(22)))
    );
}

#[test]
fn embedders_can_send_structures() {
    let mut objects = HeapObjects::new();
    let pair = crate::v2::HeapObject::Pair(Value::Int(3), Value::Nil);
    let message = Value::Pair(objects.add(pair));
    let mut scheduler = scheduler([actor(1, vec![OpCode::Car], vec![])]);
    scheduler.send_message_with_objects(1, message, Arc::new(objects));
    assert_eq!(
        scheduler.tick(),
        Ok(TickResult::ActorFinished(1, Value::Int(3)))
    );
}

#[test]
fn a_message_waits_until_its_receiver_yields() {
    let code = vec![OpCode::Int(1), OpCode::Yield, OpCode::Add];
    let mut scheduler = scheduler([actor(1, code, vec![])]);
    scheduler.tick().unwrap();
    scheduler.send_message(1, Value::Int(4));
    scheduler.send_message(8, Value::Nil);
    assert_eq!(scheduler.actor(1).unwrap().mailbox().len(), 0);
    scheduler.deliver_external_messages();
    assert!(scheduler.actor(1).unwrap().mailbox().eq([&Value::Int(4)]));
    assert_eq!(scheduler.dead_letters(), 1);
    assert_eq!(
        scheduler.tick(),
        Ok(TickResult::ActorFinished(1, Value::Int(5)))
    );
    assert_eq!(scheduler.actor(1).unwrap().mailbox().len(), 0);
}

#[test]
fn requests_are_decided_and_recorded() {
    let mut scheduler = scheduler([endless(1)]);
    let clock = Capability::SysClock;
    let request = |scheduler: &mut PhysicsScheduler, id, capability: &Capability| {
        scheduler.handle_capability_request(id, capability.clone(), "because")
    };
    assert_eq!(request(&mut scheduler, 9, &clock), CapDecision::Denied);
    assert_eq!(request(&mut scheduler, 1, &clock), CapDecision::Granted);
    assert_eq!(request(&mut scheduler, 1, &clock), CapDecision::Granted);
    assert_eq!(
        request(&mut scheduler, 1, &Capability::MacroUnsafe),
        CapDecision::Denied
    );
    let vote = Capability::SysTerminateActor;
    assert_eq!(
        request(&mut scheduler, 1, &vote),
        CapDecision::PendingConsensus
    );
    assert!(scheduler.actor_has_capability(1, &clock));
    assert!(!scheduler.actor_has_capability(1, &vote));
    assert!(!scheduler.actor_has_capability(9, &clock));
    let requests = &scheduler.actor(1).unwrap().capability_requests;
    let granted: Vec<_> = requests.iter().map(|request| request.granted).collect();
    assert_eq!(granted, [Some(true), Some(false), None]);
    assert_eq!(requests[2].requested_at, 4);
    let log = scheduler.get_capability_audit_log();
    assert!(
        log.iter()
            .all(|entry| entry.operation == CapOperation::Request)
    );
    assert!(log.iter().map(|entry| entry.timestamp).eq(0..5));
    assert_eq!(
        log[0].result,
        CapDecisionResult::Error("Actor not found".into())
    );
    assert_eq!(log[4].result, CapDecisionResult::ConsensusRequired);
    assert_eq!(log[4].justification, "because");
    scheduler.clear_capability_audit_log();
    assert!(scheduler.get_capability_audit_log().is_empty());
}

#[test]
fn granting_and_revoking_follow_the_rules_and_are_recorded() {
    let mut scheduler = scheduler([endless(1), endless(2)]);
    let clock = Capability::SysClock;
    let missing = scheduler.grant_capability(1, 9, clock.clone());
    assert_eq!(missing, Err(PhysicsError::ActorNotFound(9)));
    let refused = scheduler.grant_capability(1, 2, clock.clone()).unwrap_err();
    let text = "Capability error: Granter does not have MetaGrant capability";
    assert_eq!(refused.to_string(), text);
    let granter = &mut scheduler.actor_mut(1).unwrap().capabilities;
    granter.extend([Capability::MetaGrant, clock.clone()]);
    scheduler.grant_capability(1, 2, clock.clone()).unwrap();
    assert!(scheduler.actor_has_capability(2, &clock));
    assert!(scheduler.revoke_capability(2, 1, &clock).is_err());
    scheduler.revoke_capability(1, 2, &clock).unwrap();
    scheduler.revoke_capability(2, 2, &clock).unwrap();
    assert_eq!(scheduler.endow(9, clock.clone()), missing);
    scheduler.endow(2, Capability::IoPersist).unwrap();
    assert!(scheduler.actor_has_capability(2, &Capability::IoPersist));
    assert!(!scheduler.actor_has_capability(2, &clock));
    assert!(scheduler.revoke_capability(9, 2, &clock).is_err());
    let log = scheduler.get_capability_audit_log();
    let entries: Vec<_> = log
        .iter()
        .map(|entry| (entry.actor_id, entry.operation))
        .collect();
    let (delegate, revoke) = (CapOperation::Delegate, CapOperation::Revoke);
    assert_eq!(
        entries,
        [
            (2, delegate),
            (2, delegate),
            (1, revoke),
            (2, revoke),
            (2, revoke),
            (2, CapOperation::Grant)
        ]
    );
}

#[test]
fn a_program_grants_and_is_refused() {
    let capability = Value::Capability(Capability::SysClock);
    let code = vec![
        OpCode::GrantCap(2, 0),
        OpCode::RevokeCap(2, 0),
        OpCode::Int(1),
    ];
    let mut scheduler = scheduler([actor(1, code.clone(), vec![capability.clone()]), endless(2)]);
    let Ok(TickResult::ActorErrored(1, error)) = scheduler.tick() else {
        panic!("actor 1 may not grant")
    };
    assert_eq!(
        error.to_string(),
        "Capability error: GrantCap needs SysClock"
    );
    let mut granter = actor(1, code, vec![capability]);
    granter
        .capabilities
        .extend([Capability::MetaGrant, Capability::SysClock]);
    scheduler.add_actor(granter);
    assert_eq!(
        scheduler.tick_actor(1),
        Ok(TickResult::ActorFinished(1, Value::Int(1)))
    );
}

#[test]
fn a_vote_lets_the_waiting_actor_go_on() {
    let wanted = Capability::SysTerminateActor;
    let constants = vec![
        Value::Capability(wanted.clone()),
        Value::String("to end it".into()),
    ];
    let code = vec![OpCode::RequestCap(0, 1), OpCode::HasCap(0)];
    let mut scheduler = scheduler([
        actor(1, code.clone(), constants.clone()),
        endless(2),
        endless(3),
        endless(4),
    ]);
    let waiting = TickResult::ActorWaitingForCapability(1, wanted.clone());
    assert_eq!(scheduler.tick(), Ok(waiting));
    assert!(scheduler.actor(1).unwrap().is_waiting());
    assert_eq!(turns(&mut scheduler, 4), [2, 3, 4, 2]);
    let mut vote = |voter, approve| scheduler.handle_consensus_vote(voter, 1, &wanted, approve);
    assert!(matches!(
        vote(2, true),
        Err(PhysicsError::ConsensusError(_))
    ));
    for id in 1..=3 {
        scheduler
            .actor_mut(id)
            .unwrap()
            .capabilities
            .insert(Capability::MetaGrant);
    }
    let mut vote = |voter, approve| scheduler.handle_consensus_vote(voter, 1, &wanted, approve);
    assert!(matches!(
        vote(1, true),
        Err(PhysicsError::ConsensusError(_))
    ));
    assert_eq!(vote(9, true), Err(PhysicsError::ActorNotFound(9)));
    assert_eq!(vote(2, true), Ok(CapDecision::PendingConsensus));
    assert_eq!(vote(2, true), Ok(CapDecision::PendingConsensus));
    let state = scheduler.get_consensus_state(1, &wanted);
    assert_eq!(
        (state.approve, state.deny, state.abstain, state.total),
        (1, 0, 1, 2)
    );
    let decided = scheduler.handle_consensus_vote(3, 1, &wanted, true);
    assert_eq!(decided, Ok(CapDecision::Granted));
    assert!(!scheduler.actor(1).unwrap().is_waiting());
    let late = scheduler.handle_consensus_vote(3, 1, &wanted, true);
    assert!(matches!(late, Err(PhysicsError::ConsensusError(_))));
    let finished = TickResult::ActorFinished(1, Value::Bool(true));
    assert_eq!(scheduler.tick_actor(1), Ok(finished));
    let last = scheduler.get_capability_audit_log().last().unwrap();
    assert_eq!(last.result, CapDecisionResult::ConsensusApproved);
}

#[test]
fn a_lost_vote_fails_the_waiting_actor() {
    let wanted = Capability::MetaGrant;
    let constants = vec![
        Value::Capability(wanted.clone()),
        Value::String("power".into()),
    ];
    let code = vec![OpCode::RequestCap(0, 1), OpCode::Int(1)];
    let mut scheduler = scheduler([actor(1, code, constants), endless(2)]);
    scheduler.tick().unwrap();
    let voter = scheduler.actor_mut(2).unwrap();
    voter.capabilities.insert(Capability::MetaGrant);
    let decided = scheduler.handle_consensus_vote(2, 1, &wanted, false);
    assert_eq!(decided, Ok(CapDecision::Denied));
    let Ok(TickResult::ActorErrored(1, error)) = scheduler.tick_actor(1) else {
        panic!("the request was denied")
    };
    let text = "Capability error: Capability request denied";
    assert_eq!(error.to_structured().to_string(), text);
    assert_eq!(
        scheduler.actor(1).unwrap().capability_requests[0].granted,
        Some(false)
    );
}

#[test]
fn extra_resources_come_from_a_pool_and_raise_the_limits() {
    let extra = Value::Capability(Capability::ResourceExtraTime(50));
    let constants = vec![extra, Value::String("more".into())];
    let spin = || {
        let code = vec![
            OpCode::RequestCap(0, 1),
            OpCode::Int(30),
            OpCode::Int(1),
            OpCode::Sub,
            OpCode::Dup,
            OpCode::JmpIfFalse(1),
            OpCode::Jmp(-5),
            OpCode::Ret,
        ];
        Actor::new(
            1,
            VmState::new(code, constants.clone(), 120, 1 << 16, 1, 100),
        )
    };
    let mut scheduler = scheduler([spin()]);
    scheduler.set_extra_pool(ExtraPool {
        memory_bytes: 0,
        steps: 60,
    });
    let Ok(TickResult::ActorFinished(..)) = scheduler.tick() else {
        panic!("50 steps more are enough")
    };
    assert_eq!(scheduler.extra_pool().steps, 10);
    assert_eq!(scheduler.actor(1).unwrap().vm().limits().0, 170);
    scheduler.add_actor(spin());
    let Ok(TickResult::ActorErrored(1, error)) = scheduler.tick() else {
        panic!("the pool has only 10 steps left")
    };
    assert_eq!(error.kind().unwrap().name(), "CapabilityDenied");
}

#[test]
fn quotas_bind_actors_and_reservations() {
    let mut scheduler = scheduler([endless(1)]);
    assert_eq!(scheduler.get_actor_resource_usage(1), None);
    let missing = scheduler.set_actor_resource_quota(9, 1, 1);
    assert_eq!(missing, Err(PhysicsError::ActorNotFound(9)));
    scheduler.set_actor_resource_quota(1, 100, 5).unwrap();
    let mut reserve = |bytes, steps| scheduler.allocate_resources_to_actor(1, bytes, steps);
    assert_eq!(reserve(100, 5), ResourceAllocationResult::Success);
    assert_eq!(reserve(1, 0), ResourceAllocationResult::QuotaExceeded);
    assert_eq!(reserve(0, 1), ResourceAllocationResult::QuotaExceeded);
    scheduler.release_resources_from_actor(1, 1000, 2);
    let usage = scheduler.get_actor_resource_usage(1).unwrap();
    assert_eq!((usage.memory_used, usage.cpu_used), (0, 3));
    assert_eq!((usage.memory_quota, usage.cpu_quota), (100, 5));
    // The actor itself may take 5 steps: yield, jump, yield, jump, yield.
    assert_eq!(turns(&mut scheduler, 3), [1, 1, 1]);
    let Ok(TickResult::ActorErrored(1, error)) = scheduler.tick() else {
        panic!("the quota is used up")
    };
    assert_eq!(error.kind().unwrap().name(), "CpuLimitExceeded");
    // A quota below what is used already stops it at once.
    let mut late = endless(3);
    late.vm_mut().run_until_pause().unwrap();
    scheduler.add_actor(late);
    scheduler.set_actor_resource_quota(3, 100, 0).unwrap();
    assert!(matches!(
        scheduler.tick_actor(3),
        Ok(TickResult::ActorErrored(3, _))
    ));
    // An actor without a quota of its own has a default one for reservations.
    let unset = scheduler.allocate_resources_to_actor(2, 1 << 20, 1_000_000);
    assert_eq!(unset, ResourceAllocationResult::Success);
    let more = scheduler.allocate_resources_to_actor(2, 0, 1);
    assert_eq!(more, ResourceAllocationResult::QuotaExceeded);
}

#[test]
fn limits_of_all_actors_together_stop_ticks() {
    let mut scheduler = scheduler([endless(1)]);
    scheduler.set_resource_limits(1 << 20, 3);
    let too_much = scheduler.allocate_resources_to_actor(1, 0, 4);
    assert_eq!(too_much, ResourceAllocationResult::GlobalLimitExceeded);
    assert!(!scheduler.check_resource_limits());
    assert_eq!(turns(&mut scheduler, 3), [1, 1, 1]);
    assert!(scheduler.check_resource_limits());
    let refused = scheduler.tick().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Scheduler error: Resource limits exceeded"
    );
    let stats = scheduler.get_resource_stats();
    assert_eq!((stats.cpu_time_used, stats.cpu_time_limit), (5, 3));
    assert_eq!((stats.active_actors, stats.waiting_actors), (1, 0));
    assert!(stats.cpu_usage_percent > 100.0);
    scheduler.set_resource_limits(0, 0);
    assert_eq!(scheduler.get_resource_stats().memory_usage_percent, 0.0);
    assert_eq!(turns(&mut scheduler, 1), [1]);
}

#[test]
fn every_hundredth_update_is_kept() {
    let mut scheduler = scheduler([endless(1)]);
    scheduler.tick().unwrap();
    for _ in 0..250 {
        scheduler.update_resource_usage();
    }
    let history: Vec<_> = scheduler.get_resource_usage_history().cloned().collect();
    assert_eq!(history.len(), 2);
    assert_eq!(
        (history[1].timestamp, history[1].global_step_count),
        (200, 1)
    );
    assert_eq!(history[1].active_actors, 1);
    scheduler.clear_resource_usage_history();
    assert_eq!(scheduler.get_resource_usage_history().len(), 0);
}

#[test]
fn heaps_with_garbage_are_defragmented() {
    // Makes pairs and forgets them.
    let mut code = [OpCode::Nil, OpCode::Nil, OpCode::Cons, OpCode::Pop].repeat(50);
    code.push(OpCode::Yield);
    let mut scheduler = scheduler([actor(1, code, vec![])]);
    scheduler.tick().unwrap();
    let used = scheduler.actor(1).unwrap().vm().memory_used();
    assert!(scheduler.get_resource_stats().fragmentation_ratio > 0.5);
    assert_eq!(scheduler.auto_defragment_if_needed(0.5), 1);
    assert_eq!(scheduler.auto_defragment_if_needed(0.5), 0);
    assert!(scheduler.actor(1).unwrap().vm().memory_used() < used);
    assert_eq!(
        scheduler.tick(),
        Ok(TickResult::ActorFinished(1, Value::Nil))
    );
}

#[test]
fn a_debugger_pauses_an_actor_in_its_turn() {
    let mut scheduler = scheduler([actor(
        1,
        vec![OpCode::Int(1), OpCode::Int(2), OpCode::Add],
        vec![],
    )]);
    let mut debugger = crate::v2::Debugger::new();
    debugger.add_breakpoint(1);
    let vm = scheduler.actor_mut(1).unwrap().vm_mut();
    vm.attach_debugger(debugger);
    assert_eq!(scheduler.tick(), Ok(TickResult::ActorPaused(1)));
    assert_eq!(scheduler.actor(1).unwrap().vm().stack(), [Value::Int(1)]);
    assert_eq!(
        scheduler.tick(),
        Ok(TickResult::ActorFinished(1, Value::Int(3)))
    );
}

#[test]
fn host_functions_can_be_replaced() {
    struct Doubling;
    impl HostProvider for Doubling {
        fn call(
            &mut self,
            actor: u32,
            function: HostFunction,
            arguments: &[Value],
            objects: &mut HeapObjects,
        ) -> Value {
            assert_eq!((actor, function), (1, HostFunction::ReadSensor));
            let [Value::Int(argument)] = arguments else {
                panic!("{arguments:?}")
            };
            let pair = crate::v2::HeapObject::Pair(Value::Int(2 * argument), Value::Nil);
            Value::Pair(objects.add(pair))
        }
    }
    let call = OpCode::HostCall {
        cap_idx: 0,
        func_id: 0,
        args: 1,
    };
    let constants = vec![Value::Capability(Capability::IoReadSensor)];
    let mut reader = actor(1, vec![OpCode::Int(4), call, OpCode::Car], constants);
    reader.capabilities.insert(Capability::IoReadSensor);
    let mut scheduler = scheduler([reader]);
    scheduler.set_host(Box::new(Doubling));
    assert_eq!(
        scheduler.tick(),
        Ok(TickResult::ActorFinished(1, Value::Int(8)))
    );
}
