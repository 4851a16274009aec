//! What is too long for a history is refused, whichever way it is said.

#[path = "support/histories.rs"]
mod histories;
#[path = "support/worlds.rs"]
mod worlds;

use std::sync::Arc;

use histories::{COUNTER, builder, settings};
use physics_world::runtime::actor::EndReason;
use physics_world::runtime::disk::MemoryDisk;
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::inspect::{Intervention, InterventionError};
use physics_world::runtime::message::AdvancedMessagePattern;
use physics_world::runtime::world::{AskError, HistorySettings, SpawnError};
use physics_world::{Datum, World};
use worlds::load;

#[test]
fn what_is_too_long_for_a_history_is_refused_however_it_is_said() {
    let long = Datum::Bytes(vec![7; 2_000]);
    let answer = long.clone();
    let call = HostFunction::call("long", move |_, _| Ok(answer.clone()));
    let settings = HistorySettings {
        input_bytes_max: 1_000,
        ..settings()
    };
    let disk = MemoryDisk::default();
    let builder_of = || {
        let print = HostFunction::output("print", |_| {}).needing("io-console");
        builder().host(call.clone()).host(print)
    };
    let (mut world, _) = builder_of().keep(Arc::new(disk.clone()), settings).unwrap();
    let source = format!(
        "{}\n(define (asks) (receive) (try (host-call 'long) (catch e (error-message e))))",
        COUNTER
    );
    let program = load(&mut world, &source);
    let counter = world.spawn(program, &[]).unwrap();
    let asks = world.spawn_function(program, "asks", &[]).unwrap();
    let journal = |world: &mut World| {
        world.flush().unwrap();
        disk.copy()
    };
    journal(&mut world);
    assert!(!world.send(counter, &long));
    assert!(!world.send_with_priority(counter, &long, 0));
    assert!(!world.publish("news", &long));
    let content = long.clone();
    assert!(!world.dispatch(
        counter,
        AdvancedMessagePattern::PriorityMessage {
            priority: 1,
            content
        }
    ));
    let error = world.ask(counter, &long).unwrap_err();
    assert!(matches!(error, AskError::Refused(_)), "{error}");
    let error = world
        .spawn(program, std::slice::from_ref(&long))
        .unwrap_err();
    assert!(matches!(error, SpawnError::TooLong(_)), "{error}");
    let error = world
        .intervene(Intervention::Tell(counter, long.clone()))
        .unwrap_err();
    assert!(matches!(error, InterventionError::TooLong(_)), "{error}");
    assert_eq!(world.actor(counter).unwrap().mailbox_messages, 0);
    // An answer that is too long is an error for who called.
    assert!(world.send(asks, &Datum::Int(1)));
    let end = world.run_until_end(asks).unwrap();
    let EndReason::Done(value) = &end.reason else {
        panic!("{:?}", end.reason)
    };
    let text = world.datum(value).text();
    assert!(text.contains("the answer has"), "{text}");
    assert_eq!(world.history_error(), None);
    // What is not too long goes on, and all of it comes again.
    assert_eq!(world.ask(counter, &Datum::Int(5)).unwrap(), Datum::Int(5));
    let copy = journal(&mut world);
    let (again, _) = builder_of().keep(Arc::new(copy), settings).unwrap();
    assert_eq!(again.to_checkpoint(), world.to_checkpoint());
}
