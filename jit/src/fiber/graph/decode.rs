//! Reading the canonical form from bytes that may be damaged or hostile.
//!
//! The objects stand behind the values that refer to them, so decoding goes: skip to the objects,
//! make them all (what they hold is nil yet), fill them, then read the values. Every promise that
//! tiers rely on is checked: kinds of objects behind kinds of values, bounds, UTF-8, keys of maps, and
//! that pairs are not cyclic. Memory is proportional to the input: a capacity is a number, not room.

use pw_isa::wire::{DecodeError, Decoded, Reader};
use pw_isa::{ErrorKind, Kind, cost};

use smallvec::SmallVec;

use super::{CONSTANT_TAG, ProgramTable, SharedText};
use crate::code_space::CodeSpace;
use crate::fiber::arena::object::{Elements, ObjectKind, fits};
use crate::fiber::arena::{
    Admission, Admitted, Arena, PageBlocks, Pages, count_characters, may_have_capacity,
    starts_character,
};
use crate::fiber::upgrade::{NewFunction, Source, Upgrade, refused_in};
use crate::value::Value;

/// An object that was made.
#[derive(Clone, Copy)]
pub(super) struct Made {
    pub(super) kind: ObjectKind,
    /// The offset of an object, or the word that names a text buffer.
    pub(super) place: u64,
    /// Where the parts that need a second look start in the input.
    pub(super) fields: usize,
}

/// All that were made: those of a small state take no memory of the heap.
pub(super) type Objects = SmallVec<[Made; 8]>;

/// What names in the input mean.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) code: &'a CodeSpace,
    pub(crate) programs: &'a ProgramTable,
    /// Functions of its old program are read as those of its new one.
    pub(crate) upgrade: Option<&'a Upgrade>,
    /// Large texts that were kept apart.
    pub(crate) texts: &'a [SharedText],
}

/// Reads objects into an arena, then values that refer to them.
pub(crate) struct Decoder<'a> {
    pub(super) arena: &'a mut Arena,
    pub(super) code: &'a CodeSpace,
    programs: &'a ProgramTable,
    upgrade: Option<&'a Upgrade>,
    /// Those of the texts that were kept apart whose places are still ahead.
    texts: &'a [SharedText],
    input: &'a [u8],
    pub(super) made: Objects,
    /// The objects of an arena that is there as it was, instead of those that were made.
    admitted: Option<Admitted>,
    /// Long texts to make once their buffers exist: number, length, buffer, place in the input.
    long_texts: Vec<(usize, u32, u32, usize)>,
    /// Whether an immutable object may contain itself: one refers to an object that does not lie behind it.
    pub(super) may_be_cyclic: bool,
    pub(super) has_maps: bool,
}

impl<'a> Decoder<'a> {
    /// Reads the objects at the front of `input`; the reader stands behind them afterwards.
    pub(crate) fn new(
        arena: &'a mut Arena,
        reading: Reading<'a>,
        input: &'a [u8],
        reader: &mut Reader<'a>,
    ) -> Decoded<Decoder<'a>> {
        let mut decoder = Decoder::over(arena, reading, input);
        let count = reader.count(2)?;
        decoder.made.reserve_exact(count);
        for number in 0..count {
            let made = decoder.make(reader, number)?;
            decoder.made.push(made);
        }
        decoder.make_long_texts()?;
        decoder.fill()?;
        decoder.refuse_cyclic_pairs()?;
        decoder.index_maps()?;
        Ok(decoder)
    }

    fn over(arena: &'a mut Arena, reading: Reading<'a>, input: &'a [u8]) -> Decoder<'a> {
        Decoder {
            arena,
            code: reading.code,
            programs: reading.programs,
            upgrade: reading.upgrade,
            texts: reading.texts,
            input,
            made: Objects::new(),
            admitted: None,
            long_texts: Vec::new(),
            may_be_cyclic: false,
            has_maps: false,
        }
    }

    /// Reads values that refer to objects of an arena made of pages; the words where those lie stand at the front of `input`.
    pub(crate) fn in_place(
        arena: &'a mut Arena,
        reading: Reading<'a>,
        (pages, blocks): (&Pages, &dyn PageBlocks),
        input: &'a [u8],
        reader: &mut Reader<'a>,
    ) -> Decoded<Decoder<'a>> {
        if (0..)
            .zip(&reading.programs.programs)
            .any(|(number, program)| number != *program)
        {
            return Err(reader.error("programs have other numbers here"));
        }
        let end = reader.varint32()? as usize;
        let start = reader.offset();
        let wrong = |what: String| Self::error_at(start, what);
        *arena = Arena::from_pages(pages, end, blocks).map_err(wrong)?;
        let mut admission = Admission::new(arena, reading.code);
        for _ in 0..reader.count(1)? {
            let index = reader.varint32()? as usize;
            admission.root(index).map_err(wrong)?;
        }
        let admitted = admission.finish().map_err(wrong)?;
        let mut decoder = Decoder::over(arena, reading, input);
        decoder.made = admitted
            .maps
            .iter()
            .map(|place| Made {
                kind: ObjectKind::Map,
                place: *place,
                fields: start,
            })
            .collect();
        decoder.has_maps = !decoder.made.is_empty();
        decoder.index_maps()?;
        decoder.admitted = Some(admitted);
        Ok(decoder)
    }

    pub(super) fn error_at(offset: usize, what: impl Into<String>) -> DecodeError {
        DecodeError {
            offset,
            what: what.into(),
        }
    }

    /// Makes an object with nil in it and skips its record.
    fn make(&mut self, input: &mut Reader<'_>, number: usize) -> Decoded<Made> {
        let tag = input.u8()?;
        let Some(kind) = ObjectKind::from_number(tag) else {
            return Err(input.error(format!("no kind of object has the number {tag}")));
        };
        let fields = input.offset();
        let nil = Value::NIL;
        let value = match kind {
            ObjectKind::Pair => {
                self.skip_values(input, 2)?;
                self.arena.new_pair(nil, nil)
            }
            ObjectKind::Cell => {
                self.skip_values(input, 1)?;
                self.arena.new_cell(nil)
            }
            ObjectKind::Closure => self.make_closure(input)?,
            ObjectKind::Text => {
                let text = input.text()?;
                if text.len() as u64 > cost::TEXT_INLINE_MAX {
                    return Err(
                        input.error(format!("a text of {} bytes without a buffer", text.len()))
                    );
                }
                self.arena.new_text(Kind::String, text)
            }
            ObjectKind::LongText => {
                let length = input.varint32()?;
                let buffer = input.varint32()?;
                self.long_texts.push((number, length, buffer, fields));
                return Ok(Made {
                    kind,
                    place: 0,
                    fields,
                });
            }
            ObjectKind::Buffer => {
                let place = self.make_text_buffer(input)?;
                return Ok(Made {
                    kind,
                    place,
                    fields,
                });
            }
            ObjectKind::Bytes => {
                let bytes = input.blob()?;
                let length =
                    u32::try_from(bytes.len()).map_err(|_| input.error("bytes too long"))?;
                let value = self.arena.new_bytes(length, 0);
                self.arena.write_bytes(value.bits, 0, bytes);
                value
            }
            ObjectKind::Vector => self.make_vector(input)?,
            ObjectKind::Map => self.make_map(input)?,
            ObjectKind::Error => {
                let tag = input.u8()?;
                let Some(kind) = ErrorKind::from_tag(tag) else {
                    return Err(input.error(format!("no kind of error has the number {tag}")));
                };
                self.skip_values(input, 2)?;
                self.arena.new_error(kind, nil, nil)
            }
            ObjectKind::Capability => {
                self.skip_values(input, 2)?;
                self.arena.new_capability(nil, nil)
            }
            ObjectKind::Forward => return Err(input.error("no such object")),
        };
        Ok(Made {
            kind,
            place: value.bits,
            fields,
        })
    }

    fn skip_values(&self, input: &mut Reader<'_>, count: usize) -> Decoded<()> {
        for _ in 0..count {
            let tag = input.u8()?;
            let known = Kind::from_tag(tag & !CONSTANT_TAG);
            match known {
                Some(kind) if kind.is_heap() && tag & CONSTANT_TAG != 0 => {
                    input.varint()?;
                    input.varint()?;
                }
                _ if tag & CONSTANT_TAG != 0 => {
                    return Err(input.error("a constant that is no object"));
                }
                Some(Kind::Nil) => {}
                Some(Kind::Bool) => {
                    input.flag()?;
                }
                Some(Kind::Float) => {
                    input.u64()?;
                }
                Some(_) => {
                    input.varint()?;
                }
                None => return Err(input.error(format!("no kind of value has the number {tag}"))),
            }
        }
        Ok(())
    }

    fn make_closure(&mut self, input: &mut Reader<'_>) -> Decoded<Value> {
        let position = input.varint32()?;
        let function = input.varint32()?;
        let count = input.count(1)?;
        let Some(program) = self.programs.at(position) else {
            return Err(input.error(format!("program {position} is not in the table")));
        };
        let Some(code) = self
            .code
            .program(program)
            .program()
            .functions
            .get(function as usize)
        else {
            return Err(input.error(format!("the program has no function {function}")));
        };
        if usize::from(code.captures) != count {
            return Err(input.error(format!(
                "{count} values for a function that captures {}",
                code.captures
            )));
        }
        self.skip_values(input, count)?;
        let (program, function, count) = match self.counterpart(input, (program, function))? {
            None => (program, function, count),
            Some((program, new)) => {
                let captures = new.captures.map_or(count, <[Source]>::len);
                (program, new.function, captures)
            }
        };
        Ok(self
            .arena
            .new_closure(program, function, vec![Value::NIL; count].into_iter()))
    }

    /// The program and the function that a function of the old program becomes.
    fn counterpart(
        &self,
        input: &Reader<'_>,
        function: (u32, u32),
    ) -> Decoded<Option<(u32, NewFunction<'a>)>> {
        let Some(upgrade) = self.upgrade else {
            return Ok(None);
        };
        let found = refused_in(input, upgrade.closure(self.code, function))?;
        Ok(found.map(|new| (upgrade.to(), new)))
    }

    fn fill_closure(&mut self, place: u64, input: &mut Reader<'_>) -> Decoded<()> {
        let position = input.varint32()?;
        let function = input.varint32()?;
        let count = input.varint32()?;
        let program = self.programs.at(position).unwrap_or_default();
        let counterpart = self.counterpart(input, (program, function))?;
        let Some(sources) = counterpart.and_then(|(_, new)| new.captures) else {
            for place_in in 0..count {
                let value = self.value(input)?;
                self.arena.set_capture(place, place_in, value);
            }
            return Ok(());
        };
        let values: Vec<Value> = (0..count)
            .map(|_| self.value(input))
            .collect::<Decoded<_>>()?;
        for (place_in, source) in (0..).zip(sources) {
            let value = match source {
                Source::Old(old) => values[usize::from(*old)],
                Source::Plain(value) => *value,
            };
            self.arena.set_capture(place, place_in, value);
        }
        Ok(())
    }

    fn make_text_buffer(&mut self, input: &mut Reader<'_>) -> Decoded<u64> {
        let capacity = input.varint32()?;
        if let Some((text, behind)) = self.texts.split_first()
            && text.at == input.offset()
        {
            self.texts = behind;
            let words = text.words.clone();
            return Ok(self
                .arena
                .new_shared_text_buffer(words, text.used, capacity));
        }
        let text = input.text()?;
        if !may_have_capacity(text.len(), capacity) {
            return Err(input.error(format!("a buffer of {capacity} for {} bytes", text.len())));
        }
        Ok(self.arena.new_text_buffer_of(text.as_bytes(), capacity))
    }

    fn make_vector(&mut self, input: &mut Reader<'_>) -> Decoded<Value> {
        let number = input.u8()?;
        let Some(elements) = Elements::from_number(u64::from(number)) else {
            return Err(input.error(format!("no kind of elements has the number {number}")));
        };
        let capacity = input.varint32()?;
        let length = input.count(if elements == Elements::Any { 1 } else { 8 })?;
        if length > capacity as usize {
            return Err(input.error(format!("{length} elements in a vector for {capacity}")));
        }
        if capacity == 0 && elements != Elements::Any {
            return Err(input.error("a flat vector that never had an element"));
        }
        let vector = self.arena.new_vector(elements, length as u32, capacity);
        match elements {
            Elements::Any => {
                self.skip_values(input, length)?;
                self.arena.fill_vector(vector.bits, Value::NIL);
            }
            Elements::Int | Elements::Float => {
                let written = input.take(8 * length)?;
                self.arena.fill_flat(vector.bits, written);
            }
        }
        Ok(vector)
    }

    fn make_map(&mut self, input: &mut Reader<'_>) -> Decoded<Value> {
        let capacity = input.varint32()?;
        let used = input.count(1)?;
        if used > capacity as usize || u64::from(capacity) > cost::LENGTH_MAX / 4 {
            return Err(input.error(format!("{used} entries in a map for {capacity}")));
        }
        for _ in 0..used {
            if input.flag()? {
                self.skip_values(input, 2)?;
            }
        }
        self.has_maps = true;
        Ok(self.arena.new_map())
    }

    /// Makes the long texts, counting the characters of each buffer once.
    fn make_long_texts(&mut self) -> Decoded<()> {
        let mut texts = std::mem::take(&mut self.long_texts);
        texts.sort_by_key(|(_, length, buffer, _)| (*buffer, *length));
        let mut counted = (u32::MAX, 0usize, 0usize);
        for (number, length, buffer, at) in texts {
            let place = match self.made.get(buffer as usize) {
                Some(made) if made.kind == ObjectKind::Buffer => made.place,
                _ => {
                    return Err(Self::error_at(
                        at,
                        format!("object {buffer} is not the buffer of a text"),
                    ));
                }
            };
            let bytes = self.arena.text_buffer_bytes(place);
            let end = length as usize;
            // The buffer is UTF-8: it was read as a text.
            let whole = bytes.get(end).is_none_or(|byte| starts_character(*byte));
            if u64::from(length) <= cost::TEXT_INLINE_MAX || end > bytes.len() || !whole {
                return Err(Self::error_at(
                    at,
                    format!("no text is the first {length} bytes of its buffer"),
                ));
            }
            if counted.0 != buffer {
                counted = (buffer, 0, 0);
            }
            let added = count_characters(&bytes[counted.1..end]);
            counted = (buffer, end, counted.2 + added);
            let value = self
                .arena
                .new_long_text(Kind::String, length, counted.2 as u32, place);
            self.made[number].place = value.bits;
        }
        Ok(())
    }

    /// Fills the objects with the values they hold.
    fn fill(&mut self) -> Decoded<()> {
        for number in 0..self.made.len() {
            let made = self.made[number];
            let mut input = Reader::new(self.input);
            input.take(made.fields)?;
            match made.kind {
                ObjectKind::Pair => {
                    let (car, cdr) = (self.value(&mut input)?, self.value(&mut input)?);
                    self.look_behind(made.place, [car, cdr]);
                    self.arena.fill_pair(made.place, car, cdr);
                }
                ObjectKind::Cell => {
                    let value = self.value(&mut input)?;
                    self.arena.set_cell(made.place, value);
                }
                ObjectKind::Closure => self.fill_closure(made.place, &mut input)?,
                ObjectKind::Vector if self.arena.vector_elements(made.place) == Elements::Any => {
                    input.u8()?;
                    input.varint()?;
                    for place in 0..input.varint32()? {
                        let value = self.value(&mut input)?;
                        self.arena.vector_set(made.place, place, value);
                    }
                }
                ObjectKind::Map => self.fill_map(made.place, &mut input)?,
                ObjectKind::Error => {
                    input.u8()?;
                    let message = self.value_of(&mut input, Kind::String)?;
                    let values = self.value(&mut input)?;
                    self.look_behind(made.place, [message, values]);
                    self.arena.fill_two_values(made.place, message, values);
                }
                ObjectKind::Capability => {
                    let name = self.value_of(&mut input, Kind::Symbol)?;
                    let parameter = self.value(&mut input)?;
                    self.look_behind(made.place, [name, parameter]);
                    self.arena.fill_two_values(made.place, name, parameter);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Objects that only refer to what lies behind them cannot contain themselves: most states have no others.
    fn look_behind(&mut self, place: u64, parts: [Value; 2]) {
        let before = |part: Value| part.is_in_arena() && part.bits <= place;
        self.may_be_cyclic |= parts.into_iter().any(before);
    }

    fn fill_map(&mut self, place: u64, input: &mut Reader<'_>) -> Decoded<()> {
        let capacity = input.varint32()?;
        let used = input.varint32()?;
        self.arena.restore_map(place, capacity, used);
        for entry in 0..used {
            let content = if input.flag()? {
                Some((self.value(input)?, self.value(input)?))
            } else {
                None
            };
            self.arena.restore_map_entry(place, entry, content);
        }
        Ok(())
    }

    fn value_of(&self, input: &mut Reader<'_>, kind: Kind) -> Decoded<Value> {
        let value = self.value(input)?;
        if value.kind() == kind {
            Ok(value)
        } else {
            Err(input.error(format!(
                "a {} where a {} belongs",
                value.kind().name(),
                kind.name()
            )))
        }
    }

    /// Reads a value.
    pub(crate) fn value(&self, input: &mut Reader<'_>) -> Decoded<Value> {
        let tag = input.u8()?;
        let Some(kind) = Kind::from_tag(tag & !CONSTANT_TAG) else {
            return Err(input.error(format!("no kind of value has the number {tag}")));
        };
        if tag & CONSTANT_TAG != 0 {
            return self.constant(input, kind);
        }
        Ok(match kind {
            Kind::Nil => Value::NIL,
            Kind::Bool => Value::bool(input.flag()?),
            Kind::Int => Value::int(input.signed()?),
            Kind::Float => Value::float(f64::from_bits(input.u64()?)),
            Kind::ActorId => Value::actor(input.varint()?),
            _ => {
                let number = input.varint()?;
                if let Some(admitted) = &self.admitted {
                    let found = admitted.value(self.arena, kind, number);
                    return found.ok_or_else(|| {
                        input.error(format!("no {} lies at word {number}", kind.name()))
                    });
                }
                let made = usize::try_from(number)
                    .ok()
                    .and_then(|number| self.made.get(number));
                match made {
                    Some(made) if fits(kind, made.kind) => Value::object(kind, made.place),
                    Some(made) => {
                        return Err(input.error(format!(
                            "a {} that is a {:?}",
                            kind.name(),
                            made.kind
                        )));
                    }
                    None => {
                        return Err(input.error(format!("object {number} of {}", self.made.len())));
                    }
                }
            }
        })
    }

    fn constant(&self, input: &mut Reader<'_>, kind: Kind) -> Decoded<Value> {
        let position = input.varint32()?;
        let object = input.varint32()?;
        let Some(program) = self.programs.at(position) else {
            return Err(input.error(format!("program {position} is not in the table")));
        };
        let is_text = |kind| matches!(kind, Kind::String | Kind::Symbol);
        match self.code.program(program).objects.get(object as usize) {
            Some((of, offset)) if *of == kind || is_text(*of) && is_text(kind) => {
                let new = match self.upgrade {
                    Some(upgrade) => {
                        refused_in(input, upgrade.constant(self.code, (program, object)))?
                    }
                    None => None,
                };
                Ok(new.unwrap_or_else(|| Value::constant(kind, program, *offset)))
            }
            _ => Err(input.error(format!(
                "the program has no {} as constant {object}",
                kind.name()
            ))),
        }
    }
}
