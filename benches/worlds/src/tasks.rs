//! The same programs as tokio tasks with unbounded channels.

use std::pin::Pin;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{Case, resident_bytes};

type Sender = UnboundedSender<i64>;
type Receiver = UnboundedReceiver<i64>;

pub(crate) fn runtime(threads: usize) -> Runtime {
    let mut builder = if threads == 1 {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    let built = builder.worker_threads(threads).build();
    built.expect("the system gives threads")
}

/// Runs a case to its end, in a task of the runtime as all others.
pub(crate) fn run(case: &Case, threads: usize) {
    let arguments = case.arguments;
    let runtime = runtime(threads);
    let first = match case.name {
        "spawn-all" => runtime.spawn(spawn(arguments[0])),
        "ping-pong" => runtime.spawn(ping_pong(arguments[0])),
        "ring" => runtime.spawn(ring(arguments[0], arguments[1])),
        "many-to-one" => runtime.spawn(many_to_one(arguments[0], arguments[1])),
        "fan-out" => runtime.spawn(fan_out(arguments[0], arguments[1])),
        "skynet" => runtime.spawn(async move {
            let (up, mut down) = unbounded_channel();
            tokio::spawn(sky(up, 0, arguments[0]));
            take(&mut down).await
        }),
        other => unreachable!("{other} is not among the cases"),
    };
    runtime.block_on(first).expect("the task ends");
}

async fn take(from: &mut Receiver) -> i64 {
    from.recv().await.expect("its sender lives")
}

/// A task with its channel, parked: what an actor is.
fn parked() -> Sender {
    let (to, mut from) = unbounded_channel::<i64>();
    tokio::spawn(async move { from.recv().await });
    to
}

async fn spawn(count: i64) -> i64 {
    let all: Vec<Sender> = (0..count).map(|_| parked()).collect();
    // They get to their receive, as the actors do.
    tokio::task::yield_now().await;
    all.len() as i64
}

async fn ping_pong(count: i64) -> i64 {
    let (to, mut from) = unbounded_channel();
    let (back, mut answer) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(message) = from.recv().await {
            if back.send(message).is_err() {
                return;
            }
        }
    });
    for i in 0..count {
        to.send(i).expect("it listens");
        take(&mut answer).await;
    }
    count
}

async fn ring(size: i64, hops: i64) -> i64 {
    let (first, mut from) = unbounded_channel();
    let mut next: Sender = first;
    for _ in 1..size {
        let (to, mut from) = unbounded_channel();
        tokio::spawn(async move {
            loop {
                let n = take(&mut from).await;
                if next.send(n - 1).is_err() || n <= 0 {
                    return;
                }
            }
        });
        next = to;
    }
    next.send(hops).expect("it listens");
    loop {
        let n = take(&mut from).await;
        if n <= 0 {
            return n;
        }
        next.send(n - 1).expect("it listens");
    }
}

async fn many_to_one(senders: i64, each: i64) -> i64 {
    let (to, mut from) = unbounded_channel();
    for _ in 0..senders {
        let to = to.clone();
        tokio::spawn(async move {
            for i in 0..each {
                to.send(i).expect("it listens");
            }
        });
    }
    for _ in 0..senders * each {
        take(&mut from).await;
    }
    senders * each
}

async fn fan_out(workers: i64, rounds: i64) -> i64 {
    let (up, mut down) = unbounded_channel();
    let all: Vec<Sender> = (0..workers)
        .map(|_| {
            let (to, mut from) = unbounded_channel();
            let up: Sender = up.clone();
            tokio::spawn(async move {
                for i in 0..rounds {
                    take(&mut from).await;
                    up.send(i).expect("it listens");
                }
            });
            to
        })
        .collect();
    for round in 0..rounds {
        for worker in &all {
            worker.send(round).expect("it listens");
        }
        for _ in 0..workers {
            take(&mut down).await;
        }
    }
    rounds
}

fn sky(up: Sender, first: i64, size: i64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(add_up(up, first, size))
}

async fn add_up(up: Sender, first: i64, size: i64) {
    if size == 1 {
        up.send(first).expect("it listens");
        return;
    }
    let part = size / 10;
    let (to, mut from) = unbounded_channel();
    for i in 0..10 {
        tokio::spawn(sky(to.clone(), first + i * part, part));
    }
    let mut sum = 0;
    for _ in 0..10 {
        sum += take(&mut from).await;
    }
    up.send(sum).expect("it listens");
}

/// Bytes of memory that so many parked tasks take, with their channels.
pub(crate) fn parked_bytes(count: u64) -> u64 {
    let runtime = runtime(1);
    let before = resident_bytes();
    let all: Vec<Sender> = runtime.block_on(async {
        let all = (0..count).map(|_| parked()).collect();
        tokio::task::yield_now().await;
        all
    });
    let bytes = resident_bytes() - before;
    drop(all);
    bytes
}
