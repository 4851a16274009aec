//! Upgrades: actors go on in new code in the middle of what they do, alike in every mode, or it is said why not.

#[path = "support/worlds.rs"]
mod worlds;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use physics_world::jit::fiber::upgrade::{DeclaredFunction, DeclaredMap, Initial, UpgradeError};
use physics_world::jit::optimize::PerformanceSettings;
use physics_world::jit::tier::JitSettings;
use physics_world::runtime::disk::MemoryDisk;
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::journal::Durability;
use physics_world::runtime::world::{HistorySettings, ProgramId, WorldBuilder};
use physics_world::{ActorId, Datum, World, WorldSettings};
use worlds::load;

/// A loop that never returns, several calls deep, that calls a function with captured values and changes a global.
const OLD_SPIN: &str = "
(define total 0)
(defn note [x] (set! total (+ total x)) x)
(defn spin [n f] (note (f n)) (spin (+ n 1) f))
(defn outer [k f] (let ((never (spin k f))) (list never k)))
(defn main [] (let ((rate 3)) (list (outer 5 (lambda (x) (* x rate))))))
";

/// Every function of it is another one: the loop prints, the global has a neighbour, the function captures in another order.
const NEW_SPIN: &str = "
(define before 7)
(define total 0)
(defn note [x] (set! total (+ total (* 2 x))) x)
(defn spin [n f]
  (print (list n total limit))
  (let ((twice (f n))) (note twice))
  (spin (+ n 1) f))
(define limit 5)
(defn set-limit [x] (set! limit x))
(defn outer [k f] (let ((never (spin k f))) (list 'new never k)))
(defn main [] (let ((rate 3)) (list (outer 5 (lambda (x) (+ 1 (* x rate)))))))
";

/// A server whose state and whose mailbox hold functions, and that is started again when it fails.
const OLD_SERVER: &str = "
(defn adder [k] (lambda (x) (+ x k)))
(defn server [state]
  (let ((message (receive)))
    (let ((next ((car message) (car state))))
      (print (list 'old next ((cdr state) next)))
      (server (cons next (cdr state))))))
(defn fresh [] (server (cons 1000 (adder 1))))
(defn main []
  (let ((child (supervise fresh :restart 'on-failure)))
    (send! child (list (adder 10)))
    (send! child (list (adder 20)))
    (yield)
    (yield)
    (yield)
    (send! child (list (adder 30)))
    (send! child 'crash)
    (send! child (list (adder 40)))
    (receive)))
";

const NEW_SERVER: &str = "
(defn unrelated [k] (lambda (x) (- x k)))
(defn adder [k] (lambda (x) (+ (* 2 x) k)))
(defn server [state]
  (let ((message (receive)))
    (let ((next ((car message) (car state))))
      (print (list 'new next ((cdr state) next)))
      (server (cons next (cdr state))))))
(defn fresh [] (server (cons 2000 (adder 2))))
(defn main []
  (let ((child (supervise fresh :restart 'on-failure)))
    (send! child (list (adder 10)))
    (send! child (list (adder 20)))
    (yield)
    (yield)
    (yield)
    (send! child (list (adder 30)))
    (send! child 'crash)
    (send! child (list (adder 40)))
    (receive)))
";

/// A way to run a world.
#[derive(Clone, Copy)]
struct Mode {
    name: &'static str,
    jit: Option<fn() -> JitSettings>,
    threads: usize,
    reference: bool,
    /// Ticks after which it is made anew from its images, or recovered from its history; never for 0.
    images: u64,
    crashes: u64,
}

const INTERPRETER: Mode = Mode {
    name: "interpreter",
    jit: None,
    threads: 1,
    reference: false,
    images: 0,
    crashes: 0,
};

const MODES: [Mode; 8] = [
    INTERPRETER,
    Mode {
        name: "reference",
        reference: true,
        ..INTERPRETER
    },
    Mode {
        name: "interpreter, 4 threads",
        threads: 4,
        ..INTERPRETER
    },
    Mode {
        name: "interpreter, images",
        images: 1,
        ..INTERPRETER
    },
    Mode {
        name: "native",
        jit: Some(JitSettings::eager),
        ..INTERPRETER
    },
    Mode {
        name: "native, 2 threads, images",
        jit: Some(JitSettings::eager),
        threads: 2,
        images: 3,
        ..INTERPRETER
    },
    Mode {
        name: "interpreter, recovered",
        crashes: 7,
        ..INTERPRETER
    },
    Mode {
        name: "native, 2 threads, recovered",
        jit: Some(JitSettings::eager),
        threads: 2,
        crashes: 11,
        ..INTERPRETER
    },
];

/// Usual turns, and such that everything is cut in the middle.
fn settings() -> [WorldSettings; 2] {
    let usual = WorldSettings {
        alone_gas: 0,
        quantum: 2_000,
        tick_gas: 4_000,
        ..WorldSettings::default()
    };
    let cut = WorldSettings {
        quantum: 97,
        quantum_min: 13,
        tick_gas: 1_009,
        lease_first: 1,
        ..usual
    };
    [usual, cut]
}

type Printed = Arc<Mutex<BTreeMap<u64, String>>>;

/// A world in a mode, with all that it prints.
struct Run {
    mode: Mode,
    settings: WorldSettings,
    printed: Printed,
    disk: MemoryDisk,
    world: World,
}

impl Run {
    fn new(mode: Mode, settings: WorldSettings) -> Run {
        let (printed, disk) = (Printed::default(), MemoryDisk::default());
        let world = begin(mode, settings, &printed, &disk);
        Run {
            mode,
            settings,
            printed,
            disk,
            world,
        }
    }

    /// Runs so many ticks, with what the mode does between them.
    fn ticks(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.world.run_ticks(1);
            let now = self.world.ticks();
            if self.mode.images > 0 && now.is_multiple_of(self.mode.images) {
                self.world.renew_from_images().unwrap();
            }
            if self.mode.crashes > 0 && now.is_multiple_of(self.mode.crashes) {
                self.world.flush().unwrap();
                self.disk = self.disk.copy();
                self.world = begin(self.mode, self.settings, &self.printed, &self.disk);
                assert_eq!(self.world.ticks(), now);
            }
        }
    }

    fn lines(&mut self) -> Vec<String> {
        self.world.flush().unwrap();
        self.printed.lock().unwrap().values().cloned().collect()
    }
}

fn begin(mode: Mode, settings: WorldSettings, printed: &Printed, disk: &MemoryDisk) -> World {
    let printed = Arc::clone(printed);
    let print = HostFunction::output("print", move |call| {
        let before = printed.lock().unwrap().insert(call.number(), call.text());
        assert!(before.is_none_or(|before| before == call.text()));
    });
    let builder: WorldBuilder = World::builder()
        .settings(settings)
        .trajectory()
        .performance(PerformanceSettings {
            jit: mode.jit.map(|settings| settings()),
            threads: mode.threads,
            ..PerformanceSettings::default()
        })
        .host(print.needing("io-console"));
    let builder = if mode.reference {
        builder.reference()
    } else {
        builder
    };
    if mode.crashes == 0 {
        return builder.build().unwrap();
    }
    let history = HistorySettings {
        durability: Durability::Memory,
        checkpoint_ticks: 5,
        checkpoints_kept: 2,
        increments: 2,
        horizon_ticks: 3,
        capture_bytes: 300,
        segment_bytes: 2_000,
        ..HistorySettings::default()
    };
    builder.keep(Arc::new(disk.clone()), history).unwrap().0
}

/// Runs something in every mode and with all settings; what it shows is the same in every mode. What it showed, by settings.
fn in_every_mode<T: PartialEq + std::fmt::Debug>(show: impl Fn(&mut Run) -> T) -> Vec<T> {
    let of_settings = settings().into_iter().map(|settings| {
        let mut first = None;
        for mode in MODES {
            let mut run = Run::new(mode, settings);
            let shown = (show(&mut run), run.lines(), run.world.trajectory());
            match &first {
                None => first = Some(shown),
                Some(first) => assert_eq!(*first, shown, "{}", mode.name),
            }
        }
        first.unwrap().0
    });
    of_settings.collect()
}

fn limit() -> DeclaredMap {
    DeclaredMap {
        globals: vec![("limit".to_owned(), Initial::Int(5))],
        ..DeclaredMap::default()
    }
}

/// The numbers of a printed list.
fn numbers(line: &str) -> Vec<i64> {
    let inner = line.trim_matches(['(', ')']);
    let words = inner.split(' ').map(|word| word.parse().unwrap());
    words.collect()
}

#[test]
fn a_loop_that_never_returns_goes_on_in_new_code() {
    in_every_mode(|run| {
        let old = load(&mut run.world, OLD_SPIN);
        let actor = run.world.spawn(old, &[]).unwrap();
        run.ticks(20);
        let new = load(&mut run.world, NEW_SPIN);
        run.world.upgrade(old, new, &limit()).unwrap();
        run.ticks(40);
        assert_eq!(run.world.pending_upgrades(), []);
        let lines = run.lines();
        assert!(lines.len() > 2, "{lines:?}");
        // Not a round is lost, and none is done by both.
        let (mut n, mut total) = (numbers(&lines[0])[0], numbers(&lines[0])[1]);
        assert!(n > 20);
        assert_eq!(total, (5..n).map(|n| 3 * n).sum::<i64>());
        for line in &lines {
            assert_eq!(numbers(line), [n, total, 5]);
            total += 2 * (3 * n + 1);
            n += 1;
        }
        let stack = run.world.stack(actor).unwrap();
        let outer = &stack.frames[stack.frames.len() - 2];
        assert_eq!(outer.place.function, "outer");
        assert_eq!(outer.variables, [("k".to_owned(), "5".to_owned())]);
        lines
    });
}

#[test]
fn functions_in_data_and_in_mailboxes_are_new_ones() {
    let shown = in_every_mode(|run| {
        let old = load(&mut run.world, OLD_SERVER);
        run.world.spawn(old, &[]).unwrap();
        // The server has two messages that it has not seen, and begins; the rest comes later.
        while run.world.statistics().delivered < 2 {
            run.ticks(1);
        }
        let new = load(&mut run.world, NEW_SERVER);
        let report = run
            .world
            .upgrade(old, new, &DeclaredMap::default())
            .unwrap();
        run.ticks(80);
        assert_eq!(run.world.pending_upgrades(), []);
        assert!(report.upgraded + report.pending.len() as u64 == 2);
        run.lines()
    });
    // The server had begun as an old one, with 1000 and a function that adds 1; it begins anew as a new one.
    assert_eq!(
        shown[0],
        [
            "(new 2010 4021)",
            "(new 4040 8081)",
            "(new 8110 16221)",
            "(new 4040 8082)"
        ]
    );
}

#[test]
fn an_upgrade_is_rolled_back_by_the_way_back() {
    in_every_mode(|run| {
        let old = load(&mut run.world, OLD_SPIN);
        let actor = run.world.spawn(old, &[]).unwrap();
        run.ticks(10);
        let new = load(&mut run.world, NEW_SPIN);
        run.world.upgrade(old, new, &limit()).unwrap();
        run.ticks(30);
        assert_eq!(run.world.pending_upgrades(), []);
        run.world
            .upgrade(new, old, &DeclaredMap::default())
            .unwrap();
        run.ticks(80);
        assert_eq!(run.world.pending_upgrades(), []);
        let lines = run.lines();
        run.ticks(20);
        assert_eq!(lines, run.lines(), "the old code prints nothing");
        // The loop has gone on, and goes on.
        let at = |world: &World| {
            let stack = world.stack(actor).unwrap();
            let spin = stack.frames.iter().find(|f| f.place.function == "spin");
            let n = &spin.unwrap().variables;
            n.iter().find(|(name, _)| name == "n").unwrap().1.clone()
        };
        let before: i64 = at(&run.world).parse().unwrap();
        assert!(before > numbers(lines.last().unwrap())[0]);
        run.ticks(10);
        assert!(at(&run.world).parse::<i64>().unwrap() > before);
    });
}

/// A world on one thread with one actor that has run so many ticks, and another program.
fn world_with(old: &str, new: &str, ticks: u64) -> (World, ActorId, ProgramId, ProgramId) {
    let mut run = Run::new(INTERPRETER, settings()[0]);
    let old = load(&mut run.world, old);
    let actor = run.world.spawn(old, &[]).unwrap();
    run.ticks(ticks);
    let new = load(&mut run.world, new);
    (run.world, actor, old, new)
}

/// Why the one actor of a world is pending.
fn reason(world: &World) -> String {
    let pending = world.pending_upgrades();
    assert_eq!(pending.len(), 1, "{pending:?}");
    pending[0].1.clone()
}

#[test]
fn a_variable_without_a_value_keeps_its_frame_in_old_code_until_one_is_declared() {
    let old = "(defn spin [n] (spin (+ n 1))) (defn main [] (spin 0))";
    let new = "(defn spin [n rounds] (print rounds) (yield) (spin (+ n 1) (+ rounds 1)))
               (defn main [] (spin 0 0))";
    let (mut world, actor, from, to) = world_with(old, new, 3);
    world.upgrade(from, to, &DeclaredMap::default()).unwrap();
    world.run_ticks(5);
    let text = reason(&world);
    assert!(text.contains("`spin` stands at"), "{text}");
    let stack = world.stack(actor).unwrap();
    assert!(stack.frames[0].variables.len() == 1, "{stack:?}");
    let declared = DeclaredMap {
        functions: vec![DeclaredFunction {
            from: "spin".to_owned(),
            to: "spin".to_owned(),
            fresh: vec![("rounds".to_owned(), Initial::Int(41))],
            ..DeclaredFunction::default()
        }],
        ..DeclaredMap::default()
    };
    world.upgrade(from, to, &declared).unwrap();
    world.run_ticks(3);
    assert_eq!(world.pending_upgrades(), []);
    let stack = world.stack(actor).unwrap();
    let rounds = stack.frames[0]
        .variables
        .iter()
        .find(|(name, _)| name == "rounds");
    assert!(rounds.unwrap().1.parse::<i64>().unwrap() >= 41);
}

#[test]
fn a_function_that_is_gone_is_waited_for() {
    let old = "(defn main [] (yield) (gone 10))
               (defn gone [n] (if (= n 0) (main) (begin (yield) (gone (- n 1)))))";
    let new = "(defn main [] (yield) (print 'new) (main))";
    let (mut world, _, from, to) = world_with(old, new, 2);
    let report = world.upgrade(from, to, &DeclaredMap::default()).unwrap();
    assert_eq!(report.upgraded, 0);
    assert!(
        report.pending[0].1.contains("stands for `gone`"),
        "{report:?}"
    );
    world.run_ticks(3);
    assert!(reason(&world).contains("stands for `gone`"));
    world.run_ticks(100);
    assert_eq!(world.pending_upgrades(), []);
}

#[test]
fn a_value_that_is_a_function_without_a_counterpart_keeps_its_actor_in_old_code() {
    let old = "(defn gone [x] x)
               (defn loop [f n] (yield) (loop (if (= n 0) nil f) (- n 1)))
               (defn main [] (loop gone 30))";
    let new = "(defn loop [f n] (yield) (print n) (loop (if (= n 0) nil f) (- n 1)))
               (defn main [] (loop nil 3))";
    let (mut world, _, from, to) = world_with(old, new, 2);
    world.upgrade(from, to, &DeclaredMap::default()).unwrap();
    world.run_ticks(4);
    let text = reason(&world);
    assert!(text.contains("a value is the function `gone`"), "{text}");
    world.run_ticks(200);
    assert_eq!(world.pending_upgrades(), []);
}

#[test]
fn functions_that_an_actor_in_old_code_sends_are_new_ones_where_they_arrive() {
    let old = "(defn made [x] (list 'old x))
               (defn listen [] (let ((f (receive))) (print (f 1)) (listen)))
               (defn gone [to n] (if (= n 0) (main) (begin (send! to made) (yield) (gone to (- n 1)))))
               (defn main [] (gone (spawn listen) 30))";
    let new = "(defn made [x] (list 'new x))
               (defn listen [] (let ((f (receive))) (print (f 1)) (listen)))
               (defn main [] (receive))";
    let shown = in_every_mode(|run| {
        let from = load(&mut run.world, old);
        run.world.spawn(from, &[]).unwrap();
        run.ticks(8);
        let to = load(&mut run.world, new);
        let upgraded = run.world.upgrade(from, to, &DeclaredMap::default());
        assert!(upgraded.unwrap().pending[0].1.contains("stands for `gone`"));
        let before = run.lines().len();
        run.ticks(12);
        (before, run.lines())
    });
    for (before, lines) in shown {
        assert!(before > 0 && lines.len() > before, "{lines:?}");
        assert!(lines[..before].iter().all(|line| line == "(old 1)"));
        assert!(lines[before..].iter().all(|line| line == "(new 1)"));
    }
}

#[test]
fn declared_points_are_verified() {
    let old = "(defn spin [n] (yield) (spin (+ n 1))) (defn main [] (spin 0))";
    let new = "(defn turn [m] (yield) (yield) (turn (+ m 2))) (defn main [] (turn 0))";
    let (mut world, actor, from, to) = world_with(old, new, 3);
    let declared = |points: Vec<(u32, u32)>, variables: &[(&str, &str)]| DeclaredMap {
        functions: vec![DeclaredFunction {
            from: "spin".to_owned(),
            to: "turn".to_owned(),
            variables: variables
                .iter()
                .map(|(old, new)| ((*old).to_owned(), (*new).to_owned()))
                .collect(),
            fresh: Vec::new(),
            points,
        }],
        ..DeclaredMap::default()
    };
    let before = world.to_checkpoint();
    let mut refused = |map: &DeclaredMap| world.upgrade(from, to, map).unwrap_err().to_string();
    // `loop` stands at 0, and the first `yield` at 1.
    let names: &[(&str, &str)] = &[("n", "m")];
    assert_eq!(
        refused(&declared(vec![(1, 0)], names)),
        "`spin` cannot go on from 1 at 0: `yield` is not `loop`"
    );
    assert_eq!(
        refused(&declared(vec![(1, 900)], names)),
        "`spin` cannot go on from 1 at 900: 900 is no safepoint"
    );
    assert_eq!(
        refused(&declared(vec![(1, 1)], &[])),
        "`spin` cannot go on from 1 at 1: the old code has no value of `m` at 1"
    );
    assert_eq!(
        refused(&declared(vec![], &[("n", "q")])),
        "there is no variable `q` in the new program"
    );
    assert_eq!(world.to_checkpoint(), before);
    let report = world.upgrade(from, to, &declared(vec![(1, 1)], names));
    assert_eq!(report.unwrap().upgraded, 1);
    assert_eq!(world.place_of(actor).unwrap().function, "turn");
}

#[test]
fn programs_that_do_not_correspond_are_refused() {
    let spin = "(defn spin [n] (spin n)) (defn main [] (spin 0))";
    let (mut world, _, from, to) = world_with(spin, "(defn main [] 1)", 1);
    let none = DeclaredMap::default();
    assert_eq!(world.upgrade(from, from, &none), Err(UpgradeError::Same));
    let unknown = DeclaredMap {
        functions: vec![DeclaredFunction {
            from: "spin".to_owned(),
            to: "turn".to_owned(),
            ..DeclaredFunction::default()
        }],
        ..DeclaredMap::default()
    };
    let error = world.upgrade(from, to, &unknown).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no function `turn` in the new program"
    );
    let error = world.upgrade(from, to, &limit()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no global `limit` in the new program"
    );
}

#[test]
fn whoever_begins_after_an_upgrade_begins_with_new_code() {
    let old = "(defn child [n] (print (list 'old n)))
               (defn parent [n] (spawn child n) (yield) (list (parent (+ n 1))))
               (defn main [] (parent 0))";
    let new = "(defn child [n] (print (list 'new n)))
               (defn parent [n] (spawn child n) (yield) (yield) (list (parent (+ n 1))))
               (defn main [] (parent 0))";
    let shown = in_every_mode(|run| {
        let from = load(&mut run.world, old);
        run.world.spawn(from, &[]).unwrap();
        run.ticks(6);
        let before = run.lines().len();
        let to = load(&mut run.world, new);
        run.world
            .upgrade(from, to, &DeclaredMap::default())
            .unwrap();
        // Also by the number of the old program.
        run.world
            .spawn_function(from, "child", &[Datum::Int(99)])
            .unwrap();
        run.ticks(20);
        (before, run.lines())
    });
    for (before, lines) in shown {
        assert!(before > 0 && lines.len() > before + 2, "{lines:?}");
        assert!(lines[..before].iter().all(|line| line.starts_with("(old")));
        assert!(lines.contains(&"(new 99)".to_owned()), "{lines:?}");
        // Children that had begun before the upgrade may have ended as old ones; nobody began as such.
        let old = lines.iter().filter(|line| line.starts_with("(old"));
        assert!(old.count() <= before + 1, "{lines:?}");
    }
}
