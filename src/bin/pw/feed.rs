//! `--feed`: questions to the first actor from stdin, in a session, so that what is said again is not heard twice.

use std::io::BufRead;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use physics_world::runtime::world::{AskError, Client};
use physics_world::{ActorId, Datum, World};

use crate::input;

/// A reply that is to come, with its number.
type Reply = (
    u64,
    Pin<Box<dyn Future<Output = Result<Datum, AskError>> + Send>>,
);

/// Questions on their way.
pub(crate) struct Feed {
    is_over: Arc<AtomicBool>,
}

impl Feed {
    /// Begins to read, in this session or a new one, which is named first.
    pub(crate) fn begin(world: &mut World, first: ActorId, session: Option<u64>) -> Feed {
        let session = session.unwrap_or_else(|| world.open_session());
        let client = world.handle().resume_session(session, 0);
        if let Err(error) = world.flush() {
            note!("the session cannot be kept: {error}");
        }
        input::say(&format!("session {session}\n"));
        let is_over = Arc::new(AtomicBool::new(false));
        let (replies, to_come) = channel();
        std::thread::spawn(move || read(&client, first, &replies));
        let ends = Arc::clone(&is_over);
        std::thread::spawn(move || {
            print(&to_come);
            ends.store(true, Ordering::Relaxed);
        });
        Feed { is_over }
    }

    /// Whether stdin has ended, and all replies are printed.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// Asks what stdin says, line by line.
fn read(client: &Client, first: ActorId, replies: &Sender<Reply>) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let (number, text) = line.split_once(' ').unwrap_or((&line, ""));
        let Ok(number) = number.parse::<u64>() else {
            note!("not a number and a text: {line}");
            continue;
        };
        let content = Datum::from(text);
        let reply = client.say_numbered(number, first, content, true);
        if replies.send((number, Box::pin(reply))).is_err() {
            return;
        }
    }
}

/// Prints replies as they come.
fn print(replies: &Receiver<Reply>) {
    for (number, reply) in replies {
        match futures_executor::block_on(reply) {
            Ok(Datum::String(text)) => input::say(&format!("{number} {text}\n")),
            Ok(reply) => input::say(&format!("{number} {}\n", reply.text())),
            Err(error) => input::say(&format!("{number} error: {error}\n")),
        }
    }
}
