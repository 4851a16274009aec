//! Which code there is for which request, and which goes when there is too much.

use std::collections::HashMap;
use std::sync::Arc;

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
