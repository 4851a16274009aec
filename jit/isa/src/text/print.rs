//! Printing a program: what concerns it as a whole. Functions are printed by `print_function`.

use std::collections::BTreeMap;

use super::print_function;
use super::words;
use crate::program::{Link, Program};

/// The program as assembly text that [`parse`](super::parse()) reads back as the same program, if it is
/// [well-formed](Program::check_form).
pub fn print(program: &Program) -> String {
    let debug = &program.debug;
    let mut out = String::new();
    if !debug.file.is_empty() {
        out.push_str(&format!(".file {}\n", words::quoted(&debug.file)));
    }
    let described = debug
        .functions
        .iter()
        .map(|function| function.name.as_str());
    let functions = Naming::new('@', described.collect());
    let globals = Naming::new('$', debug.globals.iter().map(String::as_str).collect());
    if debug.functions.is_empty() && !program.functions.is_empty() {
        out.push_str(".no-debug\n");
    }
    for number in 0..debug.globals.len() as u32 {
        out.push_str(&format!(".global {}\n", globals.declared(number)));
    }
    if debug.globals.is_empty() && program.globals > 0 {
        out.push_str(&format!(".globals {}\n", program.globals));
    }
    out.push_str(&format!(".entry {}\n", functions.reference(program.entry)));
    let names = Names { functions, globals };
    for number in 0..program.functions.len() as u32 {
        out.push('\n');
        print_function::print(program, number, &names, &mut out);
    }
    out
}

/// How functions and globals are called.
pub(super) struct Names<'p> {
    pub(super) functions: Naming<'p>,
    globals: Naming<'p>,
}

impl Names<'_> {
    /// A reference to what a link names.
    pub(super) fn link(&self, link: Link) -> String {
        match link {
            Link::Function(number) => self.functions.reference(number),
            Link::Global(number) => self.globals.reference(number),
        }
    }
}

/// Names of functions, or of globals: used where they are clear, else numbers.
pub(super) struct Naming<'p> {
    sigil: char,
    names: Vec<&'p str>,
    /// How many have a name.
    counts: BTreeMap<&'p str, u32>,
}

impl<'p> Naming<'p> {
    fn new(sigil: char, names: Vec<&'p str>) -> Naming<'p> {
        let mut counts = BTreeMap::new();
        for name in &names {
            *counts.entry(*name).or_insert(0) += 1;
        }
        Naming {
            sigil,
            names,
            counts,
        }
    }

    fn clear_name(&self, number: u32) -> Option<&'p str> {
        let name = *self.names.get(number as usize)?;
        let clear = !name.is_empty()
            && name.len() <= words::NAME_BYTES_MAX
            && self.counts.get(name) == Some(&1);
        clear.then_some(name)
    }

    /// `@name` or `@#3`.
    fn reference(&self, number: u32) -> String {
        match self.clear_name(number) {
            Some(name) => format!("{}{}", self.sigil, words::name_text(name)),
            None => format!("{}#{number}", self.sigil),
        }
    }

    /// What stands behind `func` or `.global`.
    pub(super) fn declared(&self, number: u32) -> String {
        if let Some(name) = self.clear_name(number) {
            return words::name_text(name);
        }
        match self.names.get(number as usize) {
            Some(name) if !name.is_empty() => format!("#{number} {}", words::name_text(name)),
            _ => format!("#{number}"),
        }
    }
}
