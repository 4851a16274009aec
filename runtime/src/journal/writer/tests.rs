//! What is handed over to the thread, and what becomes of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::reading::{self, survey};
use super::*;
use crate::disk::MemoryDisk;

fn records_of(disk: Arc<MemoryDisk>) -> Vec<Vec<u8>> {
    let survey = survey(&*disk, 0).expect("a journal");
    let mut records = reading::Records::new(disk, &survey, 0);
    let mut all = Vec::new();
    while let Some((_, record)) = records.peek().expect("a journal") {
        all.push(record.to_vec());
        records.skip();
    }
    all
}

#[test]
fn a_record_that_no_batch_can_hold_ends_the_journal_and_says_so() {
    let disk = Arc::new(MemoryDisk::default());
    let mut journal = Journal::begin(disk, 0).expect("memory");
    journal.add(&[1]);
    // Nobody looks at the bytes.
    journal.add(&vec![0; RECORD_BYTES_MAX + 1]);
    let error = journal.error().expect("it is too long");
    assert!(error.contains("are the most"), "{error}");
    assert!(journal.has_failed() && journal.next() == 1);
}

#[test]
fn a_record_whose_writer_panics_is_not_there_and_the_others_are() {
    let disk = Arc::new(MemoryDisk::default());
    let mut journal = Journal::begin(Arc::clone(&disk) as Arc<dyn Disk>, 0).expect("memory");
    journal.add(&[1; 3]);
    let panics = catch_unwind(AssertUnwindSafe(|| {
        journal.put(|to| {
            to.u8(7);
            panic!("it cannot be written");
        });
    }));
    assert!(panics.is_err() && journal.next() == 1);
    journal.add(&[2; 200]);
    let panics = catch_unwind(AssertUnwindSafe(|| {
        journal.put_short(&ShortHead::default(), |to| {
            to.u8(7);
            panic!("nor can this");
        });
    }));
    assert!(panics.is_err() && journal.next() == 2);
    journal.put_short(&ShortHead::default(), |to| to.u8(3));
    journal.finish().expect("memory");
    assert_eq!(records_of(disk), [vec![1; 3], vec![2; 200], vec![3]]);
}

#[test]
fn what_is_gathered_happens_together_and_the_last_answer_first() {
    let disk = Arc::new(MemoryDisk::default());
    let mut journal = Journal::begin(disk, 0).expect("memory");
    let (tells, told) = std::sync::mpsc::channel();
    let say = |journal: &mut Journal, when, number: usize| {
        let tells = tells.clone();
        journal.then(when, move || {
            let _ = tells.send(number);
        });
    };
    journal.gather();
    for (number, when) in [
        (1, Leaves::Answer),
        (2, Leaves::AtOnce),
        (3, Leaves::Answer),
        (4, Leaves::AtOnce),
    ] {
        say(&mut journal, when, number);
    }
    assert!(journal.shared.lock().items.is_empty() && told.try_recv().is_err());
    journal.end_gathering();
    journal.flush();
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [2, 4, 3, 1]);
    // So many wait for no end.
    journal.gather();
    (0..ITEMS_GATHERED).for_each(|number| say(&mut journal, Leaves::AtOnce, number));
    assert!(journal.items.is_empty());
    journal.flush();
    assert!(told.try_iter().eq(0..ITEMS_GATHERED));
    // What never happens is dropped when that is known.
    say(&mut journal, Leaves::Answer, 0);
    journal.fail("the disk is full");
    journal.end_gathering();
    drop(journal);
    drop(tells);
    assert!(told.recv().is_err());
}
