//! What only the whole graph shows: that immutable objects do not contain themselves, and that the keys
//! of maps are keys. Work is proportional to the input, however much the objects share.

use std::collections::HashMap;

use pw_isa::Kind;
use pw_isa::wire::Decoded;

use super::decode::{Decoder, Made};
use crate::fiber::arena::object::ObjectKind;
use crate::heap::{Heap, KeyHash};
use crate::known_hashes::KnownHashes;
use crate::value::Value;

fn is_immutable(kind: ObjectKind) -> bool {
    matches!(
        kind,
        ObjectKind::Pair | ObjectKind::Error | ObjectKind::Capability
    )
}

impl Decoder<'_> {
    /// Pairs, errors and capabilities are immutable, so nothing made by a program refers to itself
    /// through them alone; walks over lists rely on that.
    pub(super) fn refuse_cyclic_pairs(&self) -> Decoded<()> {
        const NEW: u8 = 0;
        const OPEN: u8 = 1;
        const DONE: u8 = 2;
        if !self.may_be_cyclic {
            return Ok(());
        }
        let by_place: HashMap<u64, usize> = self
            .made
            .iter()
            .enumerate()
            .filter(|(_, made)| is_immutable(made.kind))
            .map(|(number, made)| (made.place, number))
            .collect();
        let mut states = vec![NEW; self.made.len()];
        for start in 0..self.made.len() {
            let mut path = vec![start];
            while let Some(number) = path.last().copied() {
                if states[number] == OPEN {
                    states[number] = DONE;
                    path.pop();
                    continue;
                }
                if states[number] == DONE {
                    path.pop();
                    continue;
                }
                states[number] = OPEN;
                for part in self
                    .immutable_parts(self.made[number])
                    .into_iter()
                    .flatten()
                {
                    let Some(part) = by_place
                        .get(&part.bits)
                        .copied()
                        .filter(|_| part.is_in_arena())
                    else {
                        continue;
                    };
                    match states[part] {
                        OPEN => {
                            let at = self.made[number].fields;
                            return Err(Self::error_at(
                                at,
                                "an immutable object that contains itself",
                            ));
                        }
                        NEW => path.push(part),
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }

    fn immutable_parts(&self, made: Made) -> [Option<Value>; 2] {
        let (first, second) = match made.kind {
            ObjectKind::Pair => self.arena.pair(made.place),
            ObjectKind::Error => {
                let (_, message, values) = self.arena.error(made.place);
                (message, values)
            }
            ObjectKind::Capability => self.arena.capability(made.place),
            _ => return [None, None],
        };
        [Some(first), Some(second)]
    }

    /// Checks the keys of all maps and makes their indexes.
    pub(super) fn index_maps(&mut self) -> Decoded<()> {
        if !self.has_maps {
            return Ok(());
        }
        let mut known = KnownHashes::default();
        for number in 0..self.made.len() {
            let made = self.made[number];
            if made.kind == ObjectKind::Map {
                let hashes = self.check_keys(made, &mut known)?;
                self.arena.restore_index(made.place, &hashes);
            }
        }
        Ok(())
    }

    /// The hashes of the keys of a map's entries, no two of which are the same key.
    fn check_keys(&self, made: Made, known: &mut KnownHashes) -> Decoded<Vec<u64>> {
        let heap = Heap {
            arena: self.arena,
            code: self.code,
        };
        let mut hashes = Vec::new();
        let mut by_hash: HashMap<u64, Vec<Value>> = HashMap::new();
        for entry in 0..self.arena.map_used(made.place) {
            let Some((key, _)) = self.arena.map_entry(made.place, entry) else {
                // Any hash will do, but not one that all deleted entries share.
                hashes.push(self.code.keys.number(Kind::Nil as u64, entry.into()));
                continue;
            };
            let KeyHash::Hash(hash, _) = heap.key_hash_knowing(key, known) else {
                return Err(Self::error_at(made.fields, "a map with a mutable key"));
            };
            let equals = by_hash.entry(hash).or_default();
            if equals.iter().any(|other| heap.same_key(key, *other)) {
                return Err(Self::error_at(made.fields, "a map that has a key twice"));
            }
            equals.push(key);
            hashes.push(hash);
        }
        Ok(hashes)
    }
}
