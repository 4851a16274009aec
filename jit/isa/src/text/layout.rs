//! What a printed function consists of beside its instructions: its header, its variables, and what
//! stands between the instructions.

use std::collections::BTreeMap;

use super::words;
use crate::op::Op;
use crate::program::{Function, FunctionDebug};

/// How registers are called, and how the variables of the debug section are declared.
pub(super) struct Variables<'p> {
    /// Parameters with names in the header: all of them or none.
    header: Vec<&'p str>,
    /// Declarations of the other variables.
    pub(super) lines: Vec<String>,
    names: BTreeMap<u16, &'p str>,
    inferred_registers: u16,
}

impl<'p> Variables<'p> {
    pub(super) fn of(function: &Function, debug: &'p FunctionDebug) -> Variables<'p> {
        let end = function.code.len() as u32;
        let mut counts = BTreeMap::new();
        for variable in &debug.variables {
            *counts.entry(variable.name.as_str()).or_insert(0) += 1;
        }
        let whole: Vec<bool> = debug
            .variables
            .iter()
            .map(|variable| {
                variable.start == 0
                    && variable.end == end
                    && counts.get(variable.name.as_str()) == Some(&1)
                    && words::is_variable_name(&variable.name)
            })
            .collect();
        let mut names = BTreeMap::new();
        for (variable, _) in debug
            .variables
            .iter()
            .zip(&whole)
            .filter(|(_, whole)| **whole)
        {
            names
                .entry(variable.register)
                .or_insert(variable.name.as_str());
        }
        let in_header = usize::from(function.params) + usize::from(function.rest);
        let named = debug.variables.iter().zip(&whole).enumerate();
        let named = named
            .take(in_header)
            .take_while(|(at, (variable, whole))| **whole && usize::from(variable.register) == *at)
            .count()
            == in_header;
        let in_header = if named { in_header } else { 0 };
        let header = debug.variables[..in_header].iter();
        let header = header.map(|variable| variable.name.as_str()).collect();
        let mut lines = Vec::new();
        let mut next_local = function.entry_registers();
        let mut at = in_header;
        while let Some(variable) = debug.variables.get(at) {
            let locals: Vec<&str> = (debug.variables[at..].iter().zip(&whole[at..]))
                .zip(next_local..)
                .take_while(|((local, whole), next)| **whole && u32::from(local.register) == *next)
                .map(|((local, _), _)| local.name.as_str())
                .collect();
            if !locals.is_empty() {
                lines.push(format!(".locals {}", locals.join(" ")));
                next_local += locals.len() as u32;
                at += locals.len();
                continue;
            }
            let name = words::name_text(&variable.name);
            let register = variable.register;
            lines.push(if whole[at] {
                format!(".var {name} r{register}")
            } else {
                format!(
                    ".var {name} r{register} {}..{}",
                    variable.start, variable.end
                )
            });
            at += 1;
        }
        Variables {
            header,
            lines,
            names,
            inferred_registers: words::inferred_registers(function, &debug.variables),
        }
    }

    pub(super) fn print_header(&self, function: &Function, name: &str, out: &mut String) {
        let mut params: Vec<String> = self.header.iter().map(|name| (*name).to_owned()).collect();
        match params.last_mut() {
            Some(last) if function.rest => last.push_str("..."),
            Some(_) => {}
            None => {
                params.extend((function.params > 0).then(|| function.params.to_string()));
                params.extend(function.rest.then(|| "...".to_owned()));
            }
        }
        out.push_str(&format!("func {name}({})", params.join(", ")));
        if function.captures > 0 {
            out.push_str(&format!(" captures={}", function.captures));
        }
        if function.registers != self.inferred_registers {
            out.push_str(&format!(" registers={}", function.registers));
        }
        out.push('\n');
    }

    /// The name of a register.
    pub(super) fn register(&self, register: u64) -> String {
        match self.names.get(&(register as u16)) {
            Some(name) => (*name).to_owned(),
            None => format!("r{}", register as u16),
        }
    }
}

/// What stands between the instructions: lines, labels, beginnings and ends of handlers.
#[derive(Default)]
pub(super) struct Layout {
    /// Directives at the head of the function.
    pub(super) head: Vec<String>,
    /// Annotations as they are written.
    pub(super) annotations: Vec<String>,
    /// (pc, source line), if they can stand between the instructions.
    pub(super) lines: Vec<(u32, u32)>,
    /// Which places have a label, the end of the code included.
    pub(super) labels: Vec<bool>,
    /// (pc, position of the handler), in the order in which blocks begin.
    pub(super) begins: Vec<(u32, usize)>,
    /// The pc at which each handler's block ends, if handlers are written as blocks.
    pub(super) ends: Vec<u32>,
}

impl Layout {
    pub(super) fn of(function: &Function, debug: &FunctionDebug) -> Layout {
        let end = function.code.len() as u32;
        let mut layout = Layout {
            labels: vec![false; function.code.len() + 1],
            ..Layout::default()
        };
        let annotations = debug.annotations.iter();
        layout.annotations = annotations.map(|text| words::name_text(text)).collect();
        let rising = debug.lines.is_sorted_by_key(|(pc, _)| *pc);
        if rising && debug.lines.last().is_none_or(|(pc, _)| *pc <= end) {
            layout.lines = debug.lines.clone();
        } else {
            let lines = debug.lines.iter();
            layout.head = lines
                .map(|(pc, line)| format!(".line {line} at={pc}"))
                .collect();
        }
        let mut label = |pc: u32| {
            if let Some(slot) = layout.labels.get_mut(pc as usize) {
                *slot = true;
            }
        };
        function
            .code
            .iter()
            .filter_map(Op::label)
            .for_each(&mut label);
        let blocks = handler_blocks(function);
        for handler in &function.handlers {
            label(handler.target);
            if blocks.is_none() {
                label(handler.start);
                label(handler.end);
            }
        }
        if let Some(begins) = blocks {
            layout.begins = begins;
            layout.ends = function
                .handlers
                .iter()
                .map(|handler| handler.end)
                .collect();
        }
        layout
    }

    /// The name of a place in the code.
    pub(super) fn place(&self, pc: u32) -> String {
        match self.labels.get(pc as usize) {
            Some(true) => format!("L{pc}"),
            _ => pc.to_string(),
        }
    }
}

/// The order in which handlers begin when they are written as blocks, if blocks would give the same
/// handlers in the same order.
fn handler_blocks(function: &Function) -> Option<Vec<(u32, usize)>> {
    let handlers = &function.handlers;
    let end = function.code.len() as u32;
    let fits = handlers.is_sorted_by_key(|handler| handler.end)
        && (handlers.iter()).all(|handler| handler.start < handler.end && handler.end <= end);
    if !fits {
        return None;
    }
    let mut begins: Vec<(u32, usize)> = (handlers.iter().enumerate())
        .map(|(at, handler)| (handler.start, at))
        .collect();
    begins.sort_by_key(|(start, at)| (*start, std::cmp::Reverse(*at)));
    let mut open = Vec::new();
    let mut next = begins.iter().peekable();
    for (at, handler) in handlers.iter().enumerate() {
        while let Some((_, begun)) = next.next_if(|(start, _)| *start < handler.end) {
            open.push(*begun);
        }
        if open.pop() != Some(at) {
            return None;
        }
    }
    Some(begins)
}
