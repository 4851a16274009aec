//! Large texts in parcels: shared by reference count instead of written and read again.

use std::sync::Arc;

use pw_isa::wire::Writer;

/// What is in the buffer of a large text, whose bytes would stand in the canonical form as a blob.
#[derive(Clone, Debug)]
pub(crate) struct SharedText {
    /// Where the blob would stand, among the bytes that were written instead.
    pub(super) at: usize,
    /// The words of the buffer, with room for its capacity.
    pub(super) words: Arc<Vec<u64>>,
    /// How many bytes of it are text.
    pub(super) used: u32,
}

impl SharedText {
    pub(super) fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.used as usize]
    }

    /// Bytes that the blob would take.
    pub(crate) fn written_bytes(&self) -> u64 {
        Writer::blob_bytes(u64::from(self.used))
    }
}

impl PartialEq for SharedText {
    /// What is behind the text means nothing.
    fn eq(&self, other: &SharedText) -> bool {
        self.at == other.at && self.bytes() == other.bytes()
    }
}

impl Eq for SharedText {}

/// Writes the canonical form of which the large texts were kept apart.
pub(crate) fn write_whole(bytes: &[u8], texts: &[SharedText], out: &mut Writer) {
    let mut from = 0;
    for text in texts {
        out.bytes.extend_from_slice(&bytes[from..text.at]);
        out.blob(text.bytes());
        from = text.at;
    }
    out.bytes.extend_from_slice(&bytes[from..]);
}

#[cfg(test)]
mod tests {
    use pw_isa::Kind;
    use pw_isa::wire::{Reader, Writer};

    use crate::code_space::CodeSpace;
    use crate::fiber::arena::{Arena, Piece, Source};
    use crate::fiber::graph::{Encoder, ProgramTable};
    use crate::fiber::parcel::Parcel;
    use crate::heap::Heap;
    use crate::value::Value;

    fn large(letter: &str) -> String {
        letter.repeat(5_000)
    }

    /// A list of two large texts, one of them twice, and a small one.
    fn list(arena: &mut Arena) -> Value {
        let (a, b) = (large("a"), large("ü"));
        let a = arena.new_text(Kind::String, &a);
        let b = arena.new_text(Kind::String, &b);
        let small = arena.new_text(Kind::String, "small");
        let end = arena.new_pair(a, Value::NIL);
        let end = arena.new_pair(small, end);
        let end = arena.new_pair(b, end);
        arena.new_pair(a, end)
    }

    fn append(arena: &mut Arena, text: Value, added: &str) -> Value {
        let own = arena.text_buffer(text.bits);
        let length = arena.text_bytes(text.bits).len() as u32;
        let plan = Arena::plan_append(length, added.len() as u32, own).expect("it is short enough");
        let left = Piece {
            source: Source::Own(text.bits),
            ..Piece::of(arena.text(text.bits))
        };
        arena.append(plan, &left, &Piece::of(added))
    }

    #[test]
    fn a_parcel_with_large_texts_is_written_as_if_they_stood_in_it() {
        let code = CodeSpace::default();
        let mut arena = Arena::new();
        let value = list(&mut arena);
        let heap = Heap {
            arena: &arena,
            code: &code,
        };
        let parcel = Parcel::pack(heap, value);
        let mut plain = Encoder::new(heap, ProgramTable::default());
        let (mut root, mut whole) = (Writer::default(), Writer::default());
        plain.value(&mut root, value);
        assert!(plain.objects(&mut whole));
        whole.bytes.extend_from_slice(&root.bytes);
        assert_eq!(parcel.size_bytes(), whole.bytes.len() as u64);
        let (mut written, mut expected) = (Writer::default(), Writer::default());
        parcel.write(&code, &mut written);
        expected.varint(0);
        expected.blob(&whole.bytes);
        assert!(written.bytes == expected.bytes);
        let read = Parcel::read(&code, &mut Reader::new(&written.bytes)).expect("it was written");
        assert!(read == parcel, "whoever has made it");
        assert!(Parcel::pack_within(heap, value, parcel.size_bytes()).is_some());
        let too_few = parcel.size_bytes() - large("a").len() as u64;
        assert!(Parcel::pack_within(heap, value, too_few).is_none());
    }

    #[test]
    fn a_large_text_is_shared_until_one_of_its_holders_goes_on_with_it() {
        let code = CodeSpace::default();
        let (mut sender, mut receiver) = (Arena::new(), Arena::new());
        let text = sender.new_text(Kind::String, &large("a"));
        let text = append(&mut sender, text, "b");
        let heap = Heap {
            arena: &sender,
            code: &code,
        };
        let parcel = Parcel::pack(heap, text);
        let allocated = receiver.counters().allocated;
        let heard = parcel.unpack(&code, &mut receiver);
        assert_eq!(
            receiver.counters().allocated - allocated,
            parcel.logical_bytes(),
            "each holder is charged in full"
        );
        let place = |arena: &Arena, text: Value| arena.text_bytes(text.bits).as_ptr();
        assert_eq!(place(&sender, text), place(&receiver, heard));
        let theirs = append(&mut receiver, heard, "c");
        let ours = append(&mut sender, text, "d");
        assert!(receiver.text(theirs.bits).ends_with("abc"));
        assert!(sender.text(ours.bits).ends_with("abd"));
        let mut third = Arena::new();
        let again = parcel.unpack(&code, &mut third);
        assert!(third.text(again.bits).ends_with("ab"));
        assert_eq!(third.text(again.bits).len(), 5_001);
    }
}
