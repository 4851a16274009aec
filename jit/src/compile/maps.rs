//! Maps looked into for a constant, or for what turns out to be a symbol of the program: the entry where
//! the key was last found is tried first, which the interpreter notes. Everything else is done by the interpreter's handlers.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{self, InstBuilder};
use pw_isa::Kind;
use pw_isa::operand::{Def, Use};

use super::lower::{Lowering, MEMORY, NONE, word_of};
use super::state::NativeState;
use crate::fiber::arena::object::ENTRY_WORDS;
use crate::interp::{SAME_FREE_BYTES, TEXT_HINT_FACTOR, TEXT_HINTS};
use crate::value::CONSTANT;

/// The bytes of an entry, and where its value stands in it.
const ENTRY_BYTES: i64 = 8 * ENTRY_WORDS as i64;
const VALUE: i32 = 16;

impl Lowering<'_, '_> {
    pub(super) fn map_get(&mut self, dst: Def, map: Use, key: Use) {
        let (elsewhere, done) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(elsewhere);
        let tag = self.b.append_block_param(done, I64);
        let bits = self.b.append_block_param(done, I64);
        let (_, entry, _) = self.hinted_entry(map, key, elsewhere);
        let found = [0, 8].map(|half| self.b.ins().load(I64, MEMORY, entry, VALUE + half));
        self.b.ins().jump(done, &found.map(Into::into));
        self.b.switch_to_block(elsewhere);
        self.do_aside();
        let (by_handler, its_bits) = self.value(dst.0);
        self.b
            .ins()
            .jump(done, &[by_handler.into(), its_bits.into()]);
        self.b.switch_to_block(done);
        self.set_any(dst.0, tag, bits);
    }

    pub(super) fn map_set(&mut self, map: Use, key: Use, value: Use) {
        let (elsewhere, done) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(elsewhere);
        let (buffer, entry, offset) = self.hinted_entry(map, key, elsewhere);
        let (tag, bits) = self.value(value.0);
        let first = self.b.ins().iadd_imm_s(offset, i64::from(VALUE));
        self.mark_words(buffer, first, 2);
        self.b.ins().store(MEMORY, tag, entry, VALUE);
        self.b.ins().store(MEMORY, bits, entry, VALUE + 8);
        self.b.ins().jump(done, &NONE);
        self.b.switch_to_block(elsewhere);
        self.do_aside();
        self.b.ins().jump(done, &NONE);
        self.b.switch_to_block(done);
    }

    /// The entry of a map where the constant key was last found, if it is there: the map's buffer, where the
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

    /// In which entry a key was last found: of a constant that stands in the code by which of the program's
    /// values it is; of a symbol by where it stands, if it is one of the program's and takes no work. Goes
    /// elsewhere with other values.
    fn hint(&mut self, key: Use, elsewhere: ir::Block) -> ir::Value {
        if let Some(place) = self.scope.evidence.key(self.pc) {
            let hints = self.load_state(offset_of!(NativeState<'_>, hints));
            return self.b.ins().load(I32, MEMORY, hints, 4 * place as i32);
        }
        let (tag, bits) = self.value(key.0);
        let wanted = Kind::Symbol as i64 | CONSTANT as i64;
        let is_constant = self.b.ins().icmp_imm_s(IntCC::Equal, tag, wanted);
        self.go_on_if(is_constant, elsewhere);
        let program = self.load_state(offset_of!(NativeState<'_>, program_bits));
        let offset = self.b.ins().bxor(bits, program);
        let high = self.b.ins().ushr_imm_u(offset, 32);
        let is_own = self.b.ins().icmp_imm_s(IntCC::Equal, high, 0);
        self.go_on_if(is_own, elsewhere);
        let constants = self.load_state(offset_of!(NativeState<'_>, constants));
        let text = self.b.ins().iadd(constants, offset);
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
        self.b.switch_to_block(go_on);
    }
}
