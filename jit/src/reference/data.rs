//! Constants, pairs, vectors, bytes and errors. Maps have a file of their own.

use pw_isa::op::Data;
use pw_isa::operand::{Def, Span, Use};
use pw_isa::{ErrorKind, Kind, cost};

use super::{Machine, Step, Stop};
use crate::fiber::arena::{Arena, StorePlan, bytes_logical};
use crate::value::Value;

impl Machine<'_> {
    pub(super) fn data(&mut self, op: &Data) -> Step {
        match *op {
            Data::Move { dst, src } => self.set(dst, self.get(src)),
            Data::Nil { dst } => self.set(dst, Value::NIL),
            Data::Bool { dst, value } => self.set(dst, Value::bool(value.0)),
            Data::Int { dst, value } => self.set(dst, Value::int(value.0)),
            Data::Float { dst, value } => self.set(dst, Value::float(f64::from_bits(value.0))),
            Data::Const { dst, constant } => {
                let value = self
                    .code
                    .program(self.fiber.program)
                    .constant(self.fiber.function, constant.0);
                self.set(dst, value)
            }
            Data::Cons { dst, car, cdr } => {
                self.reserve(cost::PAIR_BYTES)?;
                let pair = self.fiber.arena.new_pair(self.get(car), self.get(cdr));
                self.set(dst, pair)
            }
            Data::Car { dst, pair } => {
                let (car, _) = self.pair(pair)?;
                self.set(dst, car)
            }
            Data::Cdr { dst, pair } => {
                let (_, cdr) = self.pair(pair)?;
                self.set(dst, cdr)
            }
            Data::Vector { dst, values } => self.vector(dst, values),
            Data::MakeVector { dst, length, value } => self.make_vector(dst, length, value),
            Data::VectorRef { dst, vector, index } => {
                let (offset, place) = self.element(vector, index)?;
                let value = self.fiber.arena.vector_get(offset, place);
                self.set(dst, value)
            }
            Data::VectorSet {
                vector,
                index,
                value,
            } => {
                let (offset, _) = self.element(vector, index)?;
                let plan = self.fiber.arena.plan_store(offset, self.get(value));
                self.make_room(plan)?;
                let (offset, place) = self.element(vector, index)?;
                self.fiber.arena.apply_plan(offset, plan);
                self.fiber.arena.vector_set(offset, place, self.get(value));
                Ok(super::Next::Advance)
            }
            Data::VectorLength { dst, vector } => {
                let length = self.fiber.arena.vector_length(self.vector_offset(vector)?);
                self.set(dst, Value::int(i64::from(length)))
            }
            Data::VectorPush { vector, value } => self.vector_push(vector, value),
            Data::VectorPop { dst, vector } => {
                let offset = self.vector_offset(vector)?;
                match self.fiber.arena.vector_pop(offset) {
                    Some(value) => self.set(dst, value),
                    None => Err(out_of_range("the vector is empty".to_owned())),
                }
            }
            Data::VectorFill { vector, value } => self.vector_fill(vector, value),
            Data::MakeBytes { dst, length, fill } => self.make_bytes(dst, length, fill),
            Data::BytesRef { dst, bytes, index } => {
                let (offset, place) = self.byte_place(bytes, index)?;
                let byte = self.fiber.arena.bytes(offset)[place];
                self.set(dst, Value::int(i64::from(byte)))
            }
            Data::BytesSet {
                bytes,
                index,
                value,
            } => {
                let (offset, place) = self.byte_place(bytes, index)?;
                let byte = self.byte(value)?;
                self.fiber.arena.write_bytes(offset, place, &[byte]);
                Ok(super::Next::Advance)
            }
            Data::BytesLength { dst, bytes } => {
                let length = self.fiber.arena.bytes(self.bytes_offset(bytes)?).len();
                self.set(dst, Value::int(length as i64))
            }
            Data::MakeError {
                dst,
                message,
                values,
            } => {
                self.string(message)?;
                self.reserve(cost::ERROR_BYTES)?;
                let (message, values) = (self.get(message), self.get(values));
                let error = self
                    .fiber
                    .arena
                    .new_error(ErrorKind::Error, message, values);
                self.set(dst, error)
            }
            Data::ErrorKind { dst, error } => {
                let name = self.error(error)?.0.name();
                self.reserve(cost::text_bytes(name.len() as u64))?;
                let symbol = self.fiber.arena.new_text(Kind::Symbol, name);
                self.set(dst, symbol)
            }
            Data::ErrorMessage { dst, error } => {
                let message = self.error(error)?.1;
                self.set(dst, message)
            }
            Data::ErrorValues { dst, error } => {
                let values = self.error(error)?.2;
                self.set(dst, values)
            }
            Data::MakeMap { .. }
            | Data::MapGet { .. }
            | Data::MapSet { .. }
            | Data::MapHas { .. }
            | Data::MapDelete { .. }
            | Data::MapCount { .. }
            | Data::MapKeys { .. } => self.map(op),
        }
    }

    pub(super) fn pair(&self, register: Use) -> Result<(Value, Value), Stop> {
        let value = self.get(register);
        self.heap()
            .pair(value)
            .ok_or_else(|| self.mismatch("a pair", value))
    }

    fn error(&self, register: Use) -> Result<(ErrorKind, Value, Value), Stop> {
        let value = self.get(register);
        self.heap()
            .error(value)
            .ok_or_else(|| self.mismatch("an error", value))
    }

    /// The offset of a vector; vectors are never constants.
    pub(super) fn vector_offset(&self, register: Use) -> Result<u64, Stop> {
        let value = self.get(register);
        if value.kind() == Kind::Vector {
            Ok(value.bits)
        } else {
            Err(self.mismatch("a vector", value))
        }
    }

    fn element(&self, vector: Use, index: Use) -> Result<(u64, u32), Stop> {
        let offset = self.vector_offset(vector)?;
        let place = self.int(index)?;
        let length = self.fiber.arena.vector_length(offset);
        match u32::try_from(place) {
            Ok(place) if place < length => Ok((offset, place)),
            _ => Err(out_of_range(format!(
                "index {place} of a vector of {length}"
            ))),
        }
    }

    pub(super) fn vector(&mut self, dst: Def, values: Span) -> Step {
        self.charge(u64::from(values.count))?;
        let get = |machine: &Self, place: u16| machine.get(Use(values.first + place));
        let elements = Arena::common_elements((0..values.count).map(|place| get(self, place)));
        self.reserve(Arena::vector_logical(elements, u64::from(values.count)))?;
        let length = u32::from(values.count);
        let vector = self.fiber.arena.new_vector(elements, length, length);
        for place in 0..values.count {
            self.fiber
                .arena
                .vector_set(vector.bits, u32::from(place), get(self, place));
        }
        self.set(dst, vector)
    }

    fn length(&self, register: Use) -> Result<u32, Stop> {
        let length = self.int(register)?;
        u32::try_from(length).map_err(|_| {
            out_of_range(format!(
                "a length of {length}; it can be 0 to {}",
                cost::LENGTH_MAX
            ))
        })
    }

    fn make_vector(&mut self, dst: Def, length: Use, value: Use) -> Step {
        let length = self.length(length)?;
        self.charge(u64::from(length))?;
        let elements = Arena::filled_elements(length, self.get(value));
        self.reserve(Arena::vector_logical(elements, u64::from(length)))?;
        let vector = self.fiber.arena.new_filled_vector(length, self.get(value));
        self.set(dst, vector)
    }

    /// Charges and reserves what a store needs.
    fn make_room(&mut self, plan: StorePlan) -> Result<(), Stop> {
        self.charge(plan.copied)?;
        self.reserve(plan.bytes)
    }

    pub(super) fn vector_push(&mut self, vector: Use, value: Use) -> Step {
        let offset = self.vector_offset(vector)?;
        let Some(plan) = self.fiber.arena.plan_push(offset, self.get(value)) else {
            return Err(out_of_range(
                "the vector is as long as one can be".to_owned(),
            ));
        };
        self.make_room(plan)?;
        let offset = self.vector_offset(vector)?;
        self.fiber.arena.apply_plan(offset, plan);
        self.fiber.arena.vector_push(offset, self.get(value));
        Ok(super::Next::Advance)
    }

    fn vector_fill(&mut self, vector: Use, value: Use) -> Step {
        let offset = self.vector_offset(vector)?;
        let length = self.fiber.arena.vector_length(offset);
        if length == 0 {
            return Ok(super::Next::Advance);
        }
        let plan = StorePlan {
            copied: u64::from(length),
            ..self.fiber.arena.plan_store(offset, self.get(value))
        };
        self.make_room(plan)?;
        let offset = self.vector_offset(vector)?;
        self.fiber.arena.apply_plan(offset, plan);
        self.fiber.arena.fill_vector(offset, self.get(value));
        Ok(super::Next::Advance)
    }

    pub(super) fn bytes_offset(&self, register: Use) -> Result<u64, Stop> {
        let value = self.get(register);
        if value.kind() == Kind::Bytes {
            Ok(value.bits)
        } else {
            Err(self.mismatch("bytes", value))
        }
    }

    fn byte_place(&self, bytes: Use, index: Use) -> Result<(u64, usize), Stop> {
        let offset = self.bytes_offset(bytes)?;
        let place = self.int(index)?;
        let length = self.fiber.arena.bytes(offset).len();
        match usize::try_from(place) {
            Ok(place) if place < length => Ok((offset, place)),
            _ => Err(out_of_range(format!("index {place} of {length} bytes"))),
        }
    }

    fn byte(&self, register: Use) -> Result<u8, Stop> {
        let value = self.int(register)?;
        u8::try_from(value)
            .map_err(|_| out_of_range(format!("{value} is no byte; a byte is 0 to 255")))
    }

    fn make_bytes(&mut self, dst: Def, length: Use, fill: Use) -> Step {
        let length = self.length(length)?;
        let fill = self.byte(fill)?;
        self.charge(u64::from(length))?;
        self.reserve(bytes_logical(u64::from(length)))?;
        let bytes = self.fiber.arena.new_bytes(length, fill);
        self.set(dst, bytes)
    }
}

/// An error about a position or size.
pub(super) fn out_of_range(message: String) -> Stop {
    Stop::Error(ErrorKind::OutOfRange, message)
}
