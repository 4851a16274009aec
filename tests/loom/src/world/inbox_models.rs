//! The inbox: nothing is lost, nothing is late, and the order of one thread is kept.

use super::inbox::Inbox;
use crate::model;
use crate::sync::Arc;

#[test]
fn what_threads_push_is_taken_once_in_the_order_of_each() {
    model(2, || {
        let inbox = Arc::new(Inbox::default());
        let pushes = [&[1, 2][..], &[10]].map(|inputs| {
            let inbox = Arc::clone(&inbox);
            loom::thread::spawn(move || inputs.iter().for_each(|input| inbox.push(*input)))
        });
        let mut taken = Vec::new();
        while taken.len() < 3 {
            // Woken for each: who waits with nothing there would wait for ever, which loom calls a deadlock.
            inbox.wait();
            taken.extend(inbox.take());
        }
        pushes.into_iter().for_each(|push| push.join().unwrap());
        assert!(!inbox.has_news() && inbox.take().is_empty());
        taken.retain(|input| *input < 10);
        assert_eq!(taken, [1, 2]);
    });
}

#[test]
fn news_are_there_as_long_as_an_input_is() {
    model(3, || {
        let inbox = Arc::new(Inbox::default());
        let other = Arc::clone(&inbox);
        let push = loom::thread::spawn(move || other.push(7));
        let mut taken = inbox.take();
        push.join().unwrap();
        // A world looks only when there are news.
        if taken.is_empty() {
            assert!(inbox.has_news());
            taken = inbox.take();
        }
        assert_eq!(taken, [7]);
    });
}

#[test]
fn what_comes_when_the_world_ends_is_dropped() {
    /// Says that it is gone, as the reply to a question does.
    struct Question(std::sync::Arc<std::sync::atomic::AtomicUsize>);

    impl Drop for Question {
        fn drop(&mut self) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    model(3, || {
        let gone = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let inbox = Arc::new(Inbox::default());
        let (other, question) = (Arc::clone(&inbox), Question(gone.clone()));
        let push = loom::thread::spawn(move || other.push(question));
        inbox.close();
        push.join().unwrap();
        assert_eq!(gone.load(std::sync::atomic::Ordering::Relaxed), 1);
    });
}
