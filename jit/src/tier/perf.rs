//! Names of native code for `perf`, which knows only addresses.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::function::CompiledFunction;

/// A map of addresses to names, as `perf report` looks for it: `/tmp/perf-PID.map`.
#[derive(Debug)]
pub struct PerfMap {
    path: PathBuf,
    file: Mutex<File>,
}

impl PerfMap {
    /// The map of this process, empty yet.
    pub fn new() -> io::Result<PerfMap> {
        PerfMap::at(&std::env::temp_dir().join(format!("perf-{}.map", std::process::id())))
    }

    fn at(path: &Path) -> io::Result<PerfMap> {
        Ok(PerfMap {
            path: path.to_owned(),
            file: Mutex::new(File::create(path)?),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a function.
    pub fn add(&self, function: &CompiledFunction) -> io::Result<()> {
        let name: String = function.name().split_whitespace().collect();
        let line = format!(
            "{:x} {:x} pw:{name}\n",
            function.start() as usize,
            function.machine_code().len()
        );
        let mut file = self.file.lock().expect("writing does not panic");
        file.write_all(line.as_bytes())
    }
}
