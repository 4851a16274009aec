//! What makes programs fast and small, behind one door: the compiler, what is kept of calls, what becomes of
//! memory that nobody uses, and how many threads there are.
//!
//! [`PerformanceSettings`] say all of it; nothing here is set anywhere else, and nothing of it can be noticed
//! by a program. Whoever runs fibers makes one [`PerformanceOptimizer`] and asks it for a
//! [`Profile`](crate::interp::profile::Profile) for each thread.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | settings, and who gets what |
//! | `memory` | trimming, compaction, hibernation of fibers |

mod memory;

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::interp::profile::Profile;
use crate::memo::MemoSettings;
use crate::tier::{CompileError, JitCompiler, JitSettings, StoreError, Watch};
pub use memory::{
    Due, Hibernated, HibernationError, MemoryActivity, MemoryOptimizationSystem, MemorySettings,
};

/// All settings that are about speed and memory. As JSON, what is left out is as by default.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PerformanceSettings {
    /// When and how functions are compiled; `null` for the interpreter alone.
    pub jit: Option<JitSettings>,
    /// How much is kept of what calls of pure functions returned; `null` for nothing.
    pub memo: Option<MemoSettings>,
    /// What becomes of memory that nobody uses.
    pub memory: MemorySettings,
    /// Threads that run fibers; 0 for as many as the machine runs at once.
    pub threads: usize,
}

impl Default for PerformanceSettings {
    /// Native code for what is hot; calls are run every time.
    fn default() -> PerformanceSettings {
        PerformanceSettings {
            jit: Some(JitSettings::default()),
            memo: None,
            memory: MemorySettings::default(),
            threads: 0,
        }
    }
}

/// The front of all that makes programs fast and small.
#[derive(Debug)]
pub struct PerformanceOptimizer {
    settings: PerformanceSettings,
    compiler: Option<Arc<JitCompiler>>,
    memory: MemoryOptimizationSystem,
}

impl PerformanceOptimizer {
    /// An optimizer of these settings.
    ///
    /// # Errors
    /// When they want native code and this machine has none.
    pub fn new(settings: PerformanceSettings) -> Result<PerformanceOptimizer, CompileError> {
        let compiler = settings.jit.map(JitCompiler::new).transpose()?;
        Ok(PerformanceOptimizer {
            settings,
            compiler: compiler.map(Arc::new),
            memory: MemoryOptimizationSystem::new(settings.memory),
        })
    }

    /// The same, and its compiler tells what happens.
    #[must_use]
    pub fn watched_by(mut self, watch: Box<dyn Watch>) -> PerformanceOptimizer {
        self.compiler = self
            .compiler
            .map(|compiler| Arc::new(alone(compiler).watched_by(watch)));
        self
    }

    /// The same, and its compiler keeps code in a directory, for processes that come later. Whoever can
    /// write there can make programs run any machine code.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn keeping_code_in(mut self, directory: &Path) -> Result<PerformanceOptimizer, StoreError> {
        if let Some(compiler) = self.compiler.take() {
            self.compiler = Some(Arc::new(alone(compiler).keeping_code_in(directory)?));
        }
        Ok(self)
    }

    /// The settings.
    pub fn settings(&self) -> &PerformanceSettings {
        &self.settings
    }

    /// What a thread that runs fibers learns with: it shares the compiler with the others, and remembers
    /// calls on its own.
    pub fn worker(&self) -> Profile {
        let profile = match &self.compiler {
            Some(compiler) => Profile::with_compiler(Arc::clone(compiler)),
            None => Profile::default(),
        };
        match self.settings.memo {
            Some(memo) => profile.memoising(memo),
            None => profile,
        }
    }

    /// The compiler, with the code that it has made.
    pub fn jit(&self) -> Option<&Arc<JitCompiler>> {
        self.compiler.as_ref()
    }

    /// What trims, compacts and hibernates fibers.
    pub fn memory_optimizer(&mut self) -> &mut MemoryOptimizationSystem {
        &mut self.memory
    }

    /// How many threads run fibers.
    pub fn threads(&self) -> usize {
        match self.settings.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}

/// The compiler that no worker has yet.
fn alone(compiler: Arc<JitCompiler>) -> JitCompiler {
    Arc::try_unwrap(compiler).expect("it is made before workers are")
}
