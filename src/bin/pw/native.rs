//! The native tier as subcommands run it: what is told about it, and what it did.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use physics_world::jit::optimize::{PerformanceOptimizer, PerformanceSettings};
use physics_world::jit::tier::{JitEvent, JitSettings, JitStatistics, PerfFile, PerfForm, Watch};
use physics_world::source::BadInput;
use serde_json::{Value as Json, json};

/// What is told about native code while it is made.
#[derive(Args, Clone, Default)]
pub(crate) struct NativeOptions {
    /// Say on stderr what is compiled, compiled again and evicted, one line each.
    #[arg(long)]
    jit_log: bool,
    /// Tell `perf` about compiled functions: names (`map`, /tmp/perf-PID.map), or code too (`jitdump`,
    /// jit-PID.dump in the current directory, for `perf record -k mono` and `perf inject --jit`).
    #[arg(long, value_enum, value_name = "FORM")]
    perf: Option<Perf>,
    /// Keep native code in a directory, and take it from there in later runs. It must be this user's
    /// alone (mode 0700): whoever can write there can make programs run any machine code.
    #[arg(long, value_name = "DIR")]
    code_cache: Option<PathBuf>,
}

/// How `perf` is told.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Perf {
    /// Names of addresses.
    Map,
    /// The code, too.
    Jitdump,
}

/// Tells what happens in the native tier.
struct Watcher {
    log: bool,
    perf: Option<PerfFile>,
}

impl Watch for Watcher {
    fn event(&self, event: &JitEvent<'_>) {
        if let JitEvent::NotKept { error } = event {
            complain(&format!("code cache: {error}"));
        } else if self.log {
            complain(&format!("jit: {event}"));
        }
        let (JitEvent::Compiled { function, .. } | JitEvent::Loaded { function }) = event else {
            return;
        };
        if let Some(file) = &self.perf
            && let Err(error) = file.add(function)
        {
            complain(&format!("{}: {error}", file.path().display()));
        }
    }
}

/// Says something on stderr. It is said on the compiler's thread too, which goes on where nobody listens.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

impl NativeOptions {
    /// Whether any was given.
    pub(crate) fn is_given(&self) -> bool {
        self.jit_log || self.perf.is_some() || self.code_cache.is_some()
    }

    /// What makes a program fast, by these settings.
    pub(crate) fn optimizer(
        &self,
        settings: PerformanceSettings,
    ) -> Result<PerformanceOptimizer, BadInput> {
        let settings = PerformanceSettings {
            jit: settings.jit.map(|jit| JitSettings {
                native_stack: crate::NATIVE_STACK,
                ..jit
            }),
            ..settings
        };
        let form = self.perf.map(|perf| match perf {
            Perf::Map => PerfForm::Map,
            Perf::Jitdump => PerfForm::Dump,
        });
        let perf = form.map(PerfFile::new).transpose();
        let perf =
            perf.map_err(|error| BadInput::new(format!("--perf: no file can be made: {error}")))?;
        let watcher = Watcher {
            log: self.jit_log,
            perf,
        };
        let optimizer = PerformanceOptimizer::new(settings).map_err(|error| {
            BadInput::new(format!("{error}; --tier interp runs programs without it"))
        })?;
        let mut optimizer = optimizer.watched_by(Box::new(watcher));
        if let Some(directory) = &self.code_cache {
            let kept = optimizer.keeping_code_in(directory);
            optimizer = kept.map_err(|error| BadInput::new(format!("--code-cache: {error}")))?;
        }
        Ok(optimizer)
    }
}

/// What the native tier did in a run that took `time`, for people.
pub(crate) fn statistics_text(statistics: &JitStatistics, time: Duration) -> String {
    let compiler = &statistics.compiler;
    let native = statistics.native_time;
    let mut out = format!(
        "interpreter  {:.3} ms\nnative       {:.3} ms, {} entries\n",
        milliseconds(time.saturating_sub(native)),
        milliseconds(native),
        statistics.entries,
    );
    let _ = writeln!(
        out,
        "compiled     {} functions in {:.3} ms, {} bytes of memory; {} loaded, {} failed, {} evicted",
        compiler.compiled,
        milliseconds(compiler.compile_time),
        compiler.code_bytes,
        compiler.loaded,
        compiler.failed,
        compiler.evicted
    );
    let exits = statistics.exits.iter();
    let exits: Vec<String> = exits
        .map(|(reason, count)| format!("{} {count}", reason.name()))
        .collect();
    if !exits.is_empty() {
        let _ = writeln!(out, "exits        {}", exits.join(", "));
    }
    out
}

/// The same, for programs.
pub(crate) fn statistics_json(statistics: &JitStatistics, time: Duration) -> Json {
    let compiler = &statistics.compiler;
    let exits = statistics.exits.iter();
    let exits: serde_json::Map<String, Json> = exits
        .map(|(reason, count)| (reason.name().to_owned(), json!(count)))
        .collect();
    json!({
        "compiled": compiler.compiled,
        "loaded": compiler.loaded,
        "failed": compiler.failed,
        "evicted": compiler.evicted,
        "code_bytes": compiler.code_bytes,
        "compile_ms": milliseconds(compiler.compile_time),
        "entries": statistics.entries,
        "native_gas": statistics.gas,
        "exits": exits,
        "native_ms": milliseconds(statistics.native_time),
        "interpreter_ms": milliseconds(time.saturating_sub(statistics.native_time)),
    })
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
