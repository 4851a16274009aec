//! Which code there is for which request, and which goes when there is too much.

use std::collections::HashMap;
use std::sync::Arc;

use pw_isa::CodeSignature;

use super::function::CompiledFunction;
use crate::compile::{Compiler, Request};

/// What decides which code a request gives: two requests with one key give the same code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct CodeKey(pub(crate) [u8; 32]);

impl CodeKey {
    /// The program's signature names all functions that the code can hold or assume something about.
    pub(super) fn of(compiler: &Compiler, request: &Request) -> CodeKey {
        let mut out = compiler.identity().into_bytes();
        out.extend_from_slice(&request.program.signature().0);
        out.extend_from_slice(&request.number.to_le_bytes());
        out.extend_from_slice(&request.function.to_le_bytes());
        out.extend_from_slice(&request.feedback.digest());
        CodeKey(blake3::derive_key("physics-world native code 1", &out))
    }
}

/// The code that workers may take into use.
#[derive(Debug, Default)]
pub(super) struct CodeCache {
    functions: HashMap<CodeKey, Arc<CompiledFunction>>,
    /// Bytes of memory that they take.
    bytes: u64,
}

impl CodeCache {
    pub(super) fn get(&self, key: &CodeKey) -> Option<Arc<CompiledFunction>> {
        self.functions.get(key).cloned()
    }

    /// All functions, in no order.
    pub(super) fn all(&self) -> Vec<(CodeSignature, Arc<CompiledFunction>)> {
        let functions = self.functions.values();
        functions
            .map(|function| (function.signature(), Arc::clone(function)))
            .collect()
    }

    /// Adds a function, and takes out the coldest others until all fit; those that went.
    pub(super) fn insert(
        &mut self,
        key: CodeKey,
        function: Arc<CompiledFunction>,
        bytes_max: u64,
    ) -> Vec<Arc<CompiledFunction>> {
        let mut gone = Vec::new();
        while self.bytes + function.mapped() > bytes_max {
            // Equally cold ones go in an order of their own, not in that of the table.
            let coldest = self
                .functions
                .iter()
                .min_by_key(|(key, function)| (function.last_seen(), key.0));
            let Some(key) = coldest.map(|(key, _)| *key) else {
                break;
            };
            gone.extend(self.remove(&key));
        }
        self.bytes += function.mapped();
        self.functions.insert(key, function);
        gone
    }

    /// Takes a function out that a worker has replaced, unless another worker uses it.
    pub(super) fn discard(&mut self, function: &Arc<CompiledFunction>) {
        // One of the cache, one of the caller.
        if Arc::strong_count(function) > 2 {
            return;
        }
        let key = self
            .functions
            .iter()
            .find(|(_, held)| Arc::ptr_eq(held, function));
        if let Some(key) = key.map(|(key, _)| *key) {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &CodeKey) -> Option<Arc<CompiledFunction>> {
        let function = self.functions.remove(key)?;
        self.bytes -= function.mapped();
        Some(function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CodeSpace;
    use crate::code::Meter;
    use crate::compile::CompiledCode;
    use crate::compile::feedback::Feedback;

    /// Functions of a page each, last seen at these times.
    fn functions(meter: &Meter, times: &[u64]) -> Vec<Arc<CompiledFunction>> {
        let source = ".entry @main\nfunc main()\n    int r0 1\n    return r0\n";
        let program = pw_isa::text::parse(source).expect("assembly text");
        let mut space = CodeSpace::default();
        let number = space.load(pw_isa::verify::verify(program).expect("a program"));
        let request = Request {
            program: space.shared(number),
            number,
            function: 0,
            feedback: Feedback::default(),
        };
        let made = times.iter().map(|time| {
            let code = CompiledCode::default();
            let function = CompiledFunction::new(&request, code, meter, *time);
            Arc::new(function.expect("memory"))
        });
        made.collect()
    }

    fn key(number: u8) -> CodeKey {
        CodeKey([number; 32])
    }

    #[test]
    fn the_coldest_make_room_and_their_memory_goes_with_the_last_holder() {
        let meter = Meter::default();
        let page = crate::code::mapped_bytes(1);
        let mut cache = CodeCache::default();
        for (number, function) in (0..).zip(functions(&meter, &[5, 3, 9])) {
            assert!(cache.insert(key(number), function, 3 * page).is_empty());
        }
        // What was the coldest has run since.
        cache.get(&key(1)).expect("it is there").see(7);
        let mut more = functions(&meter, &[8, 8]);
        let gone = cache.insert(key(3), more.remove(0), 3 * page);
        assert_eq!(gone.len(), 1);
        assert_eq!(gone[0].last_seen(), 5);
        assert!(cache.get(&key(0)).is_none());
        let held = cache.get(&key(1)).expect("it is there");
        let gone_too = cache.insert(key(4), more.remove(0), page);
        assert_eq!(gone_too.len(), 3, "a smaller budget takes more away");
        assert_eq!(meter.bytes(), 5 * page, "the evicted are held here");
        drop((gone, gone_too));
        assert_eq!(meter.bytes(), 2 * page, "one is in use still");
        drop(held);
        assert_eq!(meter.bytes(), page);
    }

    #[test]
    fn what_another_worker_uses_is_not_discarded() {
        let meter = Meter::default();
        let mut cache = CodeCache::default();
        let function = functions(&meter, &[1]).remove(0);
        cache.insert(key(0), Arc::clone(&function), u64::MAX);
        let other = cache.get(&key(0)).expect("it is there");
        cache.discard(&function);
        assert!(cache.get(&key(0)).is_some());
        drop(other);
        cache.discard(&function);
        assert!(cache.get(&key(0)).is_none());
    }
}
