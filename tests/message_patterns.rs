//! The queue, the broadcast system and the ways to send, by themselves and in a world.

use physics_world::jit::Value;
use physics_world::jit::fiber::parcel::Parcel;
use physics_world::runtime::message::{
    AdvancedMessagePattern, BroadcastEvent, BroadcastSystem, Message, Overflow,
    PriorityMessageQueue, RequestId,
};
use physics_world::runtime::world::{Stopped, WorldEvent};
use physics_world::source::load_jue;
use physics_world::{ActorId, Datum, World, WorldSettings};

fn message(number: i64) -> Message {
    Message {
        from: ActorId::OUTSIDE,
        content: Parcel::Plain(Value::int(number)),
        request: None,
    }
}

fn number(message: &Message) -> i64 {
    match message.content {
        Parcel::Plain(value) => value.as_int().expect("an Int"),
        Parcel::Small(_) | Parcel::Graph(_) => panic!("plain values only"),
    }
}

#[test]
fn a_queue_keeps_order_within_a_level_and_serves_all_levels_by_weight() {
    let mut queue = PriorityMessageQueue::new();
    assert_eq!(
        (queue.dequeue_message(), queue.current_priority()),
        (None, 0)
    );
    for level in 0..8u8 {
        for place in 0..300 {
            queue.enqueue_message(message(i64::from(level) * 1000 + place), level);
        }
    }
    assert_eq!(queue.len(), 2400);
    assert_eq!(queue.bytes(), 2400 * 16);
    let mut served = [0i64; 8];
    for _ in 0..255 {
        let level = queue.current_priority();
        let got = number(&queue.dequeue_message().expect("there are more"));
        assert_eq!(got, i64::from(level) * 1000 + served[usize::from(level)]);
        served[usize::from(level)] += 1;
    }
    assert_eq!(
        served,
        [128, 64, 32, 16, 8, 4, 2, 1],
        "a round serves by weight"
    );
    let rest = std::iter::from_fn(|| queue.dequeue_message()).count();
    assert_eq!(rest, 2400 - 255);
    assert!(queue.is_empty());
    queue.enqueue_message(message(1), 200);
    assert_eq!(
        queue.current_priority(),
        7,
        "levels beyond the last count as the last"
    );
}

#[test]
fn a_full_queue_forgets_the_oldest_of_the_lowest_level() {
    let mut queue = PriorityMessageQueue::new();
    for (number, level) in [(1, 5), (2, 0), (3, 5)] {
        queue.enqueue_message(message(number), level);
    }
    assert_eq!(queue.drop_oldest().map(|message| number(&message)), Some(1));
    let left: Vec<(u8, i64)> = queue
        .iter()
        .map(|(level, message)| (level, number(&message)))
        .collect();
    assert_eq!(left, [(0, 2), (5, 3)]);
}

#[test]
fn requests_and_plain_messages_of_a_level_keep_their_order() {
    let asked = |number: i64| Message {
        request: Some(RequestId(number.unsigned_abs())),
        ..message(number)
    };
    let mut queue = PriorityMessageQueue::new();
    let mut expected = std::collections::VecDeque::new();
    let mut next = 0;
    // Never empty for long, with every mixture of the two.
    for round in 0..500 {
        for _ in 0..round % 4 {
            next += 1;
            let is_asked = next % 3 == 0 || next % 7 < 2;
            let sent = if is_asked { asked(next) } else { message(next) };
            queue.enqueue_message(sent.clone(), 4);
            expected.push_back(sent);
        }
        assert_eq!(
            queue.dequeue_message(),
            expected.pop_front(),
            "in round {round}"
        );
    }
    let copy = queue.clone();
    assert!(copy.iter().all(|(level, _)| level == 4));
    assert!(
        copy.iter()
            .map(|(_, message)| message)
            .eq(expected.iter().cloned())
    );
    assert_eq!(copy, queue, "what is gone makes no difference");
    assert_eq!(queue.drop_oldest(), expected.pop_front());
    assert_ne!(copy, queue);
    assert_eq!(queue.len(), expected.len() as u64);
    assert_eq!(queue.bytes(), queue.len() * 16);
    while let Some(message) = expected.pop_front() {
        assert_eq!(queue.dequeue_message(), Some(message));
    }
    assert_eq!((queue.len(), queue.bytes()), (0, 0));
}

#[test]
fn broadcasts_reach_those_who_subscribed_and_are_remembered() {
    let mut system = BroadcastSystem::new(2);
    let [a, b] = [ActorId(7), ActorId(3)];
    assert!(system.subscribe(a, "news".to_owned()));
    assert!(system.subscribe(b, "news".to_owned()));
    assert!(!system.subscribe(a, "news".to_owned()));
    let event = |number| BroadcastEvent {
        event_type: "news".to_owned(),
        source: ActorId::OUTSIDE,
        payload: Parcel::Plain(Value::int(number)),
        tick: 1,
    };
    assert_eq!(system.broadcast_event(event(1)), [b, a], "by address");
    assert!(system.unsubscribe(a, "news"));
    assert!(!system.unsubscribe(a, "news"));
    assert_eq!(system.broadcast_event(event(2)), [b]);
    assert_eq!(system.broadcast_event(event(3)), [b]);
    let kept: Vec<BroadcastEvent> = system.broadcast_history().cloned().collect();
    assert_eq!(kept, [event(2), event(3)], "the newest are kept");
    assert!(system.subscribers("other").is_empty());
}

#[test]
fn every_pattern_brings_what_it_says() {
    let mut world = World::builder().build().unwrap();
    let program = load_jue(
        &mut world,
        "patterns.jue",
        "(defn collect [] (subscribe 'topic)
           (let loop ((seen nil))
             (let ((m (receive)))
               (cond ((eq? m 'seen) (reply (reverse seen)) (loop nil))
                     ((eq? m 'question) (reply 'answer) (loop seen))
                     (else (loop (cons (list m (sender)) seen)))))))
         0",
    )
    .unwrap();
    let [one, two] = [0, 1].map(|_| world.spawn_function(program, "collect", &[]).unwrap());
    world.run_to_idle();
    let content = Datum::Int;
    for (priority, number) in [(7, 1), (0, 2)] {
        let pattern = AdvancedMessagePattern::PriorityMessage {
            priority,
            content: content(number),
        };
        world.dispatch(one, pattern);
    }
    world.dispatch(
        one,
        AdvancedMessagePattern::Broadcast {
            source: two,
            content: content(3),
            recipients: vec![one, two],
        },
    );
    world.dispatch(
        one,
        AdvancedMessagePattern::Event {
            event_type: "topic".to_owned(),
            payload: content(4),
        },
    );
    world.dispatch(
        one,
        AdvancedMessagePattern::RequestReply {
            request_id: 9,
            content: Datum::symbol("question"),
            reply_to: two,
        },
    );
    let seen = |world: &mut World, actor| world.ask(actor, &Datum::symbol("seen")).unwrap();
    let said = |number, from: Datum| Datum::List(vec![content(number), from]);
    world.run_to_idle();
    let expected = Datum::List(vec![
        said(2, Datum::Nil),
        said(3, Datum::Actor(two)),
        said(4, Datum::Nil),
        said(1, Datum::Nil),
    ]);
    assert_eq!(seen(&mut world, one), expected);
    let expected = Datum::List(vec![
        said(3, Datum::Actor(two)),
        said(4, Datum::Nil),
        Datum::List(vec![Datum::symbol("answer"), Datum::Actor(one)]),
    ]);
    assert_eq!(seen(&mut world, two), expected);
    assert_eq!(world.broadcasts().broadcast_history().count(), 1);
}

/// Somebody who waits, for a time at first; somebody who never looks; and who fills the mailboxes of both after some ticks.
const FULL: &str = "
(define (take) (receive) (take))
(define (taker) (receive :timeout 1) (take))
(define (busy n) (busy (+ n 1)))
(define (sender to-busy to-taker ticks)
  (if (> ticks 0) (begin (yield) (sender to-busy to-taker (- ticks 1)))
    (begin (send! to-taker 0) (yield)
           (send! to-busy 1) (send! to-busy 2) (send! to-busy 3)
           (send! to-taker 1) (send! to-taker 2) (send! to-taker 3) (receive))))
(define (main ticks) (sender (spawn busy 0) (spawn taker) ticks))
";

#[test]
fn senders_wait_for_room_alike_whatever_their_receivers_were_before() {
    let begin = |ticks: i64| {
        let settings = WorldSettings {
            mailbox_messages: 2,
            overflow: Overflow::Wait,
            ..WorldSettings::default()
        };
        let mut world = World::builder().settings(settings).build().unwrap();
        let program = load_jue(&mut world, "test.jue", FULL).unwrap_or_else(|bad| panic!("{bad}"));
        world.spawn(program, &[Datum::Int(ticks)]).unwrap();
        world
    };
    let mut has_waited = false;
    for ticks in 0..12 {
        let (mut kept, mut renewed) = (begin(ticks), begin(ticks));
        for tick in 0..40 {
            kept.run_ticks(1);
            renewed.run_ticks(1);
            let state = kept.to_checkpoint();
            assert_eq!(state, renewed.to_checkpoint(), "{ticks} ticks, tick {tick}");
            renewed.renew_from_images().unwrap();
            has_waited |= kept.actors().iter().any(|view| view.mailbox_messages == 2);
        }
    }
    assert!(has_waited);
}

#[test]
fn a_tick_that_is_left_by_a_panic_leaves_nothing_for_the_next() {
    const MANY: &str = "
(define (main silent) (send! silent 1) (send! silent (list 2)) (send! silent 3) (receive))
(define (silent) (yield) (silent))
";
    let mut world = World::builder().build().unwrap();
    let program = load_jue(&mut world, "test.jue", MANY).unwrap_or_else(|bad| panic!("{bad}"));
    let silent = world.spawn_function(program, "silent", &[]).unwrap();
    world.spawn(program, &[Datum::Actor(silent)]).unwrap();
    let mut told = 0;
    world.observe(move |event| {
        if matches!(event, WorldEvent::Delivered { .. }) {
            told += 1;
            assert!(told != 2, "an observer has a defect");
        }
    });
    let tick = std::panic::AssertUnwindSafe(|| world.tick());
    std::panic::catch_unwind(tick).expect_err("it is told of the second message");
    let mailbox = |world: &World| world.actor(silent).map(|view| view.mailbox_messages);
    let before = mailbox(&world);
    assert_eq!(world.run_ticks(3), Stopped::Ticks);
    assert_eq!(mailbox(&world), before, "nothing comes a second time");
}
