//! What is done most with texts: their length, one of their characters, and comparing a short one with a
//! constant. It is done here for strings of the arena, in which characters are bytes; all else, and all
//! that is longer, by the interpreter's handlers.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I32, I64};
use cranelift_codegen::ir::{self, InstBuilder};
use pw_isa::Kind;
use pw_isa::cost;
use pw_isa::op::Text;
use pw_isa::operand::{Def, Use};

use super::lower::{Lowering, MEMORY, NONE, word_of};
use super::state::NativeState;
use super::types::Type;
use crate::fiber::arena::object::{ObjectKind, header, join};

/// Where a text has its length in bytes, its length in characters, and its bytes or their buffer.
const BYTES: i32 = 8;
const CHARACTERS: i32 = 12;
const CONTENT: i32 = 16;

/// The bytes of a string of one character.
const CHARACTER_BYTES: i64 = 24;
const _: () = assert!(cost::short_text_bytes(1) == CHARACTER_BYTES as u64);

impl Lowering<'_, '_> {
    pub(super) fn text(&mut self, op: Text) {
        match op {
            Text::StringLength { dst, string } => self.string_length(dst, string),
            Text::StringRef { dst, string, index } => self.string_ref(dst, string, index),
            Text::StringEq { dst, a, b } => self.string_eq(dst, a, b),
            _ => unreachable!("done by a handler"),
        }
    }

    fn string_length(&mut self, dst: Def, string: Use) {
        let [elsewhere, done] = self.two_ways();
        let length = self.b.append_block_param(done, I64);
        let object = self.string(string.0, elsewhere);
        let characters = self.b.ins().load(I32, MEMORY, object, CHARACTERS);
        let characters = word_of(&mut self.b, characters);
        self.b.ins().jump(done, &[characters.into()]);
        self.by_handler(dst, elsewhere, done);
        self.set_bits(dst.0, Type::Int, length);
    }

    fn string_ref(&mut self, dst: Def, string: Use, index: Use) {
        // What is known about registers must hold on both ways.
        self.guard(index.0, Type::Int);
        let [elsewhere, done] = self.two_ways();
        let character = self.b.append_block_param(done, I64);
        let object = self.string(string.0, elsewhere);
        let index = self.bits(index.0);
        let length = self.b.ins().load(I32, MEMORY, object, BYTES);
        let characters = self.b.ins().load(I32, MEMORY, object, CHARACTERS);
        let are_bytes = self.b.ins().icmp(IntCC::Equal, length, characters);
        self.go_on_if(are_bytes, elsewhere);
        let length = word_of(&mut self.b, length);
        let is_inside = self.b.ins().icmp(IntCC::UnsignedLessThan, index, length);
        self.go_on_if(is_inside, elsewhere);
        let place = self.load_state(offset_of!(NativeState<'_>, top));
        let max = self.load_state(offset_of!(NativeState<'_>, top_max));
        let top = self.b.ins().iadd_imm_s(place, CHARACTER_BYTES);
        let has_room = self.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, top, max);
        self.go_on_if(has_room, elsewhere);
        let content = self.content(object);
        let at = self.b.ins().iadd(content, index);
        let byte = self.b.ins().load(I8, MEMORY, at, 0);
        let byte = self.b.ins().uextend(I64, byte);
        let head = header(ObjectKind::Text, 0, 3) as i64;
        let head = self.b.ins().iconst(I64, head);
        let lengths = self.b.ins().iconst(I64, join(1, 1) as i64);
        self.make(place, top, &[head, lengths, byte], 1);
        self.b.ins().jump(done, &[place.into()]);
        self.by_handler(dst, elsewhere, done);
        self.set_bits(dst.0, Type::Object(Kind::String), character);
    }

    fn string_eq(&mut self, dst: Def, a: Use, b: Use) {
        let Some((length, word, other)) = self.scope.evidence.tiny_text(a, b, &self.now) else {
            unreachable!("one operand is a short constant");
        };
        let [elsewhere, done] = self.two_ways();
        let result = self.b.append_block_param(done, I64);
        let object = self.string(other, elsewhere);
        let kind = self.b.ins().load(I8, MEMORY, object, 0);
        let is_short = self
            .b
            .ins()
            .icmp_imm_s(IntCC::Equal, kind, ObjectKind::Text as i64);
        self.go_on_if(is_short, elsewhere);
        let found = self.b.ins().load(I32, MEMORY, object, BYTES);
        let right = self
            .b
            .ins()
            .icmp_imm_s(IntCC::Equal, found, i64::from(length));
        // A short text has a word of content; what is behind its end is 0.
        let no = self.b.ins().iconst(I64, 0);
        let long_enough = self.b.create_block();
        self.b
            .ins()
            .brif(right, long_enough, &NONE, done, &[no.into()]);
        self.switch_to_sealed(long_enough);
        let content = self.b.ins().load(I64, MEMORY, object, CONTENT);
        let wanted = self.b.ins().iconst(I64, word as i64);
        let same = self.b.ins().icmp(IntCC::Equal, content, wanted);
        let same = self.b.ins().uextend(I64, same);
        self.b.ins().jump(done, &[same.into()]);
        self.by_handler(dst, elsewhere, done);
        self.set_bits(dst.0, Type::Bool, result);
    }

    fn two_ways(&mut self) -> [ir::Block; 2] {
        let ways = [self.b.create_block(), self.b.create_block()];
        self.b.set_cold_block(ways[0]);
        ways
    }

    /// Where a string of the arena is; goes elsewhere with any other value.
    fn string(&mut self, register: u16, elsewhere: ir::Block) -> ir::Value {
        let (tag, bits) = self.value(register);
        if self.now[usize::from(register)] != Type::Object(Kind::String) {
            let is_string = self
                .b
                .ins()
                .icmp_imm_s(IntCC::Equal, tag, Kind::String as i64);
            self.go_on_if(is_string, elsewhere);
        }
        let words = self.load_state(offset_of!(NativeState<'_>, words));
        self.b.ins().iadd(words, bits)
    }

    /// The address of a text's bytes.
    fn content(&mut self, object: ir::Value) -> ir::Value {
        let (long, found) = (self.b.create_block(), self.b.create_block());
        let content = self.b.append_block_param(found, I64);
        let kind = self.b.ins().load(I8, MEMORY, object, 0);
        let is_long = self
            .b
            .ins()
            .icmp_imm_s(IntCC::Equal, kind, ObjectKind::LongText as i64);
        let inside = self.b.ins().iadd_imm_s(object, i64::from(CONTENT));
        self.b
            .ins()
            .brif(is_long, long, &NONE, found, &[inside.into()]);
        self.switch_to_sealed(long);
        let buffer = self.b.ins().load(I64, MEMORY, object, CONTENT);
        let data = self.buffer_data(buffer);
        self.b.ins().jump(found, &[data.into()]);
        self.switch_to_sealed(found);
        content
    }

    /// Elsewhere, the handler does it; goes on with the bits of what it has written.
    fn by_handler(&mut self, dst: Def, elsewhere: ir::Block, done: ir::Block) {
        self.switch_to_sealed(elsewhere);
        self.do_aside();
        let bits = self.bits(dst.0);
        self.b.ins().jump(done, &[bits.into()]);
        self.switch_to_sealed(done);
    }
}
