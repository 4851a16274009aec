//! Reads images independently of the crate, by `docs/IMAGE_FORMAT.md`.

use pw_isa::cost;
use pw_isa::wire::Reader;

/// What an image says about its objects.
#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct Recount {
    /// Objects, buffers of texts included.
    pub(crate) objects: u64,
    /// Their logical bytes.
    pub(crate) logical_bytes: u64,
    /// Counters: gas used; live and allocated bytes.
    pub(crate) gas_used: u64,
    pub(crate) live: u64,
    pub(crate) allocated: u64,
}

/// Walks the objects of an image and adds up what each costs.
pub(crate) fn recount(image: &[u8]) -> Recount {
    let mut input = Reader::new(&image[38..]);
    let programs = input.varint().unwrap();
    input.take(programs as usize * 32).unwrap();
    let mut sum = Recount {
        objects: input.varint().unwrap(),
        ..Recount::default()
    };
    for _ in 0..sum.objects {
        sum.logical_bytes += object(&mut input);
    }
    sum.gas_used = input.varint().unwrap();
    for _ in 0..3 {
        input.varint().unwrap();
    }
    if input.u8().unwrap() == 1 {
        input.varint().unwrap();
    }
    input.u8().unwrap();
    sum.live = input.varint().unwrap();
    sum.allocated = input.varint().unwrap();
    sum
}

fn value(input: &mut Reader<'_>) {
    match input.u8().unwrap() {
        0 => {}
        1 => drop(input.u8().unwrap()),
        3 => drop(input.u64().unwrap()),
        tag if tag & 0x80 != 0 => {
            input.varint().unwrap();
            input.varint().unwrap();
        }
        _ => drop(input.varint().unwrap()),
    }
}

fn values(input: &mut Reader<'_>, count: u64) {
    (0..count).for_each(|_| value(input));
}

fn object(input: &mut Reader<'_>) -> u64 {
    match input.u8().unwrap() {
        1 => {
            values(input, 2);
            cost::PAIR_BYTES
        }
        2 => {
            value(input);
            cost::CELL_BYTES
        }
        3 => {
            input.varint().unwrap();
            input.varint().unwrap();
            let count = input.varint().unwrap();
            values(input, count);
            cost::closure_bytes(count)
        }
        4 => cost::short_text_bytes(input.blob().unwrap().len() as u64),
        5 => {
            input.varint().unwrap();
            input.varint().unwrap();
            cost::LONG_TEXT_BYTES
        }
        6 => {
            let length = input.blob().unwrap().len() as u64;
            let buffer = if length == 0 {
                0
            } else {
                cost::BUFFER_BYTES + length
            };
            cost::BYTES_BYTES + buffer
        }
        7 => vector(input),
        8 => {
            let capacity = input.varint().unwrap();
            for _ in 0..input.varint().unwrap() {
                if input.u8().unwrap() == 1 {
                    values(input, 2);
                }
            }
            cost::MAP_BYTES + cost::map_buffer_bytes(capacity)
        }
        9 => {
            input.u8().unwrap();
            values(input, 2);
            cost::ERROR_BYTES
        }
        10 => {
            values(input, 2);
            cost::CAPABILITY_BYTES
        }
        11 => {
            let capacity = input.varint().unwrap();
            input.blob().unwrap();
            cost::BUFFER_BYTES + capacity
        }
        other => panic!("no object has the number {other}"),
    }
}

fn vector(input: &mut Reader<'_>) -> u64 {
    let elements = input.u8().unwrap();
    let capacity = input.varint().unwrap();
    let length = input.varint().unwrap();
    if elements == 0 {
        values(input, length);
    } else {
        input.take(length as usize * 8).unwrap();
    }
    let bytes_each = if elements == 0 { 16 } else { 8 };
    cost::VECTOR_BYTES + cost::vector_buffer_bytes(capacity, bytes_each)
}
