//! Maps looked into for keys that have a hint: the entry where the key was last found is tried first, which
//! the interpreter and routines note. Everything else is done by routines.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{self, InstBuilder};
use pw_isa::Kind;
use pw_isa::operand::{Def, Use};

use super::lower::{Lowering, MEMORY, NONE, word_of};
use super::plans::HintedKey;
use super::state::NativeState;
use super::types::Type;
use crate::fiber::arena::object::ENTRY_WORDS;
use crate::interp::{SAME_FREE_BYTES, TEXT_HINT_FACTOR, TEXT_HINTS};
use crate::value::CONSTANT;

/// The bytes of an entry, and where its value stands in it.
const ENTRY_BYTES: i64 = 8 * ENTRY_WORDS as i64;
const VALUE: i32 = 16;

impl Lowering<'_, '_> {
    pub(super) fn map_get(&mut self, dst: Def, map: Use, key: Use) {
        let (elsewhere, done) = self.begin_aside();
        let (_, entry, _) = self.hinted_entry(map, key, elsewhere);
        let found = [0, 8].map(|half| self.b.ins().load(I64, MEMORY, entry, VALUE + half));
        self.b.ins().jump(done, &found.map(Into::into));
        self.end_aside(dst, (elsewhere, done));
    }

    pub(super) fn map_set(&mut self, map: Use, key: Use, value: Use) {
        let (elsewhere, done) = (self.b.create_block(), self.b.create_block());
        let op = self.scope.function.code[self.pc as usize];
        // Int keys are new ones as often as not: a call there is not seldom.
        if self.scope.evidence.hinted_key(self.pc, &op, &self.before) != Some(HintedKey::Int) {
            self.b.set_cold_block(elsewhere);
        }
        let (buffer, entry, offset) = self.hinted_entry(map, key, elsewhere);
        let (tag, bits) = self.value(value.0);
        let first = self.b.ins().iadd_imm_s(offset, i64::from(VALUE));
        self.mark_words(buffer, first, 2);
        self.b.ins().store(MEMORY, tag, entry, VALUE);
        self.b.ins().store(MEMORY, bits, entry, VALUE + 8);
        self.b.ins().jump(done, &NONE);
        self.switch_to_sealed(elsewhere);
        self.do_aside();
        self.b.ins().jump(done, &NONE);
        self.switch_to_sealed(done);
    }

    pub(super) fn map_count(&mut self, dst: Def, map: Use) {
        let object = self.object(map.0, Kind::Map);
        let count = self.b.ins().load(I32, MEMORY, object, 8);
        let count = word_of(&mut self.b, count);
        self.set_bits(dst.0, Type::Int, count);
    }

    /// The entry of a map where the key was last found, if it is there: the map's buffer, where the
    /// entry is in memory, and its offset in the buffer. Goes elsewhere if not.
    fn hinted_entry(
        &mut self,
        map: Use,
        key: Use,
        elsewhere: ir::Block,
    ) -> (ir::Value, ir::Value, ir::Value) {
        let object = self.object(map.0, Kind::Map);
        let hint = self.hint(key, elsewhere);
        let used = self.b.ins().load(I32, MEMORY, object, 12);
        let exists = self.b.ins().icmp(IntCC::UnsignedLessThan, hint, used);
        self.go_on_if(exists, elsewhere);
        let buffer = self.b.ins().load(I64, MEMORY, object, 24);
        let number = word_of(&mut self.b, hint);
        let offset = self.b.ins().imul_imm_s(number, ENTRY_BYTES);
        let data = self.buffer_data(buffer);
        let entry = self.b.ins().iadd(data, offset);
        let (tag, bits) = self.value(key.0);
        for (at, half) in [(0, tag), (8, bits)] {
            let there = self.b.ins().load(I64, MEMORY, entry, at);
            let same = self.b.ins().icmp(IntCC::Equal, there, half);
            self.go_on_if(same, elsewhere);
        }
        (buffer, entry, offset)
    }

    /// In which entry a key was last found. Goes elsewhere with a key that has no hint.
    fn hint(&mut self, key: Use, elsewhere: ir::Block) -> ir::Value {
        let op = self.scope.function.code[self.pc as usize];
        match self.scope.evidence.hinted_key(self.pc, &op, &self.before) {
            Some(HintedKey::Value(place)) => self.hint_of_value(place),
            Some(HintedKey::Int) => {
                let (tag, _) = self.value(key.0);
                let is_int = self.b.ins().icmp_imm_s(IntCC::Equal, tag, Kind::Int as i64);
                self.go_on_if(is_int, elsewhere);
                // All keys that are not expected share the first one's.
                self.hint_of_value(0)
            }
            Some(HintedKey::Text) => self.hint_of_text(key, elsewhere),
            None => unreachable!("a key without a hint is looked for by a routine"),
        }
    }

    fn hint_of_value(&mut self, place: u32) -> ir::Value {
        let hints = self.load_state(offset_of!(NativeState<'_>, hints));
        self.b.ins().load(I32, MEMORY, hints, 4 * place as i32)
    }

    /// The hint of a text, by where it stands: in the arena, or among the program's constants. Goes
    /// elsewhere with other values, and where the text takes work.
    fn hint_of_text(&mut self, key: Use, elsewhere: ir::Block) -> ir::Value {
        const { assert!(Kind::Symbol as u64 | 1 == Kind::String as u64) };
        let (tag, bits) = self.value(key.0);
        let kind = self.b.ins().band_imm_s(tag, !(CONSTANT as i64 | 1));
        let wanted = Kind::Symbol as i64;
        let is_text = self.b.ins().icmp_imm_s(IntCC::Equal, kind, wanted);
        self.go_on_if(is_text, elsewhere);
        let constant = self.b.ins().band_imm_s(tag, CONSTANT as i64);
        let program = self.load_state(offset_of!(NativeState<'_>, program_bits));
        let among = self.b.ins().bxor(bits, program);
        let offset = self.b.ins().select(constant, among, bits);
        let high = self.b.ins().ushr_imm_u(offset, 32);
        let is_own = self.b.ins().icmp_imm_s(IntCC::Equal, high, 0);
        self.go_on_if(is_own, elsewhere);
        let constants = self.load_state(offset_of!(NativeState<'_>, constants));
        let words = self.load_state(offset_of!(NativeState<'_>, words));
        let words = self.b.ins().select(constant, constants, words);
        let text = self.b.ins().iadd(words, offset);
        let length = self.b.ins().load(I32, MEMORY, text, 8);
        let most = SAME_FREE_BYTES as i64;
        let is_free = self
            .b
            .ins()
            .icmp_imm_s(IntCC::UnsignedLessThan, length, most);
        self.go_on_if(is_free, elsewhere);
        let factor = self.b.ins().iconst(I64, TEXT_HINT_FACTOR as i64);
        let mixed = self.b.ins().imul(bits, factor);
        let shift = i64::from(64 - TEXT_HINTS.ilog2());
        let place = self.b.ins().ushr_imm_u(mixed, shift);
        let place = self.b.ins().ishl_imm_u(place, 2);
        let hints = self.load_state(offset_of!(NativeState<'_>, text_hints));
        let place = self.b.ins().iadd(hints, place);
        self.b.ins().load(I32, MEMORY, place, 0)
    }

    /// Goes on if a test holds, and elsewhere if not.
    pub(super) fn go_on_if(&mut self, test: ir::Value, elsewhere: ir::Block) {
        let go_on = self.b.create_block();
        self.b.ins().brif(test, go_on, &NONE, elsewhere, &NONE);
        self.switch_to_sealed(go_on);
    }
}
