//! Any number of threads, any settings, either policy: the same program takes the same course.

mod support;

use std::path::Path;

use physics_world::isa::Program;
use physics_world::isa::verify::verify;
use physics_world::jit::optimize::PerformanceSettings;
use physics_world::jit::tier::JitSettings;
use physics_world::runtime::schedule::SchedulingPolicy;
use physics_world::runtime::world::TrajectoryHash;
use physics_world::{ActorId, Datum, World, WorldSettings};
use proptest::prelude::*;
use support::program_file;

/// Ticks of a run.
const TICKS: u64 = 300;

/// The program in which actors do anything, by a seed.
fn chaos() -> Program {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worlds");
    let found = program_file::find(&folder, "chaos.jue");
    found.into_iter().next().expect("it is there").program
}

/// Something that is done to an actor from outside before a tick.
#[derive(Clone, Debug)]
struct Input {
    tick: u64,
    actor: u64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Priority(u8),
    Boost(u32),
    Send(i64),
    Policy(SchedulingPolicy),
    Kill,
}

fn policy() -> impl Strategy<Value = SchedulingPolicy> {
    prop_oneof![
        Just(SchedulingPolicy::RoundRobin),
        Just(SchedulingPolicy::Priority)
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let what = prop_oneof![
        4 => any::<u8>().prop_map(What::Priority),
        4 => (0u32..300).prop_map(What::Boost),
        4 => any::<i64>().prop_map(What::Send),
        1 => policy().prop_map(What::Policy),
        1 => Just(What::Kill),
    ];
    let parts = (0..TICKS, 1u64..40, what);
    parts.prop_map(|(tick, actor, what)| Input { tick, actor, what })
}

fn settings() -> impl Strategy<Value = WorldSettings> {
    let parts = (50u64..5_000, 10u64..50, 500u64..20_000, 0u64..4, 1u32..20);
    (parts, policy()).prop_map(|(parts, policy)| {
        let (quantum, quantum_min, tick_gas, ageing_ticks, lease_first) = parts;
        WorldSettings {
            quantum,
            quantum_min,
            tick_gas,
            ageing_ticks,
            lease_first,
            policy,
            alone_gas: 0,
            ..WorldSettings::default()
        }
    })
}

/// How a world is run.
#[derive(Clone, Copy)]
struct Way {
    threads: usize,
    reference: bool,
    native: bool,
}

fn course(
    program: &Program,
    seeds: (i64, i64),
    settings: WorldSettings,
    inputs: &[Input],
    way: Way,
) -> Vec<TrajectoryHash> {
    let builder = World::builder()
        .settings(settings)
        .trajectory()
        .performance(PerformanceSettings {
            jit: way.native.then(|| JitSettings::default().made_eager()),
            threads: way.threads,
            ..PerformanceSettings::default()
        });
    let builder = if way.reference {
        builder.reference()
    } else {
        builder
    };
    let mut world = builder.build().unwrap();
    let program = world.load(verify(program.clone()).unwrap());
    let arguments = [Datum::Int(seeds.0), Datum::Int(seeds.1)];
    world.spawn(program, &arguments).unwrap();
    let course = (0..TICKS).map(|tick| {
        for input in inputs.iter().filter(|input| input.tick == tick) {
            let actor = ActorId(input.actor);
            // Whom it concerns may not be there.
            match input.what {
                What::Priority(priority) => {
                    let _ = world.scheduler().set_priority(actor, priority);
                }
                What::Boost(boost) => {
                    let _ = world.scheduler().set_boost(actor, boost);
                }
                What::Send(number) => {
                    world.send(actor, &Datum::Int(number));
                }
                What::Policy(policy) => world.scheduler().set_policy(policy),
                What::Kill => {
                    let _ = world.scheduler().remove(actor);
                }
            }
        }
        world.run_ticks(1);
        world.trajectory().unwrap()
    });
    course.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_number_of_threads_takes_the_same_course(
        threads in 2usize..=9,
        seeds in (0i64..1 << 40, 40i64..400),
        settings in settings(),
        inputs in proptest::collection::vec(input(), 0..40),
        native in any::<bool>(),
    ) {
        let program = chaos();
        let alone = Way { threads: 1, reference: true, native: false };
        let known = course(&program, seeds, settings, &inputs, alone);
        let way = Way { threads, reference: false, native };
        let found = course(&program, seeds, settings, &inputs, way);
        let parted = known.iter().zip(&found).position(|(known, found)| known != found);
        prop_assert_eq!(parted, None, "they part in this tick");
    }
}
