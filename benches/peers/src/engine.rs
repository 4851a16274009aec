//! Engines: what a kernel can run in, and the commands for it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::kernel::Kernel;
use crate::measure::{Clock, Job, ROUNDS};
use crate::wasm::{Machine, TIME};

/// Something that runs kernels.
pub(crate) struct Engine {
    /// What the command line calls it.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) about: &'static str,
    how: How,
}

/// How an engine runs a kernel.
enum How {
    /// `pw run`, with this tier.
    Pw { tier: &'static str },
    /// An installed program, with these options, on the first of these files that the kernel has.
    Installed {
        program: &'static str,
        options: &'static [&'static str],
        files: &'static [&'static str],
    },
    /// A WebAssembly engine in a copy of this program.
    Wasm(Machine),
    /// Machine code, made by the C compiler.
    Native,
}

const LUA: &[&str] = &["kernel.lua"];

/// LuaJIT has neither integers nor their operators, so some kernels say it differently there.
const LUAJIT: &[&str] = &["kernel.luajit.lua", "kernel.lua"];

/// All engines, in the order of the table.
pub(crate) const ENGINES: [Engine; 11] = [
    Engine {
        name: "pw-interp",
        about: "Physics World, the fast interpreter; gas is always counted",
        how: How::Pw { tier: "interp" },
    },
    Engine {
        name: "pw-auto",
        about: "Physics World, native code for what is hot; gas is always counted",
        how: How::Pw { tier: "auto" },
    },
    Engine {
        name: "lua5.4",
        about: "PUC Lua 5.4",
        how: How::Installed {
            program: "lua5.4",
            options: &[],
            files: LUA,
        },
    },
    Engine {
        name: "luajit-off",
        about: "LuaJIT's interpreter (-joff)",
        how: How::Installed {
            program: "luajit",
            options: &["-joff"],
            files: LUAJIT,
        },
    },
    Engine {
        name: "luajit",
        about: "LuaJIT with its compiler",
        how: How::Installed {
            program: "luajit",
            options: &[],
            files: LUAJIT,
        },
    },
    Engine {
        name: "wasmi",
        about: "wasmi, an interpreter of WebAssembly",
        how: How::Wasm(Machine::Wasmi),
    },
    Engine {
        name: "wasmi-fuel",
        about: "wasmi, counting fuel",
        how: How::Wasm(Machine::WasmiFuel),
    },
    Engine {
        name: "pulley",
        about: "Wasmtime's interpreter Pulley, after its optimising compiler",
        how: How::Wasm(Machine::Pulley),
    },
    Engine {
        name: "pulley-fuel",
        about: "Pulley, counting fuel",
        how: How::Wasm(Machine::PulleyFuel),
    },
    Engine {
        name: "wasmtime",
        about: "Wasmtime's native code, counting fuel and checking epochs",
        how: How::Wasm(Machine::WasmtimeFuelEpoch),
    },
    Engine {
        name: "c",
        about: "native code, cc -O2",
        how: How::Native,
    },
];

/// What running engines takes: the engines that are there, built programs, a place for more.
pub(crate) struct Workshop {
    /// The engines that can run.
    pub(crate) engines: Vec<&'static Engine>,
    pw: Option<PathBuf>,
    folder: TempDir,
    warm: bool,
}

impl Workshop {
    /// Looks which engines are there, says which are not, and builds `pw` if it is needed.
    pub(crate) fn open(chosen: &[&'static Engine], pw: Option<&Path>, warm: bool) -> Result<Self> {
        let mut engines = Vec::new();
        let mut built = None;
        for &engine in chosen {
            match engine.how {
                How::Pw { .. } if built.is_none() => {
                    built = Some(match pw {
                        Some(path) => path.to_owned(),
                        None => build_pw()?,
                    });
                }
                How::Installed { program, .. } if !is_installed(program) => {
                    eprintln!(
                        "peers: skipping {}: {program} is not installed",
                        engine.name
                    );
                    continue;
                }
                How::Native if !is_installed("cc") => {
                    eprintln!("peers: skipping {}: cc is not installed", engine.name);
                    continue;
                }
                _ => {}
            }
            engines.push(engine);
        }
        Ok(Self {
            engines,
            pw: built,
            folder: TempDir::with_prefix("peers-").context("making a folder for programs")?,
            warm,
        })
    }

    /// What runs the kernel in the engine, if the kernel exists for it.
    pub(crate) fn job(&self, engine: &Engine, kernel: &Kernel) -> Result<Option<Job>> {
        let files: &[&str] = match engine.how {
            How::Pw { .. } => &["kernel.jue"],
            How::Installed { files, .. } => files,
            How::Wasm(_) => &["kernel.wat"],
            How::Native => &["kernel.c"],
        };
        let Some(source) = kernel.source(files) else {
            return Ok(None);
        };
        let mut job = match engine.how {
            How::Pw { tier } if self.warm => {
                let pw = self.pw.as_deref().context("pw was not built")?;
                let clock = Clock::Bench {
                    without_native: tier == "interp",
                };
                let runs = ROUNDS.to_string();
                let arguments = ["bench", "--json", "--without", "jit", "--runs", &runs];
                Job::new(pw, &arguments, clock)
            }
            How::Pw { tier } => {
                let pw = self.pw.as_deref().context("pw was not built")?;
                Job::new(pw, &["run", "--tier", tier], Clock::Outside)
            }
            How::Installed {
                program, options, ..
            } if self.warm => {
                let mut job = Job::new(program, options, Clock::Inside);
                job.command.arg(self.warm_lua()?);
                job
            }
            How::Installed {
                program, options, ..
            } => Job::new(program, options, Clock::Outside),
            How::Wasm(machine) => {
                let myself = std::env::current_exe().context("looking for myself")?;
                let warm: &[&str] = if self.warm { &["--warm"] } else { &[] };
                let name = machine.name();
                let arguments = [&["run-wasm", name.as_str()], warm].concat();
                Job::new(myself, &arguments, Clock::Inside)
            }
            How::Native => {
                let program = self.compile(&source, &kernel.name)?;
                return Ok(Some(Job::new(program, &[], Clock::Outside)));
            }
        };
        job.command.arg(source);
        Ok(Some(job))
    }

    /// A program that runs another one until it is warm, and then takes its time.
    fn warm_lua(&self) -> Result<PathBuf> {
        let path = self.folder.path().join("warm.lua");
        let rounds = format!("for _ = 1, {ROUNDS} do kernel() end");
        let program = format!(
            "local kernel = assert(loadfile(arg[1]))\n{rounds}\nlocal began = os.clock()\n{rounds}\n\
             io.stderr:write(string.format('{TIME}%.6f\\n', (os.clock() - began) / {ROUNDS}))\n"
        );
        std::fs::write(&path, program).context("writing a program that warms others up")?;
        Ok(path)
    }

    fn compile(&self, source: &Path, name: &str) -> Result<PathBuf> {
        let program = self.folder.path().join(name);
        let output = Command::new("cc")
            // Without contraction, Floats have the same bits everywhere.
            .args([
                "-O2",
                "-std=gnu11",
                "-Wall",
                "-Wextra",
                "-ffp-contract=off",
                "-o",
            ])
            .arg(&program)
            .arg(source)
            .arg("-lm")
            .output()
            .context("starting cc")?;
        if !output.status.success() {
            bail!("cc: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(program)
    }
}

fn is_installed(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else {
        return false;
    };
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Builds `pw` as a user would, and returns where cargo put it.
fn build_pw() -> Result<PathBuf> {
    let output = Command::new("cargo")
        .args([
            "build",
            "--release",
            "--bin",
            "pw",
            "--message-format=json-render-diagnostics",
        ])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .stderr(Stdio::inherit())
        .output()
        .context("starting cargo to build pw")?;
    if !output.status.success() {
        bail!("pw does not build");
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "pw")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo does not say where it put pw")
}
