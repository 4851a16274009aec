//! The same programs for libraries of actors: what each actor does with a message, whoever delivers it.

use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::{Case, resident_bytes, tasks};

/// The address of an actor of a library.
pub(crate) trait Peer: Clone + Send + Sync + 'static {
    /// Starts an actor.
    fn start(role: Role<Self>) -> Self;
    /// Sends a message.
    fn tell(&self, note: Note<Self>);
}

/// A message.
pub(crate) enum Note<P> {
    Number(i64),
    Peer(P),
}

/// What an actor does.
pub(crate) enum Role<P> {
    /// Nothing.
    Parked,
    /// Sends something back for each message.
    Echo { to: P },
    /// Sends to another, again and again.
    Pinger {
        other: Option<P>,
        left: i64,
        done: Done,
    },
    /// Passes a number on, and one less each time.
    Node { next: P },
    /// The node that begins and ends.
    Head {
        next: Option<P>,
        hops: i64,
        done: Done,
    },
    /// Sends many messages at once.
    Source { to: P, count: i64 },
    /// Takes many messages.
    Sink { left: i64, done: Done },
    /// Answers each message.
    Worker { to: P },
    /// Sends to all workers, and waits for an answer of each.
    Boss {
        workers: Vec<P>,
        round: i64,
        rounds: i64,
        left: usize,
        done: Done,
    },
    /// A node of a tree, ten to each, that adds up its leaves.
    Sky {
        up: Up<P>,
        first: i64,
        size: i64,
        left: u8,
        sum: i64,
    },
}

/// Who is told that a case is done.
pub(crate) type Done = UnboundedSender<()>;

/// Who gets a sum.
#[derive(Clone)]
pub(crate) enum Up<P> {
    Actor(P),
    Outside(Done),
}

/// Whether an actor is done.
#[derive(PartialEq, Eq)]
pub(crate) enum Then {
    Waits,
    Ends,
}

fn finish(done: &Done) -> Then {
    done.send(()).expect("the case waits for it");
    Then::Ends
}

impl<P: Peer> Up<P> {
    fn tell(&self, sum: i64) -> Then {
        match self {
            Up::Actor(up) => up.tell(Note::Number(sum)),
            Up::Outside(done) => return finish(done),
        }
        Then::Ends
    }
}

impl<P: Peer> Role<P> {
    /// What an actor does when it has started.
    pub(crate) fn begin(&mut self, me: &P) -> Then {
        match self {
            Role::Source { to, count } => {
                (0..*count).for_each(|i| to.tell(Note::Number(i)));
                Then::Ends
            }
            Role::Sky {
                up, first, size: 1, ..
            } => up.tell(*first),
            Role::Sky { first, size, .. } => {
                let size = *size / 10;
                for i in 0..10 {
                    P::start(Role::Sky {
                        up: Up::Actor(me.clone()),
                        first: *first + i * size,
                        size,
                        left: 10,
                        sum: 0,
                    });
                }
                Then::Waits
            }
            _ => Then::Waits,
        }
    }

    /// What it does with a message.
    pub(crate) fn take(&mut self, note: Note<P>) -> Then {
        match (self, note) {
            (Role::Echo { to }, Note::Number(_)) => to.tell(Note::Number(0)),
            (Role::Pinger { other, .. }, Note::Peer(peer)) => {
                peer.tell(Note::Number(0));
                *other = Some(peer);
            }
            (Role::Pinger { other, left, done }, Note::Number(_)) => {
                *left -= 1;
                match other {
                    Some(other) if *left > 0 => other.tell(Note::Number(*left)),
                    _ => return finish(done),
                }
            }
            (Role::Node { next }, Note::Number(n)) => {
                next.tell(Note::Number(n - 1));
                if n <= 0 {
                    return Then::Ends;
                }
            }
            (Role::Head { next, hops, .. }, Note::Peer(peer)) => {
                peer.tell(Note::Number(*hops));
                *next = Some(peer);
            }
            (Role::Head { next, done, .. }, Note::Number(n)) => match next {
                Some(next) if n > 0 => next.tell(Note::Number(n - 1)),
                _ => return finish(done),
            },
            (Role::Sink { left, done }, Note::Number(_)) => {
                *left -= 1;
                if *left == 0 {
                    return finish(done);
                }
            }
            (Role::Worker { to }, Note::Number(n)) => to.tell(Note::Number(n)),
            (Role::Boss { workers, .. }, Note::Peer(peer)) => workers.push(peer),
            (boss @ Role::Boss { .. }, Note::Number(_)) => return boss.take_answer(),
            (Role::Sky { up, left, sum, .. }, Note::Number(n)) => {
                *left -= 1;
                *sum += n;
                if *left == 0 {
                    return up.tell(*sum);
                }
            }
            _ => {}
        }
        Then::Waits
    }

    /// An answer of a worker, or the sign to begin.
    fn take_answer(&mut self) -> Then {
        let Role::Boss {
            workers,
            round,
            rounds,
            left,
            done,
        } = self
        else {
            unreachable!("only a boss has workers")
        };
        *left -= 1;
        if *left > 0 {
            return Then::Waits;
        }
        if round == rounds {
            return finish(done);
        }
        *round += 1;
        *left = workers.len();
        for worker in workers {
            worker.tell(Note::Number(*round));
        }
        Then::Waits
    }
}

/// Runs a case to its end.
pub(crate) fn run<P: Peer>(case: &Case, threads: usize) {
    let runtime = tasks::runtime(threads);
    let arguments = case.arguments;
    runtime.block_on(async move {
        // In a task of the runtime, as all others.
        let driver = tokio::spawn(drive::<P>(case.name, arguments));
        driver.await.expect("the case ends");
    });
}

async fn drive<P: Peer>(name: &'static str, arguments: &'static [i64]) {
    let (done, mut is_done) = unbounded_channel();
    match name {
        "spawn-all" => {
            let all: Vec<P> = (0..arguments[0]).map(|_| P::start(Role::Parked)).collect();
            tokio::task::yield_now().await;
            assert_eq!(all.len() as i64, arguments[0]);
            return;
        }
        "ping-pong" => {
            let (other, left) = (None, arguments[0]);
            let pinger = P::start(Role::Pinger { other, left, done });
            let to = pinger.clone();
            pinger.tell(Note::Peer(P::start(Role::Echo { to })));
        }
        "ring" => {
            let (next, hops) = (None, arguments[1]);
            let head = P::start(Role::Head { next, hops, done });
            let first =
                (1..arguments[0]).fold(head.clone(), |next, _| P::start(Role::Node { next }));
            head.tell(Note::Peer(first));
        }
        "many-to-one" => {
            let [senders, count] = [arguments[0], arguments[1]];
            let left = senders * count;
            let to = P::start(Role::Sink { left, done });
            for _ in 0..senders {
                let to = to.clone();
                P::start(Role::Source { to, count });
            }
        }
        "fan-out" => {
            let boss = P::start(Role::Boss {
                workers: Vec::new(),
                round: 0,
                rounds: arguments[1],
                left: 1,
                done,
            });
            for _ in 0..arguments[0] {
                let to = boss.clone();
                boss.tell(Note::Peer(P::start(Role::Worker { to })));
            }
            boss.tell(Note::Number(0));
        }
        "skynet" => {
            P::start(Role::Sky {
                up: Up::Outside(done),
                first: 0,
                size: arguments[0],
                left: 10,
                sum: 0,
            });
        }
        other => unreachable!("{other} is not among the cases"),
    }
    is_done.recv().await.expect("the case ends");
}

/// Bytes of memory that so many parked actors take.
pub(crate) fn parked_bytes<P: Peer>(count: u64) -> u64 {
    let runtime: Runtime = tasks::runtime(1);
    let before = resident_bytes();
    let all: Vec<P> = runtime.block_on(async {
        let all = (0..count).map(|_| P::start(Role::Parked)).collect();
        tokio::task::yield_now().await;
        all
    });
    let bytes = resident_bytes() - before;
    drop(all);
    bytes
}
