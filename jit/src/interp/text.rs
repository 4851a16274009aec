//! Strings and symbols. What a few bytes decide is done in the loop, everything else [aside](super::aside).

use super::aside::{Aside, text_of};
use super::form::Instruction;
use super::hot::{Hot, Stay};
use crate::fiber::arena::{Arena, Piece, Source, count_characters};
use crate::numbers::Number;
use crate::text::{float_text, parse_number};
use crate::value::Value;
use pw_isa::op::Work;
use pw_isa::{Kind, cost};

/// The most digits that are an Int whatever they are.
const DIGITS_MAX: usize = 18;

/// The most bytes of a string that stands in its object and takes no gas.
const SHORT_MAX: usize = 63;

const _: () = assert!(
    SHORT_MAX as u64 <= cost::TEXT_INLINE_MAX && cost::work_gas(Work::Bytes, SHORT_MAX as u64) == 0
);

/// Whether both are strings.
#[inline(always)]
fn strings(a: Value, b: Value) -> bool {
    a.is(Kind::String) && b.is(Kind::String)
}

impl Hot<'_> {
    #[inline(always)]
    pub(super) fn string_length(&mut self, i: &Instruction) -> bool {
        let string = self.get(i.b);
        if !string.is(Kind::String) {
            return false;
        }
        let (arena, offset) = self.heap().place(string);
        let length = arena.text_characters(offset);
        self.set(i.a, Value::int(i64::from(length)))
    }

    #[inline(always)]
    pub(super) fn string_ref(&mut self, i: &Instruction) -> bool {
        let (string, index) = (self.get(i.b), self.get(i.c));
        if !string.is(Kind::String) || index.tag != Kind::Int as u64 {
            return false;
        }
        let (bytes, characters) = text_of(self.heap(), string);
        let Some(&character) = bytes.get(index.bits as usize) else {
            return false;
        };
        if bytes.len() == characters as usize && self.can_allocate(cost::short_text_bytes(1)) {
            let value = self.arena().new_character(character);
            return self.set(i.a, value);
        }
        if index.bits >= u64::from(characters) {
            return false;
        }
        self.aside(i, one_character)
    }

    /// The end stands in the register `imm`.
    #[inline(always)]
    pub(super) fn substring(&mut self, i: &Instruction) -> bool {
        let (string, from, to) = (self.get(i.b), self.get(i.c), self.get(i.imm as u16));
        let stay = self.stay_with_gas();
        let value = substring(stay, string, from, to);
        self.set_aside(i.a, value)
    }

    /// Strings and symbols are the same objects under another kind.
    #[inline(always)]
    pub(super) fn retag(&mut self, i: &Instruction, from: Kind, to: Kind) -> bool {
        let text = self.get(i.b);
        let tag = text.tag & !0xff | to as u64;
        text.tag & 0xff == from as u64 && self.set(i.a, Value { tag, ..text })
    }

    /// Two texts of at most 8 bytes each, in their order.
    #[inline(always)]
    pub(super) fn tiny_texts(&self, a: Value, b: Value) -> Option<[(u64, u32); 2]> {
        let heap = self.heap();
        let ((left, a), (right, b)) = (heap.place(a), heap.place(b));
        Some([left.tiny_text(a)?, right.tiny_text(b)?])
    }

    /// Whether two texts are equal.
    #[inline(always)]
    pub(super) fn equal_texts(&mut self, a: Value, b: Value) -> Option<bool> {
        match self.tiny_texts(a, b) {
            Some([a, b]) => Some(a == b),
            None => self.ask_aside(a, b, equal),
        }
    }

    /// Whether a string comes before another.
    #[inline(always)]
    pub(super) fn string_before(&mut self, a: Value, b: Value) -> Option<bool> {
        if !strings(a, b) {
            return None;
        }
        match self.tiny_texts(a, b) {
            Some([a, b]) => Some(a < b),
            None => self.ask_aside(a, b, before),
        }
    }

    #[inline(always)]
    pub(super) fn string_same(&mut self, a: Value, b: Value) -> Option<bool> {
        if !strings(a, b) {
            return None;
        }
        self.equal_texts(a, b)
    }

    #[inline(always)]
    pub(super) fn string_eq(&mut self, i: &Instruction) -> bool {
        let equal = self.string_same(self.get(i.b), self.get(i.c));
        self.set_found(i.a, equal.map(Value::bool))
    }

    #[inline(always)]
    pub(super) fn string_lt(&mut self, i: &Instruction) -> bool {
        let less = self.string_before(self.get(i.b), self.get(i.c));
        self.set_found(i.a, less.map(Value::bool))
    }

    #[inline(always)]
    pub(super) fn branch_string_eq<const IF: bool>(&mut self, i: &Instruction) -> bool {
        let equal = self.string_same(self.get(i.a), self.get(i.c));
        self.branch_found::<IF>(i, equal, 2)
    }

    #[inline(always)]
    pub(super) fn branch_string_lt<const IF: bool>(&mut self, i: &Instruction) -> bool {
        let less = self.string_before(self.get(i.a), self.get(i.c));
        self.branch_found::<IF>(i, less, 2)
    }
}

/// Two strings in one. Most are short.
pub(crate) fn append(aside: &mut Aside<'_>, a: Value, b: Value) -> Option<Value> {
    if let Some(joined) = append_short(aside, a, b) {
        return Some(joined);
    }
    let (left, right) = (aside.string(a)?, aside.string(b)?);
    let own = match left.source {
        Source::Own(offset) => aside.arena.text_buffer(offset),
        Source::Other(_) => None,
    };
    let plan = Arena::plan_append(left.length, right.length, own)?;
    aside.afford(cost::work_gas(Work::Bytes, plan.copied), plan.bytes)?;
    Some(aside.arena.append(plan, &left, &right))
}

/// Two strings in a short one, where nothing has to move for it.
#[inline(always)]
fn append_short(aside: &mut Aside<'_>, a: Value, b: Value) -> Option<Value> {
    let ((left, in_left), (right, in_right)) = (aside.text(a)?, aside.text(b)?);
    let length = left.len() + right.len();
    if length > SHORT_MAX || !aside.can_allocate(cost::short_text_bytes(length as u64)) {
        return None;
    }
    let parts = [&raw const *left, &raw const *right];
    // SAFETY: both are whole texts, which together are short.
    unsafe { aside.arena.short_string_in_place(in_left + in_right, parts) }
}

/// A character of any string; the index is within it.
fn one_character(aside: &mut Aside<'_>, string: Value, index: Value) -> Option<Value> {
    let (whole, place) = (aside.string(string)?, index.bits as u32);
    slice(aside, string, &whole, place, place + 1)
}

#[inline(never)]
fn substring(stay: &mut Stay<'_>, string: Value, from: Value, to: Value) -> Value {
    Aside::run(stay, |aside| part(aside, string, from, to))
}

/// A part of a string, whose end may be nil.
pub(crate) fn part(aside: &mut Aside<'_>, string: Value, from: Value, to: Value) -> Option<Value> {
    if let Some(part) = part_short(aside, string, from, to) {
        return Some(part);
    }
    let whole = aside.string(string)?;
    let from = u32::try_from(from.as_int()?).ok()?;
    let to = match to {
        Value::NIL => whole.characters,
        to => u32::try_from(to.as_int()?).ok()?,
    };
    if from > to || to > whole.characters {
        return None;
    }
    slice(aside, string, &whole, from, to)
}

/// A short part of a string of ASCII, where nothing has to move for it.
#[inline(always)]
fn part_short(aside: &mut Aside<'_>, string: Value, from: Value, to: Value) -> Option<Value> {
    let (bytes, characters) = aside.text(string)?;
    let from = from.as_int()? as usize;
    let to = match to {
        Value::NIL => bytes.len(),
        to => to.as_int()? as usize,
    };
    let part = bytes.get(from..to)?;
    let length = part.len();
    if bytes.len() != characters as usize
        || length > SHORT_MAX
        || !aside.can_allocate(cost::short_text_bytes(length as u64))
    {
        return None;
    }
    let parts = [&raw const *part, &raw const part[..0]];
    // SAFETY: a byte of ASCII is a character; so few are a short text.
    unsafe { aside.arena.short_string_in_place(length as u32, parts) }
}

/// A part of a string between two of its characters; `whole` is all of it.
pub(super) fn slice(
    aside: &mut Aside<'_>,
    string: Value,
    whole: &Piece<'_>,
    from: u32,
    to: u32,
) -> Option<Value> {
    let (mut start, mut length, mut walked) = (from, to - from, 0);
    if whole.characters != whole.length {
        let bytes = aside.heap().text_bytes(string);
        start = position(bytes, from);
        length = position(&bytes[start as usize..], to - from);
        walked = start + length;
    }
    let gas =
        cost::work_gas(Work::Bytes, walked.into()) + cost::work_gas(Work::Bytes, length.into());
    aside.afford(gas, cost::text_bytes(length.into()))?;
    let part = Piece {
        start,
        length,
        characters: to - from,
        ..*whole
    };
    Some(aside.arena.new_text_of(Kind::String, &part))
}

/// The byte at which a character begins, or the end.
fn position(bytes: &[u8], characters: u32) -> u32 {
    let begins = |byte: u8| byte & 0xc0 != 0x80;
    let mut places = (0..bytes.len()).filter(|place| begins(bytes[*place]));
    places.nth(characters as usize).unwrap_or(bytes.len()) as u32
}

/// UTF-8 can be searched as bytes: no character begins within another.
pub(crate) fn index(aside: &mut Aside<'_>, string: Value, part: Value) -> Option<Value> {
    let ((bytes, characters), (part, _)) = (aside.text(string)?, aside.text(part)?);
    let gas = cost::work_gas(Work::Bytes, (bytes.len() + part.len()) as u64);
    if gas as i64 > aside.gas {
        return None;
    }
    let found = match part {
        [byte] => memchr::memchr(*byte, bytes),
        _ => memchr::memmem::find(bytes, part),
    };
    let is_ascii = bytes.len() == characters as usize;
    let place = found.map(|at| match is_ascii {
        true => at,
        false => count_characters(&bytes[..at]),
    });
    aside.pay(gas)?;
    Some(place.map_or(Value::NIL, |place| Value::int(place as i64)))
}

/// Whether two texts are equal, in which case only their lengths are the same.
fn equal(aside: &mut Aside<'_>, a: Value, b: Value) -> Option<bool> {
    let heap = aside.heap();
    let ((left, _), (right, _)) = (text_of(heap, a), text_of(heap, b));
    if left.len() != right.len() {
        return Some(false);
    }
    let (equal, work) = (left == right, left.len() as u64);
    aside.pay(cost::work_gas(Work::Bytes, work))?;
    Some(equal)
}

/// The bytes of UTF-8 are in the order of the code points.
fn before(aside: &mut Aside<'_>, a: Value, b: Value) -> Option<bool> {
    let heap = aside.heap();
    let ((left, _), (right, _)) = (text_of(heap, a), text_of(heap, b));
    let (less, work) = (left < right, left.len().min(right.len()) as u64);
    aside.pay(cost::work_gas(Work::Bytes, work))?;
    Some(less)
}

pub(crate) fn number_to_string(aside: &mut Aside<'_>, number: Value, _: Value) -> Option<Value> {
    let mut room = [0; 20];
    let float;
    let text = match Number::of(number)? {
        Number::Int(int) => decimal(int, &mut room),
        Number::Float(value) => {
            float = float_text(value);
            Piece::of(&float)
        }
    };
    aside.afford(0, cost::text_bytes(text.length.into()))?;
    Some(aside.arena.new_text_of(Kind::String, &text))
}

/// An Int as text.
fn decimal(int: i64, room: &mut [u8; 20]) -> Piece<'_> {
    let mut rest = int.unsigned_abs();
    let mut start = room.len();
    loop {
        start -= 1;
        room[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if int < 0 {
        start -= 1;
        room[start] = b'-';
    }
    let length = (room.len() - start) as u32;
    Piece {
        source: Source::Other(room),
        start: start as u32,
        length,
        characters: length,
    }
}

pub(crate) fn string_to_number(aside: &mut Aside<'_>, string: Value, _: Value) -> Option<Value> {
    let length = aside.text(string)?.0.len();
    aside.pay(cost::work_gas(Work::Bytes, length as u64))?;
    let heap = aside.heap();
    let (digits, _) = text_of(heap, string);
    if (1..=DIGITS_MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) {
        let add = |sum, digit: &u8| sum * 10 + i64::from(digit - b'0');
        return Some(Value::int(digits.iter().fold(0, add)));
    }
    Some(parse_number(heap.string(string)?).unwrap_or(Value::NIL))
}
