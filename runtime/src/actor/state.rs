//! An actor's state in its canonical form: what its hash is of.

use pw_isa::wire::Writer;
use pw_jit::CodeSpace;

use super::{Actor, Answered, Body, Due, Rare, Status, Wait};
use crate::inspect::Inspection;
use crate::message::Message;

impl Actor {
    /// Writes everything that decides what the actor does next.
    pub(crate) fn write(&self, code: &CodeSpace, out: &mut Writer) {
        out.varint(self.id.0);
        out.bytes.extend_from_slice(&self.fiber.state_hash(code).0);
        self.body.write(code, out);
    }
}

impl Body {
    fn write(&self, code: &CodeSpace, out: &mut Writer) {
        out.varint(self.parent.0);
        out.varint(u64::from(self.tenant));
        write_status(&self.status, code, out);
        out.u8(u8::from(self.is_queued));
        out.u8(self.priority);
        out.varint(u64::from(self.allowance));
        out.varint(self.waits);
        out.varint(self.debt);
        out.varint(self.sender.0);
        out.varint(u64::from(self.children));
        self.holdings.write(code, out);
        out.varint(u64::from(self.pool.0));
        let ids = self.ids.as_deref().copied().unwrap_or_default();
        ids.state().into_iter().for_each(|part| out.varint(part));
        match self.mailbox.queue() {
            Some(queue) => {
                out.varint(queue.len());
                out.bytes.extend_from_slice(&queue.served());
                for (priority, message) in queue.iter() {
                    out.u8(priority);
                    write_message(message, code, out);
                }
            }
            None => {
                out.varint(0);
                out.bytes
                    .extend_from_slice(&[0; crate::message::PRIORITIES]);
            }
        }
        // What most actors do not have counts as having nothing in it.
        match &self.rare {
            Some(rare) => rare.write(code, out),
            None => Rare::default().write(code, out),
        }
    }
}

impl Rare {
    fn write(&self, code: &CodeSpace, out: &mut Writer) {
        let question = self.question.map(|(from, request)| (from.0, request.0));
        let (from, request) = question.unwrap_or_default();
        out.varint(from);
        out.varint(request);
        out.varint(self.askers.len() as u64);
        for (from, request) in &self.askers {
            out.varint(from.0);
            out.varint(request.0);
        }
        out.u8(u8::from(self.rules.is_some()));
        if let Some(rules) = self.rules {
            out.varint(rules.messages_max);
            out.varint(rules.bytes_max);
            out.u8(rules.overflow as u8);
        }
        for actors in [&self.monitors, &self.links] {
            out.varint(actors.len() as u64);
            actors.iter().for_each(|actor| out.varint(actor.0));
        }
        out.varint(self.topics.len() as u64);
        self.topics.iter().for_each(|topic| out.text(topic));
        out.varint(u64::from(self.boost));
        out.u8(u8::from(self.traps_exits));
        out.u8(self.refused_by_quota.map_or(0, |kind| kind as u8));
        out.varint(self.counted_bytes);
        out.varint(u64::from(self.memory_doublings));
        out.u8(u8::from(self.supervision.is_some()));
        if let Some(supervision) = &self.supervision {
            supervision.write(code, out);
        }
        out.varint(self.supervised.len() as u64);
        self.supervised.iter().for_each(|actor| out.varint(actor.0));
        out.varint(self.outgoing.len() as u64);
        for outgoing in &self.outgoing {
            out.varint(outgoing.to.0);
            out.u8(outgoing.priority);
            write_message(&outgoing.message, code, out);
        }
        out.varint(self.waiting_senders.len() as u64);
        self.waiting_senders
            .iter()
            .for_each(|actor| out.varint(actor.0));
        match &self.inspection {
            Some(inspection) => inspection.write(out),
            None => Inspection::default().write(out),
        }
    }
}

pub(super) fn write_message(message: &Message, code: &CodeSpace, out: &mut Writer) {
    out.varint(message.from.0);
    out.varint(message.request.map_or(0, |request| request.0 + 1));
    message.content.write(code, out);
}

fn write_status(status: &Status, code: &CodeSpace, out: &mut Writer) {
    match status {
        Status::Ready => out.u8(0),
        Status::Due(Due::Message) => out.u8(1),
        Status::Due(Due::Nil) => out.u8(2),
        Status::Due(Due::Answer(answer)) => {
            out.u8(3);
            write_answer(answer, code, out);
        }
        Status::Waits(Wait::Message) => out.u8(4),
        Status::Waits(Wait::Reply { to }) => {
            out.u8(5);
            out.varint(to.0);
        }
        Status::Waits(Wait::Boundary) => out.u8(6),
        Status::Waits(Wait::Host { capability }) => {
            out.u8(8);
            out.text(capability.as_deref().unwrap_or(""));
        }
        Status::Waits(Wait::Debt(status)) => {
            out.u8(7);
            write_status(status, code, out);
        }
        // It has messages that wait for room.
        Status::Ended(reason) => {
            out.u8(9);
            out.u8(u8::from(reason.is_normal()));
            reason.value(code).write(code, out);
        }
    }
}

fn write_answer(answer: &Answered, code: &CodeSpace, out: &mut Writer) {
    match answer {
        Ok(content) => {
            out.u8(0);
            content.write(code, out);
        }
        Err((kind, message)) => {
            out.u8(1);
            out.u8(*kind as u8);
            out.text(message);
        }
    }
}
