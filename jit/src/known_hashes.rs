//! Hashes of many keys that may share parts.
//!
//! A state that is read may have maps whose keys share pairs, or are texts that all begin in one buffer: together they may be much longer than
//! the bytes that say so. So parts that were walked are remembered, and of a buffer how far it was hashed, now and then: a
//! text that ends behind such a place is hashed from there on.

use std::collections::HashMap;
use std::hash::Hasher;

use pw_isa::Kind;
use siphasher::sip::SipHasher13;

use crate::fiber::arena::KeyHasher;
use crate::value::Value;

/// Bytes of a text between two places where its hasher is remembered.
const STRIDE: usize = 1024;

/// Hashes of what was walked.
#[derive(Debug, Default)]
pub(crate) struct KnownHashes {
    /// Of objects, by tag and bits.
    objects: HashMap<(u64, u64), u64>,
    /// Of the beginnings of buffers, as texts of a kind: after one stride, two, and so on.
    beginnings: HashMap<(Kind, u64), Vec<SipHasher13>>,
}

impl KnownHashes {
    /// The hash of an object, if it is known.
    pub(crate) fn get(&self, value: Value) -> Option<u64> {
        self.objects.get(&(value.tag, value.bits)).copied()
    }

    /// The hash of an object.
    pub(crate) fn insert(&mut self, value: Value, hash: u64) {
        self.objects.insert((value.tag, value.bits), hash);
    }

    /// The hash of a text that is the beginning of a buffer.
    pub(crate) fn beginning(
        &mut self,
        keys: KeyHasher,
        (kind, buffer): (Kind, u64),
        text: &[u8],
    ) -> u64 {
        if text.len() <= STRIDE {
            return keys.text(kind, text);
        }
        let known = self.beginnings.entry((kind, buffer)).or_default();
        let places = text.len() / STRIDE;
        for place in known.len()..places {
            let mut hasher = match place.checked_sub(1) {
                Some(before) => known[before],
                None => keys.of_long_text(kind),
            };
            hasher.write(&text[place * STRIDE..][..STRIDE]);
            known.push(hasher);
        }
        let mut hasher = known[places - 1];
        hasher.write(&text[places * STRIDE..]);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_have_the_hashes_of_their_texts_in_whatever_order() {
        let keys = KeyHasher { key: [3, 5] };
        let buffer: Vec<u8> = (0..20_000_u32).map(|number| (number * 7) as u8).collect();
        let mut known = KnownHashes::default();
        let lengths = [5_000, 20_000, 1, 1024, 1025, 2048, 2047, 19_999, 5_001, 0];
        for (length, kind) in lengths
            .iter()
            .flat_map(|length| [(*length, Kind::String), (*length, Kind::Symbol)])
        {
            let text = &buffer[..length];
            assert_eq!(
                known.beginning(keys, (kind, 8), text),
                keys.text(kind, text),
                "{length}"
            );
        }
    }
}
