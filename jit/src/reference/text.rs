//! Strings and symbols.

use pw_isa::op::Text;
use pw_isa::operand::{Def, Use};
use pw_isa::{Kind, cost};

use super::data::out_of_range;
use super::{Machine, Step, Stop};
use crate::fiber::arena::{Arena, Piece, bytes_logical};
use crate::heap::whole_text;
use crate::numbers::Number;
use crate::text::{float_text, parse_number};
use crate::value::Value;

impl<'a> Machine<'a> {
    pub(super) fn text(&mut self, op: &Text) -> Step {
        match *op {
            Text::StringLength { dst, string } => {
                let length = self.characters(string)?;
                self.set(dst, Value::int(i64::from(length)))
            }
            Text::StringAppend { dst, a, b } => self.append(dst, a, b),
            Text::StringRef { dst, string, index } => self.string_ref(dst, string, index),
            Text::Substring {
                dst,
                string,
                from,
                to,
            } => self.substring(dst, string, from, to),
            Text::StringIndex { dst, string, part } => {
                self.charge(self.string_bytes(string)? + self.string_bytes(part)?)?;
                let (string, part) = (self.string(string)?, self.string(part)?);
                let found = string.find(part).map(|at| string[..at].chars().count());
                self.set(dst, found.map_or(Value::NIL, |at| Value::int(at as i64)))
            }
            Text::StringEq { dst, a, b } => {
                let (left, right) = (self.string_bytes(a)?, self.string_bytes(b)?);
                if left != right {
                    return self.set(dst, Value::bool(false));
                }
                self.charge(left)?;
                let heap = self.heap();
                let equal = heap.text_bytes(self.get(a)) == heap.text_bytes(self.get(b));
                self.set(dst, Value::bool(equal))
            }
            Text::StringLt { dst, a, b } => {
                // The bytes of UTF-8 are in the order of the code points.
                self.charge(self.string_bytes(a)?.min(self.string_bytes(b)?))?;
                let heap = self.heap();
                let less = heap.text_bytes(self.get(a)) < heap.text_bytes(self.get(b));
                self.set(dst, Value::bool(less))
            }
            Text::NumberToString { dst, number } => {
                let text = match self.number(number)? {
                    Number::Int(number) => number.to_string(),
                    Number::Float(number) => float_text(number),
                };
                self.new_text(dst, Kind::String, &text)
            }
            Text::StringToNumber { dst, string } => {
                self.charge(self.string_bytes(string)?)?;
                let number = parse_number(self.string(string)?);
                self.set(dst, number.unwrap_or(Value::NIL))
            }
            // Strings and symbols are the same objects under another kind.
            Text::SymbolToString { dst, symbol } => {
                self.retag(dst, symbol, Kind::Symbol, Kind::String)
            }
            Text::StringToSymbol { dst, string } => {
                self.retag(dst, string, Kind::String, Kind::Symbol)
            }
            Text::StringToBytes { dst, string } => self.string_to_bytes(dst, string),
            Text::BytesToString { dst, bytes } => self.bytes_to_string(dst, bytes),
        }
    }

    pub(super) fn string(&self, register: Use) -> Result<&str, Stop> {
        let value = self.get(register);
        self.heap()
            .string(value)
            .ok_or_else(|| self.mismatch("a string", value))
    }

    /// How many bytes a string has, without looking at them.
    pub(super) fn string_bytes(&self, register: Use) -> Result<u64, Stop> {
        let value = self.get(register);
        if value.kind() != Kind::String {
            return Err(self.mismatch("a string", value));
        }
        Ok(self.heap().text_bytes(value).len() as u64)
    }

    pub(super) fn characters(&self, register: Use) -> Result<u32, Stop> {
        self.string_bytes(register)?;
        let (arena, offset) = self.heap().place(self.get(register));
        Ok(arena.text_characters(offset))
    }

    fn new_text(&mut self, dst: Def, kind: Kind, text: &str) -> Step {
        self.reserve(cost::text_bytes(text.len() as u64))?;
        let value = self.fiber.arena.new_text(kind, text);
        self.set(dst, value)
    }

    pub(super) fn append(&mut self, dst: Def, a: Use, b: Use) -> Step {
        let (length, added) = (self.string_bytes(a)? as u32, self.string_bytes(b)? as u32);
        let left = self.get(a);
        let own = left
            .is_in_arena()
            .then(|| self.fiber.arena.text_buffer(left.bits))
            .flatten();
        let Some(plan) = Arena::plan_append(length, added, own) else {
            return Err(out_of_range(
                "the string would be longer than one can be".to_owned(),
            ));
        };
        self.charge(plan.copied)?;
        self.reserve(plan.bytes)?;
        let (left, right) = (self.whole_text(a), self.whole_text(b));
        let value = self.fiber.arena.append(plan, &left, &right);
        self.set(dst, value)
    }

    fn whole_text(&self, register: Use) -> Piece<'a> {
        whole_text(&self.fiber.arena, self.code, self.get(register))
    }

    /// The byte positions of two character positions; charges for finding them.
    fn byte_range(&mut self, string: Use, from: u32, to: u32) -> Result<(usize, usize), Stop> {
        let characters = self.characters(string)?;
        if u64::from(characters) == self.string_bytes(string)? {
            return Ok((from as usize, to as usize));
        }
        let text = self.string(string)?;
        let mut positions = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        let start = positions.nth(from as usize).unwrap_or(text.len());
        let end = if to == from {
            start
        } else {
            positions
                .nth((to - from - 1) as usize)
                .unwrap_or(text.len())
        };
        self.charge(end as u64)?;
        Ok((start, end))
    }

    fn string_ref(&mut self, dst: Def, string: Use, index: Use) -> Step {
        let characters = self.characters(string)?;
        let index = self.int(index)?;
        match u32::try_from(index) {
            Ok(place) if place < characters => self.slice(dst, string, place, place + 1),
            _ => Err(out_of_range(format!(
                "character {index} of a string of {characters}"
            ))),
        }
    }

    fn substring(&mut self, dst: Def, string: Use, from: Use, to: Use) -> Step {
        let characters = i64::from(self.characters(string)?);
        let from = self.int(from)?;
        let to = if self.get(to) == Value::NIL {
            characters
        } else {
            self.int(to)?
        };
        if from < 0 || from > to || to > characters {
            return Err(out_of_range(format!(
                "characters {from} to {to} of a string of {characters}"
            )));
        }
        self.slice(dst, string, from as u32, to as u32)
    }

    pub(super) fn slice(&mut self, dst: Def, string: Use, from: u32, to: u32) -> Step {
        let (start, end) = self.byte_range(string, from, to)?;
        self.charge((end - start) as u64)?;
        self.reserve(cost::text_bytes((end - start) as u64))?;
        let part = Piece {
            start: start as u32,
            length: (end - start) as u32,
            characters: to - from,
            ..self.whole_text(string)
        };
        let value = self.fiber.arena.new_text_of(Kind::String, &part);
        self.set(dst, value)
    }

    fn retag(&mut self, dst: Def, register: Use, from: Kind, to: Kind) -> Step {
        let value = self.get(register);
        if value.kind() != from {
            return Err(self.mismatch(&super::kind_phrase(from), value));
        }
        let tag = value.tag & !0xff | to as u64;
        self.set(dst, Value { tag, ..value })
    }

    fn string_to_bytes(&mut self, dst: Def, string: Use) -> Step {
        let length = self.string_bytes(string)?;
        self.charge(length)?;
        self.reserve(bytes_logical(length))?;
        let text = self.string(string)?.to_owned();
        let bytes = self.fiber.arena.new_bytes(length as u32, 0);
        self.fiber.arena.write_bytes(bytes.bits, 0, text.as_bytes());
        self.set(dst, bytes)
    }

    fn bytes_to_string(&mut self, dst: Def, bytes: Use) -> Step {
        let length = self.fiber.arena.bytes(self.bytes_offset(bytes)?).len();
        self.charge(length as u64)?;
        let bytes = self.fiber.arena.bytes(self.bytes_offset(bytes)?).to_vec();
        match String::from_utf8(bytes) {
            Ok(text) => self.new_text(dst, Kind::String, &text),
            Err(_) => self.set(dst, Value::NIL),
        }
    }
}
