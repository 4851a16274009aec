//! Maps, vectors, strings and bytes do what simple models of them do, allocate what `pw_isa::cost` says, and
//! do so whether or not they are compacted, saved and restored in between.

use std::cell::Cell;
use std::fmt::Write;
use std::rc::Rc;

use proptest::collection::vec;
use proptest::prelude::*;
use pw_isa::cost;
use pw_jit::reference::Outcome;
use pw_jit::text::{Style, value_text};
use pw_jit::{CodeSpace, Fiber, Limits};
use testkit::fibers;

/// A program that is made line by line, and what it is to leave behind.
#[derive(Default)]
struct Script {
    source: String,
    /// The texts of the values that it logs.
    log: Vec<String>,
    /// Logical bytes that it allocates, its log apart.
    allocated: u64,
}

/// The register of the log, and one for what is logged.
const LOG: &str = "r20";
const LOGGED: &str = "r21";

impl Script {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.source, "    {line}").expect("a String takes everything");
    }

    /// Logs what stands in the register [`LOGGED`].
    fn log(&mut self, text: impl ToString) {
        self.line(format_args!("cons {LOG} {LOGGED} {LOG}"));
        self.allocated += cost::PAIR_BYTES;
        self.log.push(text.to_string());
    }

    /// Runs the program, undisturbed and disturbed after every few instructions.
    fn check(mut self) {
        self.source = format!(
            "func main()\n    nil {LOG}\n{}    return {LOG}\n",
            self.source
        );
        let mut code = CodeSpace::default();
        let program = fibers::load(&mut code, &self.source);
        let mut whole = Fiber::new(&code, program, Limits::default());
        let Outcome::Done(value) = fibers::run_to_end(&mut whole, &code) else {
            panic!("it ends by itself");
        };
        self.log.reverse();
        let text = value_text(whole.heap(&code), value, Style::Quoted);
        let expected = if self.log.is_empty() {
            "nil".to_owned()
        } else {
            format!("({})", self.log.join(" "))
        };
        assert_eq!(text, expected);
        let counters = whole.arena().counters();
        assert_eq!((counters.live, counters.allocated), (0, self.allocated));
        let mut disturbed = Fiber::new(&code, program, Limits::default());
        let mut slices = 0;
        fibers::run_in_slices(&mut disturbed, &code, 11, |fiber| {
            slices += 1;
            if slices % 2 == 0 {
                fiber.compact(&code);
            } else {
                let image = fiber.to_image(&code);
                *fiber = Fiber::from_image(&code, &image, 1 << 20).expect("a fiber wrote it");
            }
        });
        assert!(disturbed.to_image(&code) == whole.to_image(&code));
    }
}

/// A key as a constant, and as the text of its value.
fn key(number: u8) -> (String, String) {
    let number = number % 40;
    match number % 5 {
        0 => (number.to_string(), number.to_string()),
        1 => (format!("{number}.0"), format!("{number}.0")),
        2 => (format!("\"k{number}\""), format!("\"k{number}\"")),
        3 => (format!("'k{number}"), format!("k{number}")),
        _ => (
            format!("'({number} \"x\" (y))"),
            format!("({number} \"x\" (y))"),
        ),
    }
}

#[derive(Default)]
struct MapModel {
    entries: Vec<Option<(u8, u8)>>,
    capacity: u64,
}

impl MapModel {
    fn find(&mut self, key: u8) -> Option<&mut Option<(u8, u8)>> {
        let same = |entry: &&mut Option<(u8, u8)>| entry.is_some_and(|(known, _)| known == key);
        self.entries.iter_mut().find(same)
    }

    fn live(&self) -> Vec<(u8, u8)> {
        self.entries.iter().flatten().copied().collect()
    }

    /// Puts a key; the logical bytes that takes.
    fn set(&mut self, key: u8, value: u8) -> u64 {
        if let Some(entry) = self.find(key) {
            *entry = Some((key, value));
            return 0;
        }
        let mut bytes = 0;
        if self.entries.len() as u64 == self.capacity {
            let deleted = self.entries.iter().filter(|entry| entry.is_none()).count() as u64;
            if deleted <= self.capacity / 2 {
                self.capacity = cost::grown_capacity(self.capacity);
                bytes = cost::map_buffer_bytes(self.capacity);
            }
            self.entries.retain(Option::is_some);
        }
        self.entries.push(Some((key, value)));
        bytes
    }
}

fn map_script(operations: &[(u8, u8, u8)]) -> Script {
    let mut script = Script::default();
    let mut model = MapModel::default();
    script.line(format_args!("make-map r0"));
    script.allocated += cost::MAP_BYTES;
    for (what, number, value) in operations.iter().copied() {
        let number = number % 40;
        script.line(format_args!("const r1 {}", key(number).0));
        match what % 8 {
            0..4 => {
                script.line(format_args!("int r2 {value}"));
                script.line(format_args!("map-set r0 r1 r2"));
                script.allocated += model.set(number, value);
            }
            4 | 5 => {
                script.line(format_args!("map-delete {LOGGED} r0 r1"));
                let found = model.find(number).map(Option::take);
                script.log(found.is_some());
            }
            6 => {
                script.line(format_args!("bool r2 false"));
                script.line(format_args!("map-get {LOGGED} r0 r1 r2"));
                let found = model.find(number).and_then(|entry| *entry);
                script.log(found.map_or("false".to_owned(), |(_, value)| value.to_string()));
            }
            _ => {
                script.line(format_args!("map-has {LOGGED} r0 r1"));
                script.log(model.find(number).is_some());
                script.line(format_args!("map-count {LOGGED} r0"));
                script.log(model.live().len());
            }
        }
    }
    script.line(format_args!("map-keys {LOGGED} r0"));
    let keys: Vec<String> = model
        .live()
        .iter()
        .map(|(number, _)| key(*number).1)
        .collect();
    script.allocated += keys.len() as u64 * cost::PAIR_BYTES;
    script.log(if keys.is_empty() {
        "nil".to_owned()
    } else {
        format!("({})", keys.join(" "))
    });
    script.line(format_args!("move {LOGGED} r0"));
    let entries = model.live().into_iter();
    let text: String = entries
        .map(|(number, value)| format!(" {} {value}", key(number).1))
        .collect();
    script.log(format!("(map{text})"));
    script
}

/// An element as a constant; its kind decides between flat and generic.
fn element(what: u8, number: u8) -> (String, u64) {
    match what % 8 {
        0..4 => (number.to_string(), 1),
        4..7 => (format!("{number}.5"), 2),
        _ => ("true".to_owned(), 0),
    }
}

#[derive(Default)]
struct VectorModel {
    elements: Vec<String>,
    kind: u64,
    capacity: u64,
}

impl VectorModel {
    fn buffer(&self) -> u64 {
        cost::vector_buffer_bytes(self.capacity, if self.kind == 0 { 16 } else { 8 })
    }

    /// Widens for an element of a kind; the logical bytes that takes.
    fn widen(&mut self, kind: u64) -> u64 {
        if self.kind == 0 || self.kind == kind {
            return 0;
        }
        self.kind = 0;
        self.buffer()
    }

    fn push(&mut self, text: String, kind: u64) -> u64 {
        if self.capacity == 0 {
            self.kind = kind;
        }
        let mut bytes = self.widen(kind);
        if self.elements.len() as u64 == self.capacity {
            self.capacity = cost::grown_capacity(self.capacity);
            bytes = self.buffer();
        }
        self.elements.push(text);
        bytes
    }
}

fn vector_script(first: (u8, u8), operations: &[(u8, u8, u8)]) -> Script {
    let mut script = Script::default();
    let (text, kind) = element(first.0, first.0);
    let length = u64::from(first.1 % 4);
    script.line(format_args!("const r1 {text}"));
    script.line(format_args!("int r2 {length}"));
    script.line(format_args!("make-vector r0 r2 r1"));
    let mut model = VectorModel {
        elements: vec![text; length as usize],
        kind,
        capacity: length,
    };
    script.allocated += cost::VECTOR_BYTES + model.buffer();
    for (what, number, at) in operations.iter().copied() {
        let (text, kind) = element(number, at);
        let place = usize::from(at) % model.elements.len().max(1);
        script.line(format_args!("const r1 {text}"));
        script.line(format_args!("int r2 {place}"));
        match what % 8 {
            0..4 => {
                script.line(format_args!("vector-push r0 r1"));
                script.allocated += model.push(text, kind);
            }
            4 if !model.elements.is_empty() => {
                script.line(format_args!("vector-set r0 r2 r1"));
                script.allocated += model.widen(kind);
                model.elements[place] = text;
            }
            5 if !model.elements.is_empty() => {
                script.line(format_args!("vector-pop {LOGGED} r0"));
                let last = model.elements.pop().expect("not empty");
                script.log(last);
            }
            6 if !model.elements.is_empty() => {
                script.line(format_args!("vector-ref {LOGGED} r0 r2"));
                script.log(&model.elements[place]);
            }
            7 if number % 4 == 0 => {
                script.line(format_args!("vector-fill r0 r1"));
                if !model.elements.is_empty() {
                    script.allocated += model.widen(kind);
                }
                model.elements.fill(text);
            }
            _ => {
                script.line(format_args!("vector-length {LOGGED} r0"));
                script.log(model.elements.len());
            }
        }
    }
    script.line(format_args!("move {LOGGED} r0"));
    let text: String = model
        .elements
        .iter()
        .map(|text| format!(" {text}"))
        .collect();
    script.log(format!("(vector{text})"));
    script
}

/// A string and, when it is long, the bytes in use and the capacity of its buffer.
#[derive(Clone, Default)]
struct StringModel {
    text: String,
    buffer: Option<Rc<Cell<(u64, u64)>>>,
}

impl StringModel {
    /// A string that was not made by appending.
    fn new(text: &str) -> StringModel {
        let length = text.len() as u64;
        let long = length > cost::TEXT_INLINE_MAX;
        StringModel {
            text: text.to_owned(),
            buffer: long.then(|| Rc::new(Cell::new((length, length)))),
        }
    }

    fn append(&self, added: &str) -> (StringModel, u64) {
        let text = [&self.text, added].concat();
        let (own, total) = (self.text.len() as u64, text.len() as u64);
        if total <= cost::TEXT_INLINE_MAX {
            return (StringModel::new(&text), cost::text_bytes(total));
        }
        let growing = self.buffer.as_ref().filter(|buffer| buffer.get().0 == own);
        let capacity = match growing.map(|buffer| buffer.get().1) {
            Some(capacity) if total <= capacity => {
                growing.expect("it grows").set((total, capacity));
                let buffer = self.buffer.clone();
                return (StringModel { text, buffer }, cost::LONG_TEXT_BYTES);
            }
            Some(_) => cost::grown_text_capacity(total),
            None => total,
        };
        let buffer = Some(Rc::new(Cell::new((total, capacity))));
        let bytes = cost::LONG_TEXT_BYTES + cost::BUFFER_BYTES + capacity;
        (StringModel { text, buffer }, bytes)
    }
}

const PIECES: [&str; 6] = [
    "",
    "a",
    "bü",
    "a piece of some length ",
    "ünïcödé ",
    "0123456789012345678901234567890123456789",
];

fn string_script(operations: &[(u8, u8, u8)]) -> Script {
    let mut script = Script::default();
    let mut model = vec![StringModel::default(); 4];
    // Strings made at run time, so that the first append finds them in the arena.
    for register in 0..4 {
        script.line(format_args!("const r{register} \"\""));
    }
    for (what, number, piece) in operations.iter().copied() {
        let (a, b, dst) = (
            usize::from(number % 4),
            usize::from(number / 4 % 4),
            usize::from(number / 16 % 4),
        );
        let piece = PIECES[usize::from(piece) % PIECES.len()];
        script.line(format_args!("const r5 \"{piece}\""));
        let text = model[a].text.clone();
        let characters = text.chars().count();
        match what % 8 {
            0..3 => {
                script.line(format_args!("string-append r{dst} r{a} r5"));
                let (appended, bytes) = model[a].append(piece);
                script.allocated += bytes;
                model[dst] = appended;
            }
            3 if text.len() + model[b].text.len() < 2_000 => {
                script.line(format_args!("string-append r{dst} r{a} r{b}"));
                let (appended, bytes) = model[a].append(&model[b].text.clone());
                script.allocated += bytes;
                model[dst] = appended;
            }
            4 => {
                let (from, to) = (characters / 3, characters - characters / 4);
                script.line(format_args!("int r6 {from}"));
                script.line(format_args!("int r7 {to}"));
                script.line(format_args!("substring r{dst} r{a} r6 r7"));
                let part: String = text.chars().skip(from).take(to - from).collect();
                script.allocated += cost::text_bytes(part.len() as u64);
                model[dst] = StringModel::new(&part);
            }
            5 => {
                script.line(format_args!("string-index {LOGGED} r{a} r5"));
                let found = text.find(piece).map(|at| text[..at].chars().count());
                script.log(found.map_or("nil".to_owned(), |at| at.to_string()));
            }
            6 => {
                script.line(format_args!("string-eq {LOGGED} r{a} r{b}"));
                script.log(text == model[b].text);
                script.line(format_args!("string-lt {LOGGED} r{a} r{b}"));
                script.log(text.chars().lt(model[b].text.chars()));
            }
            _ if !text.is_empty() => {
                script.line(format_args!("int r6 {}", characters / 2));
                script.line(format_args!("string-ref {LOGGED} r{a} r6"));
                let one = text
                    .chars()
                    .nth(characters / 2)
                    .expect("within the text")
                    .to_string();
                script.allocated += cost::text_bytes(one.len() as u64);
                script.log(format!("\"{one}\""));
                script.line(format_args!("string-to-bytes r8 r{a}"));
                let buffer = cost::BUFFER_BYTES + text.len() as u64;
                script.allocated += cost::BYTES_BYTES + buffer;
                script.line(format_args!("bytes-to-string r{dst} r8"));
                script.allocated += cost::text_bytes(text.len() as u64);
                model[dst] = StringModel::new(&text);
            }
            _ => {
                script.line(format_args!("string-length {LOGGED} r{a}"));
                script.log(characters);
            }
        }
    }
    for (register, string) in model.iter().enumerate() {
        script.line(format_args!("move {LOGGED} r{register}"));
        script.log(format!("\"{}\"", string.text));
    }
    script
}

fn bytes_script(length: u8, operations: &[(u8, u8, u8)]) -> Script {
    let mut script = Script::default();
    let length = usize::from(length) * 40;
    script.line(format_args!("int r1 {length}"));
    script.line(format_args!("int r2 7"));
    script.line(format_args!("make-bytes r0 r1 r2"));
    let buffer = if length == 0 {
        0
    } else {
        cost::BUFFER_BYTES + length as u64
    };
    script.allocated += cost::BYTES_BYTES + buffer;
    let mut model = vec![7u8; length];
    for (what, number, byte) in operations.iter().copied() {
        if length == 0 {
            break;
        }
        let place = usize::from(number) * 40 % length + usize::from(what) % length.min(40);
        script.line(format_args!("int r1 {}", place % length));
        script.line(format_args!("int r2 {byte}"));
        script.line(format_args!("bytes-set r0 r1 r2"));
        model[place % length] = byte;
        script.line(format_args!("bytes-ref {LOGGED} r0 r1"));
        script.log(byte);
    }
    script.line(format_args!("bytes-length {LOGGED} r0"));
    script.log(length);
    script.line(format_args!("move {LOGGED} r0"));
    let text: String = model.iter().map(|byte| format!(" {byte}")).collect();
    script.log(format!("(bytes{text})"));
    script
}

fn operations(most: usize) -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    vec(any::<(u8, u8, u8)>(), 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn maps_keep_insertion_order_and_allocate_by_the_formula(operations in operations(200)) {
        map_script(&operations).check();
    }

    #[test]
    fn vectors_widen_grow_and_allocate_by_the_formula(first: (u8, u8), operations in operations(120)) {
        vector_script(first, &operations).check();
    }

    #[test]
    fn strings_count_characters_and_allocate_by_the_formula(operations in operations(100)) {
        string_script(&operations).check();
    }

    #[test]
    fn bytes_keep_what_is_put_there(length: u8, operations in operations(60)) {
        bytes_script(length, &operations).check();
    }
}
