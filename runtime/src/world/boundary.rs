//! Between ticks: what actors did to each other takes effect.
//!
//! The order is that of the run list, which begins one actor further on in each tick, so that nobody is first for ever; for
//! each actor in the order of its deeds, its end last. It does not depend on threads, tiers or time.

use pw_isa::{ErrorKind, Kind};
use pw_jit::Value;
use pw_jit::fiber::parcel::Parcel;

use super::time::Timer;
use super::{World, WorldEvent};
use crate::actor::{Act, Actor, ActorId, Deed, Due, QuotaKind, Status, Wait, notice};
use crate::message::{BroadcastEvent, Mailbox, Message, Overflow, PRIORITY_DEFAULT, RequestId};
use crate::schedule::Turn;

impl World {
    /// Lets the deeds of the actors that had their turns take effect.
    #[inline(never)]
    pub(super) fn boundary(&mut self) {
        let has_leases = !self.pools.is_empty()
            || !self.short_of_memory.is_empty()
            || !self.waiting_for_pool.is_empty();
        if has_leases || self.marks.is_some() {
            self.settle_turns();
        }
        // Where nobody sees them, ordinary messages are just put where they belong, unless there may be old functions in them.
        let is_seen = self.is_observed();
        let has_old = !self.upgrades.is_empty();
        let mut start = 0;
        for turn in 0..self.scratch.list.len() {
            let Turn {
                id,
                deeds_end,
                is_over,
                ..
            } = self.scratch.list[turn];
            for place in start..deeds_end {
                match self.scratch.out.deeds.at(place) {
                    Act::Send {
                        to,
                        value,
                        priority,
                    } => {
                        let is_old = has_old && value.kind() == Kind::Closure;
                        self.bring_plain((id, to), value, priority, !is_seen && !is_old);
                    }
                    Act::Whole => self.take_effect(id, !is_seen && !has_old),
                }
            }
            start = deeds_end;
            // One whose turn is over may have made room for a sender that waits for it only now.
            if !is_over || self.scratch.has_parked {
                self.after_turn(id);
            }
        }
        self.scratch.out.deeds.clear();
        if !self.late_ends.is_empty() {
            self.finish_late_ends();
        }
    }

    /// What the turns have used of what was leased for them is settled, and who has grown large is noted.
    #[inline(never)]
    fn settle_turns(&mut self) {
        let ran = std::mem::take(&mut self.scratch.list);
        self.note_sizes(&ran);
        if !self.pools.is_empty() {
            ran.iter().for_each(|turn| self.settle_lease(turn.id));
        }
        self.scratch.list = ran;
        if !self.short_of_memory.is_empty() {
            self.lend_more_memory();
        }
        for id in std::mem::take(&mut self.waiting_for_pool) {
            self.enqueue(id);
        }
    }

    /// A message finds no room: its sender is told, or waits.
    fn no_room(&mut self, to: ActorId, message: Message, priority: u8, overflow: Overflow) {
        if overflow == Overflow::Wait && self.park(to, &message, priority) {
            return;
        }
        self.dead_letter(message.from, to);
        self.tell_refused(&message, to);
    }

    /// An actor whose deeds have taken effect ends, waits, or can run again.
    fn after_turn(&mut self, id: ActorId) {
        let Some((body, mut places)) = self.body_and_places(id) else {
            // Another's deed has ended it meanwhile.
            return;
        };
        let is_usual = body.rare.is_none();
        match body.status {
            // It has ended when everything that it sent has found room.
            Status::Ended(_) if body.is_parked() => {}
            Status::Ended(_) => self.finish(id),
            Status::Ready | Status::Due(_) if is_usual => places.enqueue(id, body),
            Status::Ready | Status::Due(_) => {
                self.let_senders_in(id);
                self.tell_suspension(id);
                self.enqueue(id);
            }
            Status::Waits(Wait::Message) if !is_usual => self.let_senders_in(id),
            Status::Waits(_) => {}
        }
    }

    /// Lets a deed that is more than a plain value for somebody take effect.
    #[inline(never)]
    fn take_effect(&mut self, from: ActorId, is_usual: bool) {
        match self.scratch.out.deeds.take_whole() {
            Deed::Send {
                to,
                content,
                priority,
            } => {
                let bytes = content.size_bytes();
                let message = Message {
                    from,
                    content,
                    request: None,
                };
                let mut message = Some(message);
                self.bring(to, bytes, is_usual, |mailbox| {
                    if let Some(message) = message.take() {
                        mailbox.put(message, priority);
                    }
                });
                if let Some(message) = message {
                    self.deliver(to, message, priority);
                }
            }
            Deed::Request {
                to,
                content,
                request,
            } => {
                let message = Message {
                    from,
                    content,
                    request: Some(request),
                };
                self.deliver(to, message, PRIORITY_DEFAULT);
            }
            Deed::Reply {
                to,
                content,
                request,
            } => self.reply(from, to, content, request),
            Deed::Spawn(child) => self.add_child(from, child),
            Deed::Supervise { supervision, kept } => {
                self.supervise(from, supervision, kept.as_deref());
            }
            Deed::WantsIds => self.refill_ids(from),
            Deed::WantsRoomForChild => self.refuse_by_quota(from, QuotaKind::Children),
            Deed::WantsHostCalls => self.refuse_by_quota(from, QuotaKind::HostCalls),
            Deed::Timer { timeout_ms, wait } => {
                let timer = Timer {
                    actor: from,
                    wait,
                    is_park: false,
                };
                self.set_wait_timer(from, timeout_ms, timer);
            }
            Deed::Monitor(actor) => self.monitor(from, actor),
            Deed::Link(actor) => self.link(from, actor),
            Deed::Kill { actor, may_all } => self.kill_by(from, actor, may_all),
            Deed::Capability { wait, deed, kept } => {
                self.capability_deed(from, wait, *deed, kept.as_deref());
            }
            Deed::Subscribe(topic) => self.subscribe(from, topic),
            Deed::Unsubscribe(topic) => self.unsubscribe(from, &topic),
            Deed::Publish { topic, content } => self.publish_from(from, topic.into(), content),
            Deed::Tell(request) => self.tell_outside(from, *request),
            Deed::Ask { wait } => self.ask_outside(from, wait),
        }
    }

    /// Brings a plain value to its receiver.
    #[inline(always)]
    fn bring_plain(
        &mut self,
        (from, to): (ActorId, ActorId),
        value: Value,
        priority: u8,
        is_usual: bool,
    ) {
        let content = Parcel::Plain(value);
        let bytes = content.size_bytes();
        let is_there = self.bring(to, bytes, is_usual, |mailbox| {
            mailbox.put_plain(from, value, priority);
        });
        if !is_there {
            let message = Message {
                from,
                content,
                request: None,
            };
            self.deliver(to, message, priority);
        }
    }

    /// Brings an ordinary message to its receiver where there is nothing to be done but to put it there, as is nearly always so: whether
    /// it is there now.
    #[inline(always)]
    fn bring(
        &mut self,
        to: ActorId,
        bytes: u64,
        is_usual: bool,
        put: impl FnOnce(&mut Mailbox),
    ) -> bool {
        let usual = self.settings.mailbox_rules();
        if is_usual
            && let Some((body, mut places)) = self.body_and_places(to)
            && body.is_open()
            && body.has_room(bytes, usual)
        {
            put(&mut body.mailbox);
            if matches!(body.status, Status::Waits(Wait::Message)) {
                // It owns nothing, and nobody needs to look whether it does.
                std::mem::forget(std::mem::replace(
                    &mut body.status,
                    Status::Due(Due::Message),
                ));
                places.enqueue(to, body);
            }
            self.statistics.delivered += 1;
            return true;
        }
        false
    }

    /// Brings a message to its receiver. One that finds no room, or nobody, is a dead letter.
    #[inline(never)]
    pub(super) fn deliver(&mut self, to: ActorId, message: Message, priority: u8) {
        let usual = self.settings.mailbox_rules();
        let Some(body) = self.body(to) else {
            return self.nobody(&message, to);
        };
        let rules = body.rules(usual);
        let waiting = body.rare.as_ref().map(|rare| &rare.waiting_senders);
        if waiting.is_some_and(|waiting| waiting.contains(&message.from)) {
            // What the sender has sent before comes first.
            return self.no_room(to, message, priority, Overflow::Wait);
        }
        let bytes = message.size_bytes();
        let mut room = body.mailbox.room(bytes, rules);
        // What does not fit in an empty mailbox does not empty it.
        if rules.overflow == Overflow::DropOldest && rules.fit_alone(bytes) {
            while room.is_err() && body.mailbox.drop_oldest().is_some() {
                room = body.mailbox.room(bytes, rules);
            }
        }
        if room.is_err() {
            return self.no_room(to, message, priority, rules.overflow);
        }
        if let Some(request) = message.request {
            body.rare_mut().askers.insert((message.from, request));
        }
        self.put(to, message, priority);
    }

    /// A message is for an actor that there is not.
    fn nobody(&mut self, message: &Message, to: ActorId) {
        self.dead_letter(message.from, to);
        if let Some(request) = message.request {
            let text = format!("actor {to} has ended");
            self.fail_request((message.from, request), ErrorKind::ActorEnded, text);
        }
    }

    /// Puts a message for which there is room into a mailbox.
    pub(super) fn put(&mut self, to: ActorId, message: Message, priority: u8) {
        if self.is_observed() {
            self.tell_event(&WorldEvent::Delivered {
                from: message.from,
                to,
                priority,
                bytes: message.size_bytes(),
            });
        }
        let message = Message {
            content: self.upgraded_for(to, message.content),
            ..message
        };
        let Some(body) = self.body(to) else { return };
        body.mailbox.put(message, priority);
        let waits = matches!(body.status, Status::Waits(Wait::Message));
        self.statistics.delivered += 1;
        if waits {
            self.wake(to, Due::Message);
        }
    }

    /// A message has found nobody, or no room.
    pub(super) fn dead_letter(&mut self, from: ActorId, to: ActorId) {
        self.statistics.dead_letters += 1;
        if self.is_observed() {
            self.tell_event(&WorldEvent::DeadLetter { from, to });
        }
    }

    /// An actor gets what it waits for, and can run.
    pub(super) fn wake(&mut self, id: ActorId, due: Due) {
        if let Some((body, mut places)) = self.body_and_places(id) {
            body.status = Status::Due(due);
            places.enqueue(id, body);
            let timer = body.rare.as_mut().and_then(|rare| rare.timer.take());
            self.clock.cancel(timer);
        }
    }

    /// Sets the timer of an actor's wait.
    pub(super) fn set_wait_timer(&mut self, actor: ActorId, after_ms: u64, timer: Timer) {
        // What it waits for may have come already, from an actor that is earlier in the order.
        let waits = self.body(actor).is_some_and(|body| {
            body.waits == timer.wait && matches!(body.status, Status::Waits(_))
        });
        if !waits {
            return;
        }
        let key = self.clock.set_timer(after_ms, timer);
        let before = self
            .body(actor)
            .and_then(|body| body.rare_mut().timer.replace(key));
        self.clock.cancel(before);
    }

    fn reply(&mut self, from: ActorId, to: ActorId, content: Parcel, request: RequestId) {
        self.forget_request(to, request.0, from);
        if request.is_on_behalf() {
            let message = Message {
                from,
                content,
                request: None,
            };
            return self.deliver(to, message, PRIORITY_DEFAULT);
        }
        if to == ActorId::OUTSIDE {
            return self.answer_question(request, Ok(content));
        }
        let waits = self.body(to).is_some_and(|body| body.awaits_reply(request));
        if waits {
            let content = self.upgraded_for(to, content);
            self.wake(to, Due::Answer(Box::new(Ok(content))));
        } else {
            self.dead_letter(from, to);
        }
    }

    /// A request that was made of an actor is not open any more.
    pub(super) fn forget_request(&mut self, asker: ActorId, request: u64, of: ActorId) {
        let rare = self.body(of).and_then(|body| body.rare.as_mut());
        if let Some(rare) = rare {
            rare.askers.remove(&(asker, RequestId(request)));
        }
    }

    /// Whoever asked gets an error instead of a reply.
    pub(super) fn fail_request(
        &mut self,
        (asker, request): (ActorId, RequestId),
        kind: ErrorKind,
        message: String,
    ) {
        if asker == ActorId::OUTSIDE {
            self.answer_question(request, Err((kind, message)));
        } else if self
            .body(asker)
            .is_some_and(|body| body.awaits_reply(request))
        {
            self.wake(asker, Due::Answer(Box::new(Err((kind, message)))));
        }
    }

    /// An actor gets more numbers for its children.
    fn refill_ids(&mut self, actor: ActorId) {
        let (first, max) = (self.settings.lease_first, self.settings.lease_max);
        let mut next = self.next_id;
        if let Some(body) = self.body(actor) {
            let ids = body.ids.get_or_insert_default();
            ids.refill(&mut next, first, max);
        }
        self.next_id = next;
    }

    /// An actor is told that its subtree has used something up, unless there may be more of it in the next tick.
    fn refuse_by_quota(&mut self, actor: ActorId, kind: QuotaKind) {
        let Some(pool) = self.body(actor).map(|body| body.pool) else {
            return;
        };
        let has_more = match kind {
            QuotaKind::Children => self.pools.has_room_for_child(pool),
            QuotaKind::HostCalls => self.pools.has_host_call(pool),
        };
        if let (false, Some(body)) = (has_more, self.body(actor)) {
            body.rare_mut().refused_by_quota = Some(kind);
        }
    }

    /// Adds an actor that another has started. One that has been ended meanwhile starts nobody: its subtree, with what that may
    /// use, may be gone.
    pub(super) fn add_child(&mut self, parent: ActorId, child: Box<Actor>) {
        if self.body(parent).is_none() {
            return;
        }
        let rare = self.body(parent).and_then(|body| body.rare.as_mut());
        let supervision = rare.and_then(|rare| rare.supervision.as_mut());
        if let Some(saved) = supervision.and_then(|supervision| supervision.saved.as_mut()) {
            saved.children.push(child.id);
        }
        self.add(child);
    }

    pub(super) fn publish_from(&mut self, from: ActorId, topic: String, content: Parcel) {
        let event = BroadcastEvent {
            event_type: topic.clone(),
            source: from,
            payload: content.clone(),
            tick: self.tick,
        };
        let subscribers = self.topics.broadcast_event(event);
        if self.is_observed() {
            self.tell_event(&WorldEvent::Published {
                from,
                topic: &topic,
                subscribers: subscribers.len(),
            });
        }
        for subscriber in subscribers {
            let message = Message {
                from,
                content: content.clone(),
                request: None,
            };
            self.deliver(subscriber, message, PRIORITY_DEFAULT);
        }
    }

    /// The sender of a message that found no room is told.
    pub(super) fn tell_refused(&mut self, message: &Message, to: ActorId) {
        if let Some(request) = message.request {
            let text = format!("the mailbox of actor {to} is full");
            return self.fail_request((message.from, request), ErrorKind::MailboxFull, text);
        }
        let content = notice(&self.code, "refused", to, None);
        self.tell(message.from, content);
    }

    /// The world itself tells an actor something. If there is no room for it, it is a dead letter, and nobody is told.
    pub(super) fn tell(&mut self, to: ActorId, content: Parcel) {
        let usual = self.settings.mailbox_rules();
        let message = Message {
            from: ActorId::OUTSIDE,
            content,
            request: None,
        };
        let Some(body) = self.body(to) else { return };
        let rules = body.rules(usual);
        if body.mailbox.room(message.size_bytes(), rules).is_err() {
            return self.dead_letter(ActorId::OUTSIDE, to);
        }
        self.put(to, message, PRIORITY_DEFAULT);
    }
}
