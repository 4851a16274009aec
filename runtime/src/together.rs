//! Work on many things, shared by threads that live as long as it.
//!
//! What comes of a thing depends on nothing but the thing, and all of it is put together in the order of the things: how many threads
//! there are, and which of them did what, shows nowhere.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

/// The stack of a thread: what is read may be as deeply nested as on the thread of the world.
const STACK_BYTES: usize = 8 << 20;

/// A thing, or what came of it.
enum Slot<T, R> {
    Waits(T),
    Taken,
    Done(R),
}

/// Does something with each of these things, on at most so many threads, the calling one included; each thread has something of its
/// own for that. What came of them, in their order.
///
/// # Errors
/// The first in the order of the things; those behind it may be left undone.
pub(crate) fn try_map<T: Send, R: Send, E: Send, O>(
    threads: usize,
    things: Vec<T>,
    own: impl Fn() -> O + Sync,
    act: impl Fn(&mut O, T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let threads = threads.min(things.len());
    if threads <= 1 {
        let mut own = own();
        let all = things.into_iter();
        return all.map(|thing| act(&mut own, thing)).collect();
    }
    let slots: Vec<_> = things
        .into_iter()
        .map(|thing| Mutex::new(Slot::Waits(thing)))
        .collect();
    let (next, has_failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        let _at_end = AtPanic(&has_failed);
        let mut own = own();
        // Things are taken in their order, so all before one that fails are taken, and done, too.
        while !has_failed.load(Ordering::Relaxed) {
            let Some(slot) = slots.get(next.fetch_add(1, Ordering::Relaxed)) else {
                return;
            };
            let taken = std::mem::replace(&mut *lock(slot), Slot::Taken);
            let Slot::Waits(thing) = taken else { continue };
            let done = act(&mut own, thing);
            if done.is_err() {
                has_failed.store(true, Ordering::Relaxed);
            }
            *lock(slot) = Slot::Done(done);
        }
    };
    std::thread::scope(|scope| {
        let others = (1..threads).filter_map(|_| {
            let builder = Builder::new().name("pw reader".to_owned());
            // A thread that the system does not give is done without.
            let spawned = builder.stack_size(STACK_BYTES).spawn_scoped(scope, work);
            spawned.ok()
        });
        let others: Vec<_> = others.collect();
        work();
        for other in others {
            // A panic goes on here with what it says.
            other.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
    let slots = slots.into_iter();
    let done = slots.map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner));
    // Behind the first error there may be things that nobody took.
    done.filter_map(|slot| match slot {
        Slot::Done(done) => Some(done),
        Slot::Waits(_) | Slot::Taken => None,
    })
    .collect()
}

/// What goes wrong where it is dropped by a panic has failed.
struct AtPanic<'a>(&'a AtomicBool);

impl Drop for AtPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

pub(crate) fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing that is done with the lock held can panic.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halves(threads: usize, numbers: Vec<u64>) -> Result<Vec<u64>, u64> {
        let half = |done: &mut u64, number: u64| {
            *done += 1;
            number.is_multiple_of(2).then_some(number / 2).ok_or(number)
        };
        try_map(threads, numbers, || 0, half)
    }

    #[test]
    fn what_comes_of_things_has_their_order_on_any_number_of_threads() {
        for threads in [0, 1, 2, 7] {
            let even = (0..1_000).map(|number| 2 * number).collect();
            assert_eq!(halves(threads, even), Ok((0..1_000).collect()));
            assert_eq!(halves(threads, Vec::new()), Ok(Vec::new()));
        }
    }

    #[test]
    fn a_panic_on_any_thread_goes_on_with_what_it_says() {
        for threads in [1, 2, 7] {
            let act = |(): &mut (), number: u64| {
                // The calling thread must not have done them all before another begins.
                std::thread::sleep(std::time::Duration::from_millis(1));
                assert!(number != 30, "number {number}");
                Ok::<u64, ()>(number)
            };
            let all = || try_map(threads, (0..60).collect(), || (), act);
            let panic = std::panic::catch_unwind(all).expect_err("it panics");
            assert_eq!(panic.downcast_ref::<String>().expect("a text"), "number 30");
        }
    }

    #[test]
    fn the_first_error_is_told_on_any_number_of_threads() {
        for threads in [1, 2, 7] {
            for _ in 0..100 {
                let mut numbers: Vec<u64> = (0..1_000).map(|number| 2 * number).collect();
                (numbers[301], numbers[302], numbers[900]) = (7, 9, 11);
                assert_eq!(halves(threads, numbers), Err(7));
            }
        }
    }
}
