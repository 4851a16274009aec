//! Objects made by embedders: the checks that instructions get from the verifier happen here.

use pw_isa::ErrorKind;

use super::Arena;
use crate::code_space::CodeSpace;
use crate::heap::{Heap, KeyHash};
use crate::value::Value;

impl Arena {
    /// A new Vector of these values.
    pub fn new_vector_of(&mut self, values: &[Value]) -> Value {
        let elements = Arena::common_elements(values.iter().copied());
        self.vector_of(elements, values)
    }

    /// New Bytes with these contents.
    pub fn new_bytes_of(&mut self, contents: &[u8]) -> Value {
        let bytes = self.new_bytes(contents.len() as u32, 0);
        self.write_bytes(bytes.bits, 0, contents);
        bytes
    }

    /// A new Map of these keys and values, in this order. A key that comes again replaces its value, and one that
    /// no map can have, a mutable value, is left out.
    pub fn new_map_of(&mut self, code: &CodeSpace, entries: &[(Value, Value)]) -> Value {
        let map = self.new_map();
        for (key, value) in entries {
            let heap = Heap { arena: self, code };
            let KeyHash::Hash(hash, _) = heap.key_hash(*key, u64::MAX) else {
                continue;
            };
            let known = self.map_find(map.bits, hash, |other| heap.same_key(*key, other));
            if let Some(entry) = known {
                self.map_replace(map.bits, entry, *value);
            } else if let Some(place) = self.plan_map_insert(map.bits) {
                self.map_insert(map.bits, place, (*key, *value), Some(hash), |arena, key| {
                    Heap { arena, code }.hash_of_key(key)
                });
            }
        }
        map
    }

    /// A new Error without values.
    pub fn new_error_of(&mut self, kind: ErrorKind, message: &str) -> Value {
        let message = self.new_text(pw_isa::Kind::String, message);
        self.new_error(kind, message, Value::NIL)
    }

    /// A new Capability.
    pub fn new_named_capability(&mut self, name: &str, parameter: Value) -> Value {
        let name = self.new_text(pw_isa::Kind::Symbol, name);
        self.new_capability(name, parameter)
    }

    /// A new function value; `None` when there is no such function or it does not capture as many
    /// values.
    pub fn new_function(
        &mut self,
        code: &CodeSpace,
        program: u32,
        function: u32,
        captured: &[Value],
    ) -> Option<Value> {
        if program >= code.len() {
            return None;
        }
        let functions = &code.program(program).program().functions;
        let captures = functions.get(function as usize)?.captures;
        (usize::from(captures) == captured.len())
            .then(|| self.new_closure(program, function, captured.iter().copied()))
    }
}
