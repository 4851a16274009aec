//! A mailbox: eight levels of priority with fair service.
//!
//! Each level has a weight: level `p` may be served `2^(7-p)` times in a round. The highest level that has both
//! messages and service left is next; when no level has both, a new round begins. So level 0 gets about half
//! of the service that is wanted, level 1 half of the rest, and level 7 is served at least once in
//! 255 messages. Within a level, order is kept.

use pw_isa::wire::Decoded;
use pw_jit::Value;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::host::Open;

use super::letter::{Message, PRIORITIES};
use super::level::Level;
use crate::actor::ActorId;
use crate::portable::{In, Out, Portable};

/// Services of a level in one round.
const WEIGHTS: [u8; PRIORITIES] = [128, 64, 32, 16, 8, 4, 2, 1];

/// Messages by priority. Levels that were never used take no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriorityMessageQueue {
    /// Levels that have been used, the highest first.
    levels: Vec<Level>,
    /// What each level has been served in this round.
    served: [u8; PRIORITIES],
    count: u64,
    bytes: u64,
}

impl PriorityMessageQueue {
    /// An empty queue.
    pub fn new() -> PriorityMessageQueue {
        PriorityMessageQueue::default()
    }

    /// How many messages there are.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of all messages.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The level that is served next; 0 when there is no message.
    pub fn current_priority(&self) -> u8 {
        self.next_level()
            .map_or(0, |(place, _)| self.levels[place].priority)
    }

    /// Adds a message at the end of a level; levels beyond 7 count as 7.
    pub fn enqueue_message(&mut self, message: Message, priority: u8) {
        let bytes = message.size_bytes();
        self.count_in(priority, bytes).push(message);
    }

    /// The same of a message that is a plain value and no request.
    #[inline(always)]
    pub(crate) fn enqueue_plain(&mut self, from: ActorId, value: Value, priority: u8) {
        let level = self.count_in(priority, Parcel::Plain(value).size_bytes());
        level.push_plain(from, value);
    }

    /// Counts a message, and the level where it belongs.
    #[inline(always)]
    fn count_in(&mut self, priority: u8, bytes: u64) -> &mut Level {
        self.count += 1;
        self.bytes += bytes;
        // Most mailboxes have seen one level only.
        let is_only = matches!(&*self.levels, [level] if level.priority == priority);
        let place = if is_only { 0 } else { self.place_of(priority) };
        &mut self.levels[place]
    }

    /// The place of a level, which is made if it was never used.
    #[inline(never)]
    fn place_of(&mut self, priority: u8) -> usize {
        let priority = priority.min(PRIORITIES as u8 - 1);
        let levels = &mut self.levels;
        let found = levels.binary_search_by_key(&priority, |level| level.priority);
        found.unwrap_or_else(|place| {
            levels.insert(place, Level::new(priority));
            place
        })
    }

    /// The message whose turn it is.
    pub fn dequeue_message(&mut self) -> Option<Message> {
        let (place, begins) = self.next_level()?;
        self.serve(place, begins);
        self.take(place)
    }

    /// The message whose turn it is, if it is no request, and either a plain value or one that can be opened: who sent it, and the
    /// value.
    #[inline]
    pub(crate) fn dequeue_now(&mut self, open: Open<'_>) -> Option<(ActorId, Value)> {
        let (place, begins) = self.next_level()?;
        let level = &mut self.levels[place];
        let (from, value, bytes) = match level.pop_plain() {
            Some((from, value)) => (from, value, Parcel::Plain(value).size_bytes()),
            None => level.pop_opened(open)?,
        };
        self.count -= 1;
        self.bytes -= bytes;
        self.serve(place, begins);
        Some((from, value))
    }

    /// Counts the service of a level, which may begin a round.
    #[inline]
    fn serve(&mut self, place: usize, begins: bool) {
        if begins {
            self.served = [0; PRIORITIES];
        }
        self.served[usize::from(self.levels[place].priority)] += 1;
    }

    /// Forgets the oldest message of the lowest level.
    pub fn drop_oldest(&mut self) -> Option<Message> {
        let place = self.levels.iter().rposition(|level| !level.is_empty())?;
        self.take(place)
    }

    /// The messages with their levels, the highest level first, each level from the oldest on.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Message)> {
        self.levels.iter().flat_map(|level| {
            let priority = level.priority;
            level.iter().map(move |message| (priority, message))
        })
    }

    /// Puts a message back in front of its level that was taken out last.
    pub(crate) fn put_back(&mut self, message: Message, priority: u8) {
        let bytes = message.size_bytes();
        self.count_in(priority, bytes).push_front(message);
        let served = &mut self.served[usize::from(priority)];
        *served = served.saturating_sub(1);
    }

    /// The place of the level that is next, and whether a new round begins with it.
    #[inline]
    fn next_level(&self) -> Option<(usize, bool)> {
        // Most mailboxes have seen one level only.
        if let [level] = &*self.levels {
            let begins =
                self.served[usize::from(level.priority)] >= WEIGHTS[usize::from(level.priority)];
            return (!level.is_empty()).then_some((0, begins));
        }
        self.next_of_many()
    }

    #[inline(never)]
    fn next_of_many(&self) -> Option<(usize, bool)> {
        let waiting = |level: &&Level| !level.is_empty();
        let left = |level: &Level| {
            let priority = usize::from(level.priority);
            self.served[priority] < WEIGHTS[priority]
        };
        let places = || (0..).zip(&self.levels).filter(|(_, level)| waiting(level));
        let in_round = places().find(|(_, level)| left(level));
        match in_round {
            Some((place, _)) => Some((place, false)),
            None => places().next().map(|(place, _)| (place, true)),
        }
    }

    /// Writes an empty queue that was never used.
    pub(super) fn put_new(out: &mut Out<'_>) {
        // What levels were served, and how many messages there are.
        out.to.bytes.extend_from_slice(&[0; PRIORITIES + 1]);
    }

    fn take(&mut self, place: usize) -> Option<Message> {
        let message = self.levels[place].pop()?;
        self.count -= 1;
        self.bytes -= message.size_bytes();
        Some(message)
    }
}

impl Portable for PriorityMessageQueue {
    fn put(&self, out: &mut Out<'_>) {
        out.to.bytes.extend_from_slice(&self.served);
        out.to.varint(self.count);
        for (priority, message) in self.iter() {
            out.to.u8(priority);
            message.put(out);
        }
    }

    fn get(input: &mut In<'_>) -> Decoded<PriorityMessageQueue> {
        let mut queue = PriorityMessageQueue::new();
        queue.served.copy_from_slice(input.from.take(PRIORITIES)?);
        for _ in 0..input.from.count(1)? {
            let priority = input.from.u8()?;
            if usize::from(priority) >= PRIORITIES {
                return Err(input.from.error(format!("there is no level {priority}")));
            }
            queue.enqueue_message(Message::get(input)?, priority);
        }
        if queue
            .served
            .iter()
            .zip(WEIGHTS)
            .any(|(served, weight)| *served > weight)
        {
            return Err(input.from.error("a level that was served too often"));
        }
        Ok(queue)
    }
}
