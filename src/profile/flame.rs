//! Folded stacks, and the flame graph that is drawn from them.

use std::collections::HashMap;
use std::io::{self, Write};

use inferno::flamegraph::{self, Options};
use pw_jit::CodeSpace;

use super::sample::{OMITTED, Profiler};

impl Profiler {
    /// The stacks that took gas, one a line: frames from the oldest to the newest, `;` between them, and
    /// the gas. The middle of a long stack is one frame `…`.
    pub fn folded(&self, code: &CodeSpace) -> Vec<String> {
        let labels = labels(code);
        let label = |function: (u32, u32)| match function {
            OMITTED => "…",
            known => labels[&known].as_str(),
        };
        // Different functions may look the same: their stacks are one.
        let mut lines: HashMap<String, u64> = HashMap::new();
        for node in self.nodes.iter().filter(|node| node.own.gas > 0) {
            let callers = std::iter::successors(Some(node), |node| {
                node.parent.map(|parent| &self.nodes[parent])
            });
            let mut frames: Vec<&str> = callers.map(|node| label(node.function)).collect();
            frames.reverse();
            *lines.entry(frames.join(";")).or_default() += node.own.gas;
        }
        let mut lines: Vec<String> = lines
            .into_iter()
            .map(|(stack, gas)| format!("{stack} {gas}"))
            .collect();
        lines.sort();
        lines
    }
}

/// How functions are called in stacks: by name, and by line too where several have the same.
fn labels(code: &CodeSpace) -> HashMap<(u32, u32), String> {
    let functions = (0..code.len()).flat_map(|number| {
        let program = code.program(number).program();
        (0..program.functions.len() as u32).map(move |function| {
            let name = program.function_name(function);
            ((number, function), name, program.line_at(function, 0))
        })
    });
    let functions: Vec<_> = functions.collect();
    let mut uses: HashMap<&str, u32> = HashMap::new();
    for (_, name, _) in &functions {
        *uses.entry(name).or_default() += 1;
    }
    let labels = functions.iter().map(|(at, name, line)| {
        let label = match line {
            Some(line) if uses[name.as_str()] > 1 => format!("{name}:{line}"),
            _ => name.clone(),
        };
        // What the format itself is made of.
        (*at, label.replace(';', ",").replace(char::is_control, " "))
    });
    labels.collect()
}

/// Draws folded stacks as an interactive SVG.
///
/// # Errors
/// Those of the writer, or that there is nothing to draw.
pub fn flame_graph(title: &str, folded: &[String], out: impl Write) -> io::Result<()> {
    let mut options = Options::default();
    options.title = title.to_owned();
    options.count_name = "gas".to_owned();
    // The same colours each time.
    options.hash = true;
    flamegraph::from_lines(&mut options, folded.iter().map(String::as_str), out)
}
