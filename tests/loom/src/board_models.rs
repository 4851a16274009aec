//! The board: every chunk is done once, by somebody, and everything that was done is seen by who waited for it.

use loom::sync::atomic::{AtomicUsize, Ordering};

use crate::board::{Board, Work};
use crate::model;
use crate::sync::Arc;

/// Chunks that count how often they were done, without any order of their own.
struct Counted(Vec<AtomicUsize>);

impl Counted {
    fn new(chunks: usize) -> Arc<Counted> {
        Arc::new(Counted((0..chunks).map(|_| AtomicUsize::new(0)).collect()))
    }

    /// How often each was done, as the thread sees it that has waited.
    fn done(&self) -> Vec<usize> {
        let counts = self.0.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

impl Work<usize> for Arc<Counted> {
    fn chunks(&self) -> usize {
        self.0.len()
    }

    fn run(&self, chunk: usize, own: &mut usize) {
        self.0[chunk].fetch_add(1, Ordering::Relaxed);
        *own += 1;
    }
}

/// A thread that helps until there is no more work; how many chunks it did.
fn helper(board: &Arc<Board<usize>>, number: usize) -> loom::thread::JoinHandle<usize> {
    let board = Arc::clone(board);
    loom::thread::spawn(move || {
        let (mut seen, mut done) = (0, 0);
        while let Some(job) = board.next(&mut seen) {
            job.help(number, &mut done);
        }
        done
    })
}

#[test]
fn each_chunk_is_done_once_and_seen() {
    model(3, || {
        let board = Arc::new(Board::new());
        let other = helper(&board, 1);
        let mut mine = 0;
        for chunks in [2, 1] {
            let counted = Counted::new(chunks);
            assert!(board.run(Box::new(Arc::clone(&counted)), 2, &mut mine));
            assert_eq!(counted.done(), vec![1; chunks]);
        }
        board.end();
        assert_eq!(mine + other.join().unwrap(), 3);
    });
}

#[test]
fn three_threads_share_one_job() {
    model(1, || {
        let board = Arc::new(Board::new());
        let others = [helper(&board, 1), helper(&board, 2)];
        let mut mine = 0;
        let counted = Counted::new(3);
        assert!(board.run(Box::new(Arc::clone(&counted)), 3, &mut mine));
        assert_eq!(counted.done(), [1, 1, 1]);
        board.end();
        let theirs: usize = others.map(|other| other.join().unwrap()).iter().sum();
        assert_eq!(mine + theirs, 3);
    });
}

#[test]
fn an_end_is_seen_by_who_sleeps_and_who_looks() {
    model(3, || {
        let board = Arc::new(Board::new());
        let others = [helper(&board, 1), helper(&board, 2)];
        board.end();
        for other in others {
            assert_eq!(other.join().unwrap(), 0);
        }
    });
}
