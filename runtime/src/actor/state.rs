//! An actor's state as bytes: what decides what it does next.

use pw_isa::wire::{Decoded, Writer};
use pw_jit::fiber::arena::PageBlocks;
use pw_jit::{CodeSpace, Fiber};

use super::{Actor, Body, Due, Outgoing, QuotaKind, Rare, Status, Wait};
use crate::checkpoint::SavedPages;
use crate::portable::{In, Out, Portable, portable};

portable!(struct Actor { id, fiber, body });
portable!(struct Outgoing { to, message, priority });
portable!(enum QuotaKind { 1 => Children, 2 => HostCalls });
portable!(enum Status { 0 => Ready, 1 => Due(due), 2 => Waits(wait), 3 => Ended(end) });
portable!(enum Due { 0 => Message, 1 => Nil, 2 => Answer(answer) });
portable!(enum Wait {
    0 => Message,
    1 => Reply { to },
    2 => Boundary,
    3 => Host { request },
    4 => Debt(status),
});

impl Actor {
    /// Writes its state in canonical form.
    pub(crate) fn write(&self, code: &CodeSpace, to: &mut Writer) {
        self.put(&mut Out { code, to });
    }

    /// Writes all but its objects, of which pages were taken.
    pub(crate) fn put_rest(&self, out: &mut Out<'_>) {
        let Actor { id, fiber, body } = self;
        id.put(out);
        fiber.write_rest(out.code, out.to);
        body.put(out);
    }

    /// Reads what [`Actor::put_rest`] wrote.
    pub(crate) fn get_rest(input: &mut In<'_>, pages: &SavedPages<'_>) -> Decoded<Actor> {
        let stack_bytes_max = input.shared.stack_bytes_max;
        let pages: (_, &dyn PageBlocks) = (&pages.pages, pages.blocks);
        Ok(Actor {
            id: Portable::get(input)?,
            fiber: Fiber::read_rest(input.code, &mut input.from, stack_bytes_max, pages)?,
            body: Portable::get(input)?,
        })
    }
}

impl Portable for Body {
    fn put(&self, out: &mut Out<'_>) {
        let Body {
            parent,
            tenant,
            status,
            // The queue knows it.
            is_queued: _,
            // It is about captures.
            mark: _,
            priority,
            mailbox,
            allowance,
            waits,
            debt,
            sender,
            pool,
            children,
            holdings,
            ids,
            rare,
        } = self;
        parent.put(out);
        tenant.put(out);
        status.put(out);
        priority.put(out);
        mailbox.put(out);
        allowance.put(out);
        waits.put(out);
        debt.put(out);
        sender.put(out);
        pool.put(out);
        children.put(out);
        holdings.put(out);
        ids.put(out);
        // What most actors do not have counts as having nothing in it.
        match rare {
            Some(rare) => rare.put(out),
            None => out.to.u8(NOTHING),
        }
    }

    fn get(input: &mut In<'_>) -> Decoded<Body> {
        Ok(Body {
            parent: Portable::get(input)?,
            tenant: Portable::get(input)?,
            status: Portable::get(input)?,
            is_queued: false,
            mark: 0,
            priority: Portable::get(input)?,
            mailbox: Portable::get(input)?,
            allowance: Portable::get(input)?,
            waits: Portable::get(input)?,
            debt: Portable::get(input)?,
            sender: Portable::get(input)?,
            pool: Portable::get(input)?,
            children: Portable::get(input)?,
            holdings: Portable::get(input)?,
            ids: Portable::get(input)?,
            rare: get_rare(input)?,
        })
    }
}

/// The first byte of what nothing is in.
const NOTHING: u8 = 0;
/// The first byte of what is there.
const SOMETHING: u8 = 1;

impl Portable for Rare {
    fn put(&self, out: &mut Out<'_>) {
        let at = out.to.bytes.len();
        out.to.u8(SOMETHING);
        let Rare {
            question,
            askers,
            rules,
            monitors,
            links,
            timer,
            park_timer,
            topics,
            traps_exits,
            supervision,
            supervised,
            outgoing,
            parks,
            waiting_senders,
            inspection,
            // Between ticks there is none.
            lease: _,
            refused_by_quota,
            undelivered,
            counted_bytes,
            memory_doublings,
            boost,
        } = self;
        question.put(out);
        askers.put(out);
        rules.put(out);
        monitors.put(out);
        links.put(out);
        timer.put(out);
        park_timer.put(out);
        topics.put(out);
        traps_exits.put(out);
        supervision.put(out);
        supervised.put(out);
        outgoing.put(out);
        parks.put(out);
        waiting_senders.put(out);
        // Samples are not state.
        let inspection = inspection.as_ref();
        let inspection = inspection.filter(|inspection| inspection.decides());
        inspection.is_some().put(out);
        if let Some(inspection) = inspection {
            inspection.put(out);
        }
        refused_by_quota.put(out);
        undelivered.put(out);
        counted_bytes.put(out);
        memory_doublings.put(out);
        boost.put(out);
        // Every part that has nothing to say is a zero.
        if out.to.bytes[at + 1..].iter().all(|byte| *byte == 0) {
            out.to.bytes.truncate(at);
            out.to.u8(NOTHING);
        }
    }

    fn get(input: &mut In<'_>) -> Decoded<Rare> {
        Ok(get_rare(input)?.map_or(Rare::default(), |rare| *rare))
    }
}

fn get_rare(input: &mut In<'_>) -> Decoded<Option<Box<Rare>>> {
    if !bool::get(input)? {
        return Ok(None);
    }
    Ok(Some(Box::new(Rare {
        question: Portable::get(input)?,
        askers: Portable::get(input)?,
        rules: Portable::get(input)?,
        monitors: Portable::get(input)?,
        links: Portable::get(input)?,
        timer: Portable::get(input)?,
        park_timer: Portable::get(input)?,
        topics: Portable::get(input)?,
        traps_exits: Portable::get(input)?,
        supervision: Portable::get(input)?,
        supervised: Portable::get(input)?,
        outgoing: Portable::get(input)?,
        parks: Portable::get(input)?,
        waiting_senders: Portable::get(input)?,
        inspection: Portable::get(input)?,
        lease: None,
        refused_by_quota: Portable::get(input)?,
        undelivered: Portable::get(input)?,
        counted_bytes: Portable::get(input)?,
        memory_doublings: Portable::get(input)?,
        boost: Portable::get(input)?,
    })))
}
