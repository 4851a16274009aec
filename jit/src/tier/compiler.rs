//! The compiler that workers share: requests go in, functions in executable memory come out.
//!
//! What a worker asks for is looked up among the code there is and compiled if it is not there, either
//! at once or by a thread that hands the result back through the worker's [`Inbox`]. Functions are held
//! by the cache and by the workers that use them; one that is evicted leaves the cache at once, each
//! worker lets go of it where it looks next, and with the last its memory is given back.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use pw_isa::CodeSignature;

use super::cache::{CodeCache, CodeKey};
use super::event::{JitEvent, Watch};
use super::function::CompiledFunction;
use super::settings::{CompilationBudget, JitSettings, OptimizationLevel};
use crate::code::store::{CodeStore, StoreError};
use crate::code::{CodeMemory, Meter, mapped_bytes};
use crate::code_space::CodeSpace;
use crate::compile::{CompileError, CompiledCode, Compiler, Explanation, Request};
use crate::interp::profile::Profile;

/// Requests that wait at most; what comes then is asked for again when it is still hot.
const QUEUE_MAX: usize = 1024;

/// What the compiler did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompilerStatistics {
    /// Compilations that gave code.
    pub compiled: u64,
    /// Requests that gave none.
    pub failed: u64,
    /// Those of them for which the compiler itself is to blame.
    pub faults: u64,
    /// Requests that another had answered already.
    pub reused: u64,
    /// Functions whose code was found in the directory of kept code.
    pub loaded: u64,
    /// Functions whose code had to make room.
    pub evicted: u64,
    /// Bytes of memory for native code now, whole pages.
    pub code_bytes: u64,
    /// Time spent compiling.
    pub compile_time: Duration,
}

/// Compiles functions that are hot, and keeps their code. Workers share one by an `Arc`. Its thread,
/// where it has one, ends when the compiler is dropped.
pub struct JitCompiler {
    shared: Arc<Shared>,
}

/// What the compiler and its thread have in common.
struct Shared {
    settings: JitSettings,
    compiler: Mutex<Compiler>,
    ways: OnceLock<Ways>,
    cache: Mutex<CodeCache>,
    store: Option<CodeStore>,
    meter: Meter,
    /// Counts functions; workers note by it when they last saw one running.
    clock: AtomicU64,
    evictions: AtomicU64,
    statistics: Mutex<CompilerStatistics>,
    queue: Mutex<Queue>,
    wake: Condvar,
    watch: Option<Box<dyn Watch>>,
}

/// Code that all functions need.
pub(super) struct Ways {
    /// The way in from the engine.
    pub(super) entrance: CodeMemory,
    /// What stands in the code table for a function without native code.
    pub(super) interpreted: CodeMemory,
    /// How the engine is called on paths that are seldom taken.
    pub(super) sparing: [CodeMemory; 2],
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    has_thread: bool,
    closed: bool,
}

struct Job {
    request: Request,
    inbox: Arc<Inbox>,
}

impl Queue {
    /// The request for the smallest function, the first of equals: large ones are waited for anyway.
    fn take_smallest(&mut self) -> Option<Job> {
        let jobs = self.jobs.iter().enumerate();
        let smallest = jobs.min_by_key(|(_, job)| job.request.instructions());
        let place = smallest.map(|(place, _)| place)?;
        self.jobs.remove(place)
    }
}

/// Where results come back to a worker.
#[derive(Default)]
pub(super) struct Inbox {
    is_filled: AtomicBool,
    results: Mutex<Vec<Finished>>,
}

/// The answer to a request.
pub(super) struct Finished {
    pub(super) program: u32,
    pub(super) function: u32,
    pub(super) result: Result<Arc<CompiledFunction>, CompileError>,
}

impl Inbox {
    fn put(&self, finished: Finished) {
        lock(&self.results).push(finished);
        self.is_filled.store(true, Ordering::Release);
    }

    /// Whether something has come.
    pub(super) fn is_filled(&self) -> &AtomicBool {
        &self.is_filled
    }

    /// Whether something has come since the last time.
    #[inline]
    pub(super) fn has_news(&self) -> bool {
        self.is_filled.load(Ordering::Acquire)
    }

    /// What has come since the last time.
    pub(super) fn take(&self) -> Vec<Finished> {
        if !self.has_news() {
            return Vec::new();
        }
        self.is_filled.store(false, Ordering::Relaxed);
        std::mem::take(&mut *lock(&self.results))
    }
}

/// Nothing that is locked here is left half done by a panic: compilations are caught inside.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl JitCompiler {
    /// A compiler without any code yet.
    pub fn new(settings: JitSettings) -> Result<JitCompiler, CompileError> {
        let shared = Shared {
            settings,
            compiler: Mutex::new(Compiler::new(
                settings.optimization_level,
                settings.optimizations,
                settings.forced_exits.is_some(),
            )?),
            ways: OnceLock::new(),
            cache: Mutex::default(),
            store: None,
            meter: Meter::default(),
            clock: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
            statistics: Mutex::default(),
            queue: Mutex::default(),
            wake: Condvar::new(),
            watch: None,
        };
        Ok(JitCompiler {
            shared: Arc::new(shared),
        })
    }

    /// The same, and it tells what happens.
    #[must_use]
    pub fn watched_by(mut self, watch: Box<dyn Watch>) -> JitCompiler {
        self.unshared().watch = Some(watch);
        self
    }

    /// The same, and it keeps code in a directory, for itself and for processes that come later. Whoever
    /// can write there can make programs run any machine code.
    pub fn keeping_code_in(mut self, directory: &Path) -> Result<JitCompiler, StoreError> {
        self.unshared().store = Some(CodeStore::open(directory)?);
        Ok(self)
    }

    fn unshared(&mut self) -> &mut Shared {
        Arc::get_mut(&mut self.shared).expect("its thread begins with the first request")
    }

    /// When and how it compiles.
    pub fn settings(&self) -> &JitSettings {
        &self.shared.settings
    }

    /// How hard it tries.
    pub fn optimization_level(&self) -> OptimizationLevel {
        self.shared.settings.optimization_level
    }

    /// What it may cost.
    pub fn compilation_budget(&self) -> CompilationBudget {
        self.shared.settings.budget
    }

    /// The functions that it has made and still keeps, with the signatures of their code. One function can
    /// be there several times, made from what was seen at different times.
    pub fn compilation_cache(&self) -> Vec<(CodeSignature, Arc<CompiledFunction>)> {
        let mut all = lock(&self.shared.cache).all();
        all.sort_by_key(|(signature, function)| (signature.0, function.function()));
        all
    }

    /// What it did so far.
    pub fn statistics(&self) -> CompilerStatistics {
        CompilerStatistics {
            code_bytes: self.shared.meter.bytes(),
            ..*lock(&self.shared.statistics)
        }
    }

    /// Compiles a function of a program at once, from what a profile has observed, or finds code that was
    /// made from the same before.
    ///
    /// # Panics
    /// When the space has no such program, or the program no such function.
    pub fn compile_hot_code(
        &self,
        code: &CodeSpace,
        profile: &Profile,
        program: u32,
        function: u32,
    ) -> Result<Arc<CompiledFunction>, CompileError> {
        self.compile(&super::request::request_by(
            code,
            profile,
            self.settings().threshold,
            (program, function),
        ))
    }

    /// Compiles a function of a program as a worker would now, and tells all about it. The code is not
    /// taken into use.
    ///
    /// # Panics
    /// When the space has no such program, or the program no such function.
    pub fn explain(
        &self,
        code: &CodeSpace,
        profile: &Profile,
        program: u32,
        function: u32,
    ) -> Result<Explanation, CompileError> {
        let request = super::request::request_by(
            code,
            profile,
            self.settings().threshold,
            (program, function),
        );
        let mut compiler = lock(&self.shared.compiler);
        guarded(&mut compiler, |compiler| compiler.explain(&request))
    }

    /// Answers a request at once.
    pub(super) fn compile(&self, request: &Request) -> Result<Arc<CompiledFunction>, CompileError> {
        self.shared.answer(request)
    }

    /// Hands a request to the thread; false when too many wait.
    pub(super) fn submit(
        &self,
        request: Request,
        inbox: &Arc<Inbox>,
    ) -> Result<bool, CompileError> {
        let mut queue = lock(&self.shared.queue);
        if queue.jobs.len() >= QUEUE_MAX {
            return Ok(false);
        }
        if !queue.has_thread {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("pw-compiler".to_owned());
            if let Err(error) = thread.spawn(move || shared.work()) {
                return Err(self.shared.failed(&request, CompileError::Thread(error)));
            }
            queue.has_thread = true;
        }
        queue.jobs.push_back(Job {
            request,
            inbox: Arc::clone(inbox),
        });
        self.shared.wake.notify_one();
        Ok(true)
    }

    /// What every function needs; there once any was compiled.
    pub(super) fn ways(&self) -> Option<&Ways> {
        self.shared.ways.get()
    }

    /// How many functions were evicted so far.
    pub(super) fn evictions(&self) -> u64 {
        self.shared.evictions.load(Ordering::Acquire)
    }

    /// The time by which functions are cold or hot.
    pub(super) fn clock(&self) -> u64 {
        self.shared.clock.load(Ordering::Relaxed)
    }

    /// Lets go of code that a worker has replaced, unless another worker uses it.
    pub(super) fn discard(&self, function: &Arc<CompiledFunction>) {
        lock(&self.shared.cache).discard(function);
    }

    pub(super) fn tell(&self, event: &JitEvent<'_>) {
        self.shared.tell(event);
    }
}

impl Drop for JitCompiler {
    fn drop(&mut self) {
        let mut queue = lock(&self.shared.queue);
        queue.closed = true;
        queue.jobs.clear();
        self.shared.wake.notify_one();
    }
}

impl std::fmt::Debug for JitCompiler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JitCompiler")
            .field("settings", self.settings())
            .field("statistics", &self.statistics())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// What the thread does.
    fn work(&self) {
        while let Some(Job { request, inbox }) = self.next_job() {
            // The worker is gone, or runs another code space now.
            if Arc::strong_count(&inbox) == 1 {
                continue;
            }
            inbox.put(Finished {
                program: request.number,
                function: request.function,
                result: self.answer(&request),
            });
        }
    }

    fn next_job(&self) -> Option<Job> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.take_smallest() {
                return Some(job);
            }
            queue = self
                .wake
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Finds or makes the code of a function.
    fn answer(&self, request: &Request) -> Result<Arc<CompiledFunction>, CompileError> {
        self.find_or_make(request)
            .map_err(|error| self.failed(request, error))
    }

    /// Counts and tells that there is no code for a request.
    fn failed(&self, request: &Request, error: CompileError) -> CompileError {
        let mut statistics = lock(&self.statistics);
        statistics.failed += 1;
        statistics.faults += u64::from(error.is_fault());
        drop(statistics);
        self.tell(&JitEvent::Failed {
            function: &request.program.program().function_name(request.function),
            error: &error,
        });
        error
    }

    fn find_or_make(&self, request: &Request) -> Result<Arc<CompiledFunction>, CompileError> {
        // While it is held, nobody else looks for the same code and makes it once more.
        let mut compiler = lock(&self.compiler);
        let key = CodeKey::of(&compiler, request);
        if let Some(function) = lock(&self.cache).get(&key) {
            lock(&self.statistics).reused += 1;
            return Ok(function);
        }
        guarded(&mut compiler, |compiler| self.make_ways(compiler))?;
        if let Some(code) = self.kept(&key) {
            let function = self.install(key, request, code)?;
            lock(&self.statistics).loaded += 1;
            self.tell(&JitEvent::Loaded {
                function: &function,
            });
            return Ok(function);
        }
        if lock(&self.statistics).compile_time >= self.settings.budget.time {
            return Err(CompileError::OverBudget);
        }
        let began = Instant::now();
        let made = guarded(&mut compiler, |compiler| compiler.compile(request));
        let time = began.elapsed();
        lock(&self.statistics).compile_time += time;
        let code = made?;
        self.keep(&key, &code);
        let function = self.install(key, request, code)?;
        lock(&self.statistics).compiled += 1;
        self.tell(&JitEvent::Compiled {
            function: &function,
            time,
        });
        Ok(function)
    }

    /// The code of a request in the directory of kept code.
    fn kept(&self, key: &CodeKey) -> Option<CompiledCode> {
        match self.store.as_ref()?.read(&key.0) {
            Ok(code) => code,
            Err(error) => {
                self.tell(&JitEvent::NotKept { error: &error });
                None
            }
        }
    }

    /// Keeps code for later processes.
    fn keep(&self, key: &CodeKey, code: &CompiledCode) {
        let kept = self.store.as_ref().map(|store| store.write(&key.0, code));
        if let Some(Err(error)) = kept {
            self.tell(&JitEvent::NotKept { error: &error });
        }
    }

    /// Makes the code that all functions need, unless it is there.
    fn make_ways(&self, compiler: &mut Compiler) -> Result<(), CompileError> {
        if self.ways.get().is_none() {
            let [few, many] = compiler.sparing()?;
            let sparing = [
                CodeMemory::new(&few, &self.meter)?,
                CodeMemory::new(&many, &self.meter)?,
            ];
            let ways = Ways {
                sparing,
                entrance: CodeMemory::new(&compiler.entrance()?, &self.meter)?,
                interpreted: CodeMemory::new(&compiler.interpreted()?, &self.meter)?,
            };
            self.ways.get_or_init(|| ways);
        }
        Ok(())
    }

    /// Puts code into memory, and makes room for it.
    fn install(
        &self,
        key: CodeKey,
        request: &Request,
        code: CompiledCode,
    ) -> Result<Arc<CompiledFunction>, CompileError> {
        let bytes_max = self.settings.budget.code_bytes;
        if mapped_bytes(code.bytes.len()) > bytes_max {
            return Err(CompileError::OverBudget);
        }
        let now = self.clock.fetch_add(1, Ordering::Relaxed) + 1;
        let function = Arc::new(CompiledFunction::new(request, code, &self.meter, now)?);
        let gone = lock(&self.cache).insert(key, Arc::clone(&function), bytes_max);
        for function in &gone {
            function.evict();
            self.tell(&JitEvent::Evicted { function });
        }
        lock(&self.statistics).evicted += gone.len() as u64;
        self.evictions
            .fetch_add(gone.len() as u64, Ordering::Release);
        Ok(function)
    }

    fn tell(&self, event: &JitEvent<'_>) {
        if let Some(watch) = &self.watch {
            watch.event(event);
        }
    }
}

/// Compiles, and makes an error of a panic.
fn guarded<T>(
    compiler: &mut Compiler,
    work: impl FnOnce(&mut Compiler) -> Result<T, CompileError>,
) -> Result<T, CompileError> {
    // What the panic leaves in the compiler is thrown away.
    catch_unwind(AssertUnwindSafe(|| work(compiler))).unwrap_or_else(|panic| {
        compiler.start_over();
        Err(CompileError::Panicked(message(&*panic)))
    })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::feedback::Feedback;

    #[test]
    fn a_compiler_that_panics_fails_and_goes_on() {
        let source = ".entry @main\nfunc main()\n    int r0 1\n    return r0\n";
        let program = pw_isa::text::parse(source).expect("assembly text");
        let mut code = CodeSpace::default();
        let number = code.load(pw_isa::verify::verify(program).expect("a program"));
        let compiler = JitCompiler::new(JitSettings::eager()).expect("native code");
        // The first function that the program does not have.
        let missing = || Request {
            program: code.shared(number),
            number,
            function: 1,
            feedback: Feedback::default(),
        };
        let error = compiler
            .shared
            .find_or_make(&missing())
            .expect_err("a panic");
        assert!(matches!(error, CompileError::Panicked(_)), "{error}");
        let inbox = Arc::new(Inbox::default());
        assert!(compiler.submit(missing(), &inbox).expect("a thread"));
        let found = (0..6_000).find_map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            inbox.take().pop()
        });
        let finished = found.expect("an answer within a minute");
        assert!(matches!(finished.result, Err(CompileError::Panicked(_))));
        assert_eq!(compiler.statistics().faults, 1);
        let compiled = compiler.compile_hot_code(&code, &Profile::default(), number, 0);
        assert!(compiled.is_ok(), "it goes on: {compiled:?}");
    }
}
