//! Real processes, killed with SIGKILL at random instants: nothing that was acknowledged is lost, and nothing is applied twice.
//!
//! A process runs a world that keeps its history; its first actor adds numbers up. A client asks it to add 1, 2, 3 and so on, one at a
//! time, in one session. Whenever the process is killed, another recovers the world, and the client says again what was not
//! answered. Each answer must be the sum of all numbers up to it.
//!
//! `PW_KILLS=1000 cargo test --release --test crashes` kills so many processes at each level.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Adds up, prints each sum, and answers with it; the loop makes turns long enough to be killed in.
const PROGRAM: &str = "
(define (spin n) (if (> n 0) (spin (- n 1)) nil))
(define (adder sum)
  (let ((message (receive)))
    (let ((now (+ sum (string->number message))))
      (spin 2000)
      (print (string-append \"sum \" (number->string now)))
      (reply now)
      (adder now))))
(define (main) (adder 0))
";

/// Processes that are killed when nobody says otherwise.
const KILLS: u32 = 12;

/// How a recovery ends when too many processes have ended in one tick.
const REFUSED: i32 = 3;

fn kills() -> u32 {
    let given = std::env::var("PW_KILLS").ok();
    given.map_or(KILLS, |text| text.parse().expect("a number of processes"))
}

/// A process with its pipes.
struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(arguments: &[&str]) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pw"))
            .args(arguments)
            .args(["--checkpoint-ticks", "5", "--feed"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Process {
            child,
            input,
            output: BufReader::new(output),
        }
    }
}

/// The next line; nothing when the process is gone.
fn line(output: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    match output.read_line(&mut line) {
        Ok(read) if read > 0 && line.ends_with('\n') => Some(line.trim_end().to_owned()),
        _ => None,
    }
}

/// Numbers that depend on nothing but the seed (xorshift).
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// What the client knows.
#[derive(Default)]
struct Client {
    acknowledged: u64,
    printed: BTreeSet<u64>,
}

impl Client {
    /// Talks to a process a little, and lets it end: how it did.
    fn end(&mut self, mut process: Process) -> ExitStatus {
        self.talk(&mut process, Instant::now() + Duration::from_millis(300));
        drop(process.input);
        self.hear_all(&mut process.output);
        process.child.wait().unwrap()
    }

    /// Hears what a process that is gone, or goes, has said last: an answer does not wait for what was printed before it.
    fn hear_all(&mut self, output: &mut impl BufRead) {
        while let Some(line) = line(output) {
            if let Some(sum) = line.strip_prefix("sum ") {
                self.printed.insert(sum.parse().unwrap());
            }
        }
    }

    /// Talks to a process until it is gone or the time is up.
    fn talk(&mut self, process: &mut Process, until: Instant) {
        while Instant::now() < until {
            let number = self.acknowledged + 1;
            if writeln!(process.input, "{number} {number}").is_err() {
                return self.hear_all(&mut process.output);
            }
            loop {
                let Some(line) = line(&mut process.output) else {
                    return;
                };
                let (first, second) = line.split_once(' ').unwrap_or((&line, ""));
                match first {
                    "session" => {}
                    "sum" => {
                        self.printed.insert(second.parse().unwrap());
                    }
                    answered => {
                        assert_eq!(answered, number.to_string(), "{line}");
                        let sum = number * (number + 1) / 2;
                        assert_eq!(second, sum.to_string(), "the answer to {number}");
                        self.acknowledged = number;
                        break;
                    }
                }
            }
        }
    }
}

fn killed_again_and_again(directory: &Path, level: &[&str]) {
    let _ = std::fs::remove_dir_all(directory);
    std::fs::create_dir_all(directory).unwrap();
    let (history, program) = (directory.join("history"), directory.join("adder.jue"));
    std::fs::write(&program, PROGRAM).unwrap();
    let (history, program) = (history.to_str().unwrap(), program.to_str().unwrap());
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let mut client = Client::default();
    let mut process =
        Process::start(&[&["run", "--durable", history, program][..], level].concat());
    // The session is there before anything else can be.
    assert_eq!(line(&mut process.output).as_deref(), Some("session 1"));
    for _ in 0..kills() {
        let killer = std::thread::spawn({
            let id = process.child.id();
            let after = Duration::from_micros(next(&mut seed) % 60_000);
            move || {
                std::thread::sleep(after);
                let killed = Command::new("kill").args(["-9", &id.to_string()]).status();
                assert!(killed.unwrap().success());
            }
        });
        client.talk(&mut process, Instant::now() + Duration::from_secs(60));
        killer.join().unwrap();
        let end = process.child.wait().unwrap();
        let recover = ["recover", history, "--session", "1"];
        // Nobody can tell a defect from three kills in one tick: that has to be said.
        let again = if end.code() == Some(REFUSED) {
            &["--again"][..]
        } else {
            &[]
        };
        process = Process::start(&[&recover[..], again, level].concat());
    }
    let mut end = client.end(process);
    if end.code() == Some(REFUSED) {
        let again = ["recover", history, "--session", "1", "--again"];
        end = client.end(Process::start(&[&again[..], level].concat()));
    }
    assert!(end.success(), "{end}");
    let sums = (1..=client.acknowledged).map(|number| number * (number + 1) / 2);
    let missing: Vec<u64> = sums.filter(|sum| !client.printed.contains(sum)).collect();
    assert!(
        client.acknowledged > u64::from(kills()),
        "{} answers",
        client.acknowledged
    );
    assert_eq!(
        missing,
        Vec::<u64>::new(),
        "each sum was printed at least once"
    );
}

#[test]
fn nothing_is_lost_or_applied_twice_when_processes_are_killed() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crashes-async");
    killed_again_and_again(&directory, &[]);
}

#[test]
fn nothing_is_lost_or_applied_twice_when_processes_are_killed_and_everything_is_synced() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crashes-sync");
    killed_again_and_again(&directory, &["--sync"]);
}
