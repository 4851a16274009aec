//! Capabilities: who decides, who gives and takes, and what the log tells of it.

#[path = "support/worlds.rs"]
mod worlds;

use physics_world::runtime::capability::{
    AuditLog, AuditResult, CapabilityOperation, CapabilityRule,
};
use physics_world::runtime::host::HostFunction;
use physics_world::{Datum, World};
use worlds::{load, value, world};

#[test]
fn holders_of_meta_grant_vote_and_three_quarters_of_them_decide() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn voter [answer]
           (let loop () (let ((m (receive))) (when (pair? m) (vote-capability (nth m 1) answer) (vote-capability (nth m 1) (not answer))) (loop))))
         (defn asker [] (let loop () (receive) (reply (request-capability 'sys-terminate-actor \"please\")) (loop)))
         0",
    );
    let spawn = |world: &mut World, answer| {
        let voter = world
            .spawn_function(program, "voter", &[Datum::Bool(answer)])
            .unwrap();
        assert!(world.grant(voter, "meta-grant", false));
        voter
    };
    let asker = world.spawn_function(program, "asker", &[]).unwrap();
    let ask = |world: &mut World| world.ask(asker, &Datum::Nil).unwrap();
    assert_eq!(ask(&mut world), Datum::Bool(false), "nobody may vote");
    let against = spawn(&mut world, false);
    for _ in 0..2 {
        spawn(&mut world, true);
    }
    assert_eq!(
        ask(&mut world),
        Datum::Bool(false),
        "two of three are not enough"
    );
    spawn(&mut world, true);
    assert_eq!(ask(&mut world), Datum::Bool(true), "three of four are");
    assert!(world.holds(asker, "sys-terminate-actor"));
    assert!(world.revoke_from(asker, "sys-terminate-actor"));
    assert!(!world.holds(asker, "sys-terminate-actor"));
    assert!(world.revoke_from(against, "meta-grant"));
    assert_eq!(ask(&mut world), Datum::Bool(true));
    let entries: Vec<_> = world.audit().entries().cloned().collect();
    assert_eq!(AuditLog::first_break([0; 32], &entries), None);
    let votes = entries
        .iter()
        .filter(|entry| entry.operation == CapabilityOperation::Vote);
    assert!(
        votes.clone().count() >= 7 && votes.clone().count() < 20,
        "nobody votes twice"
    );
    let mut forged = entries.clone();
    forged[1].result = AuditResult::Denied;
    assert_eq!(AuditLog::first_break([0; 32], &forged), Some(1));
    let mut shortened = entries;
    shortened.remove(2);
    assert!(AuditLog::first_break([0; 32], &shortened).is_some());
}

#[test]
fn a_vote_that_nobody_casts_ends_at_its_deadline() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn deaf [] (let loop () (receive) (loop)))
         (defn main [] (request-capability 'meta-grant \"please\"))",
    );
    let deaf = world.spawn_function(program, "deaf", &[]).unwrap();
    world.grant(deaf, "meta-grant", false);
    let first = world.spawn(program, &[]).unwrap();
    let end = world.run_until_end(first).unwrap();
    assert_eq!(value(&world, &end), Datum::Bool(false));
    assert_eq!(world.now_ms(), world.settings().vote_ms);
}

#[test]
fn the_embedder_decides_where_it_wants_to() {
    let mut world = World::builder()
        .rule("shop", CapabilityRule::Embedder)
        .host(HostFunction::pure("buy", |_| Ok(Datum::symbol("bought"))).needing("shop"))
        .build()
        .unwrap();
    let program = load(
        &mut world,
        "(defn main []
           (list (try (host-call 'buy) (catch e (error-kind e)))
                 (request-capability 'shop \"hungry\") (host-call 'buy)
                 (request-capability '(shop 5) \"greedy\")))",
    );
    let first = world.spawn(program, &[]).unwrap();
    world.run_ticks(2);
    let open = world.open_requests();
    assert_eq!(open.len(), 1);
    assert_eq!(
        (open[0].1, &*open[0].2, &*open[0].3),
        (first, "shop", "hungry")
    );
    assert!(world.decide_request(open[0].0, true));
    assert!(!world.decide_request(open[0].0, true));
    world.run_ticks(2);
    let open = world.open_requests();
    assert_eq!(&*open[0].2, "(shop 5)");
    assert!(world.decide_request(open[0].0, false));
    let end = world.run_until_end(first).unwrap();
    let expected = Datum::List(vec![
        Datum::symbol("CapabilityDenied"),
        Datum::Bool(true),
        Datum::symbol("bought"),
        Datum::Bool(false),
    ]);
    assert_eq!(value(&world, &end), expected);
}

#[test]
fn what_descends_from_a_revoked_capability_is_gone_too() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn keeper [] (let loop () (let ((m (receive)))
            (cond ((eq? m 'child) (reply (spawn keeper)))
                  ((eq? m 'holds) (reply (has-capability? 'io-network)))
                  ((eq? m 'prints) (reply (has-capability? 'io-console)))
                  (else (reply (delegate-capability m 'io-network :expires 1000))))
            (loop))))
         0",
    );
    let ask =
        |world: &mut World, actor, text: &str| world.ask(actor, &Datum::symbol(text)).unwrap();
    let root = world.spawn_function(program, "keeper", &[]).unwrap();
    world.grant(root, "io-network", false);
    let mut chain = vec![root];
    for _ in 0..3 {
        let last = *chain.last().unwrap();
        let Datum::Actor(child) = ask(&mut world, last, "child") else {
            panic!("no child")
        };
        assert_eq!(world.ask(last, &Datum::Actor(child)), Ok(Datum::Bool(true)));
        chain.push(child);
    }
    for actor in &chain {
        assert_eq!(ask(&mut world, *actor, "holds"), Datum::Bool(true));
    }
    assert!(world.revoke_from(chain[1], "io-network"));
    let holds: Vec<Datum> = chain
        .iter()
        .map(|actor| ask(&mut world, *actor, "holds"))
        .collect();
    assert_eq!(holds, [true, false, false, false].map(Datum::Bool));
    // What is inherited is taken from a subtree, its dead members in between or not.
    world.handle().kill(chain[2]);
    world.run_ticks(1);
    assert!(world.revoke_from(chain[1], "io-console"));
    assert_eq!(ask(&mut world, chain[0], "prints"), Datum::Bool(true));
    assert_eq!(ask(&mut world, chain[1], "prints"), Datum::Bool(false));
    assert_eq!(ask(&mut world, chain[3], "prints"), Datum::Bool(false));
}

#[test]
fn only_ancestors_and_holders_of_the_power_end_others() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn idle [] (receive))
         (defn killer [] (let loop () (let ((m (receive))) (kill m) (reply 'done) (loop))))
         (defn parent [] (receive) (let ((child (spawn idle))) (reply child) (receive) (kill child) (receive)))
         0",
    );
    let killer = world.spawn_function(program, "killer", &[]).unwrap();
    let parent = world.spawn_function(program, "parent", &[]).unwrap();
    let Ok(Datum::Actor(child)) = world.ask(parent, &Datum::Nil) else {
        panic!("no child")
    };
    world.ask(killer, &Datum::Actor(child)).unwrap();
    assert_eq!(world.actor_count(), 3);
    let last = world.audit().entries().last().unwrap();
    assert_eq!(
        (last.operation, last.result),
        (CapabilityOperation::Check, AuditResult::Denied)
    );
    world.send(parent, &Datum::Nil);
    world.run_to_idle();
    assert_eq!(world.actor_count(), 2);
    world.grant(killer, "sys-terminate-actor", false);
    world.ask(killer, &Datum::Actor(parent)).unwrap();
    world.run_to_idle();
    assert_eq!(world.actor_count(), 1);
}

#[test]
fn a_request_whose_asker_has_ended_is_closed() {
    let mut world = World::builder()
        .rule("shop", CapabilityRule::Embedder)
        .build()
        .unwrap();
    let program = load(&mut world, "(request-capability 'shop \"soon gone\")");
    let asker = world.spawn(program, &[]).unwrap();
    world.run_ticks(2);
    assert_eq!(world.open_requests().len(), 1);
    world.handle().kill(asker);
    world.run_ticks(1);
    assert!(world.open_requests().is_empty());
    let last = world.audit().entries().last().unwrap();
    assert_eq!((last.subject, last.result), (asker, AuditResult::Rejected));
}

#[test]
fn a_vote_is_decided_by_those_who_are_left() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn deaf [] (let loop () (receive) (loop)))
         (defn willing [] (let ((m (receive))) (vote-capability (nth m 1) true) (receive)))
         (defn main [] (request-capability 'macro-unsafe \"please\"))",
    );
    let deaf = world.spawn_function(program, "deaf", &[]).unwrap();
    let willing = world.spawn_function(program, "willing", &[]).unwrap();
    for voter in [deaf, willing] {
        world.grant(voter, "meta-grant", false);
    }
    let first = world.spawn(program, &[]).unwrap();
    world.run_ticks(3);
    assert!(world.take_end(first).is_none(), "one of two is not enough");
    world.handle().kill(deaf);
    let end = world.run_until_end(first).unwrap();
    // Two approvals were needed, and only one can come.
    assert_eq!(value(&world, &end), Datum::Bool(false));
    assert!(world.now_ms() < world.settings().vote_ms);
}
