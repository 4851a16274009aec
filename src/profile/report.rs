//! Tables of functions, instructions and loops, the hottest first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use pw_isa::{KindSet, Program, text};
use pw_jit::failure::Place;
use pw_jit::interp::profile::{Site, Target};
use pw_jit::{CodeSpace, interp};

use super::sample::{FunctionWeight, Profiler, Weight};

/// A function that was sampled or entered.
#[derive(Clone, Debug)]
pub struct FunctionRow {
    /// Where it begins.
    pub place: Place,
    /// Its own instructions.
    pub own: Weight,
    /// With everything it calls; a function that calls itself counts once.
    pub total: Weight,
    /// How often it was called, as far as the fast interpreter made the calls itself: it counts them.
    pub calls: u64,
}

/// An instruction that was sampled.
#[derive(Clone, Debug)]
pub struct InstructionRow {
    /// Where it stands.
    pub place: Place,
    /// In assembly text.
    pub text: String,
    /// What it took.
    pub weight: Weight,
    /// What was seen there.
    pub seen: Seen,
}

/// What was seen at an instruction when it was about to run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// How often it was looked at.
    pub count: u64,
    /// The kinds of the values it read, all operands together.
    pub kinds: KindSet,
    /// The function that its call entered, or `several`.
    pub target: Option<String>,
}

/// An instruction of a listing.
#[derive(Clone, Debug)]
pub struct ListedInstruction {
    /// Where it stands.
    pub place: Place,
    /// In assembly text.
    pub text: String,
    /// What was seen there.
    pub seen: Seen,
}

/// The instructions of a function with what was observed at them.
pub fn function_listing(
    code: &CodeSpace,
    learnt: &interp::profile::Profile,
    program: u32,
    function: u32,
) -> Vec<ListedInstruction> {
    let texts = listing(code.program(program).program()).swap_remove(function as usize);
    let sites = learnt.function(program, function);
    let listed = (0..).zip(texts).map(|(pc, text)| ListedInstruction {
        place: place(code, (program, function, pc)),
        text,
        seen: seen(code, sites.get(pc as usize).copied().unwrap_or_default()),
    });
    listed.collect()
}

/// A loop.
#[derive(Clone, Debug)]
pub struct LoopRow {
    /// Its head.
    pub place: Place,
    /// How often the head was passed, as far as the fast interpreter did it itself.
    pub count: u64,
}

/// A profile as tables, each with its hottest rows first.
#[derive(Clone, Debug)]
pub struct Report {
    /// All functions that were sampled or entered.
    pub functions: Vec<FunctionRow>,
    /// All instructions that were sampled.
    pub instructions: Vec<InstructionRow>,
    /// All loops that ran.
    pub loops: Vec<LoopRow>,
}

impl Profiler {
    /// What was found, as tables.
    pub fn report(&self, code: &CodeSpace) -> Report {
        let mut functions = self.functions.clone();
        let mut calls = HashMap::new();
        let mut loops = Vec::new();
        for number in 0..code.len() {
            let counts = self.learnt.counts(code, number);
            for of_one in counts.chunk_by(|a, b| a.0 == b.0) {
                // The loops of a function, and then its entry.
                let Some(((function, _, entered), heads)) = of_one.split_last() else {
                    continue;
                };
                if *entered > 0 {
                    functions.entry((number, *function)).or_default();
                    calls.insert((number, *function), *entered);
                }
                loops.extend(heads.iter().filter(|head| head.2 > 0).map(
                    |(function, pc, count)| LoopRow {
                        place: place(code, (number, *function, *pc)),
                        count: *count,
                    },
                ));
            }
        }
        loops.sort_by_key(|row| Reverse(row.count));
        Report {
            functions: function_rows(code, functions, &calls),
            instructions: self.instruction_rows(code),
            loops,
        }
    }

    fn instruction_rows(&self, code: &CodeSpace) -> Vec<InstructionRow> {
        let sites: HashMap<(u32, u32, u32), Site> = self.learnt.sites().collect();
        let mut listings: BTreeMap<u32, Vec<Vec<String>>> = BTreeMap::new();
        let mut sampled: Vec<_> = self.instructions.iter().collect();
        sampled.sort_by_key(|(at, weight)| (Reverse(weight.gas), **at));
        sampled
            .into_iter()
            .map(|(at, weight)| {
                let listing = listings
                    .entry(at.0)
                    .or_insert_with(|| listing(code.program(at.0).program()));
                let site = sites.get(at).copied().unwrap_or_default();
                InstructionRow {
                    place: place(code, *at),
                    text: listing[at.1 as usize][at.2 as usize].clone(),
                    weight: *weight,
                    seen: seen(code, site),
                }
            })
            .collect()
    }
}

fn function_rows(
    code: &CodeSpace,
    functions: HashMap<(u32, u32), FunctionWeight>,
    calls: &HashMap<(u32, u32), u64>,
) -> Vec<FunctionRow> {
    let mut functions: Vec<_> = functions.into_iter().collect();
    functions.sort_by_key(|(at, weight)| (Reverse((weight.own.gas, weight.total.gas)), *at));
    functions
        .into_iter()
        .map(|(at, weight)| FunctionRow {
            place: place(code, (at.0, at.1, 0)),
            own: weight.own,
            total: weight.total,
            calls: calls.get(&at).copied().unwrap_or(0),
        })
        .collect()
}

fn seen(code: &CodeSpace, site: Site) -> Seen {
    Seen {
        count: site.count,
        kinds: site.kinds,
        target: match site.target {
            Target::None => None,
            Target::One(program, function) => Some(place(code, (program, function, 0)).to_string()),
            Target::Few(program, functions) => {
                let names = functions.into_iter().flatten();
                let names = names.map(|function| place(code, (program, function, 0)).to_string());
                Some(names.collect::<Vec<_>>().join(", "))
            }
            Target::Many => Some("several".to_owned()),
        },
    }
}

/// A place by program, function and pc.
fn place(code: &CodeSpace, (program, function, pc): (u32, u32, u32)) -> Place {
    Place::at(code, program, function, pc)
}

/// The instructions of each function as `pw disasm` prints them: what is indented and no directive.
fn listing(program: &Program) -> Vec<Vec<String>> {
    let mut functions: Vec<Vec<String>> = Vec::new();
    for line in text::print(program).lines() {
        let words = line.trim_start();
        if line.starts_with("func ") {
            functions.push(Vec::new());
        } else if words.len() < line.len()
            && !words.starts_with('.')
            && let Some(function) = functions.last_mut()
        {
            function.push(words.to_owned());
        }
    }
    functions
}

#[cfg(test)]
mod tests {
    use super::listing;
    use crate::source::{FileKind, load_program};

    #[test]
    fn a_listing_has_a_line_for_each_instruction() {
        let source = "(defn f [s] (try (string-append s \"a\\n  b\") (catch e nil)))
            (define g 1)
            (defn main [] (let loop ((i 0)) (if (< i 3) (begin (f 'x) (loop (+ i 1))) g)))";
        let verified = load_program("x.jue", FileKind::Jue, source.as_bytes()).unwrap();
        let program = verified.program();
        let listing = listing(program);
        assert_eq!(listing.len(), program.functions.len());
        for (function, lines) in program.functions.iter().zip(listing) {
            assert_eq!(lines.len(), function.code.len());
            for (op, line) in function.code.iter().zip(lines) {
                assert!(line.starts_with(op.info().mnemonic), "{line}");
            }
        }
    }
}
