//! Printing a function.
//!
//! Entries of the constant and link tables are written where they are used, if reading that text
//! numbers them as they are; else the tables are written out first. Which of the two is found by
//! doing what the reader would do.

use super::layout::{Layout, Variables};
use super::print::Names;
use super::tables::Tables;
use super::words;
use crate::kind::KindSet;
use crate::operand::{ClosureFrame, Frame, Operand, OperandKind, Span};
use crate::program::{Constant, Function, FunctionDebug, Link, Program};

/// Longer constants are written once, in the table, so that a text stays proportional to its program.
const INLINE_BYTES_MAX: u32 = 256;
/// Deeper nested `.try` blocks are indented no further.
const INDENT_MAX: usize = 8;

/// Appends a function.
pub(super) fn print(program: &Program, number: u32, names: &Names<'_>, out: &mut String) {
    let function = &program.functions[number as usize];
    let none = FunctionDebug::default();
    let debug = program.debug_of(number).unwrap_or(&none);
    let links = program
        .links
        .get(number as usize)
        .map_or(&[][..], Vec::as_slice);
    let variables = Variables::of(function, debug);
    variables.print_header(function, &names.functions.declared(number), out);
    let layout = Layout::of(function, debug);
    let plans = [(false, false), (false, true), (true, false), (true, true)];
    let printed = plans.into_iter().find_map(|(list_constants, list_links)| {
        let writer = Writer {
            function,
            links,
            names,
            list_constants,
            list_links,
            lengths: inline_lengths(function),
            found: Vec::new(),
            tables: Tables::default(),
            out: String::new(),
        };
        writer.print(&variables, &layout)
    });
    match printed {
        Some(body) => out.push_str(&body),
        None => unreachable!("tables that are written out are read as they are"),
    }
}

/// The length of each constant's text when it is written where it is used, at least; the most there
/// is for those that cannot be.
fn inline_lengths(function: &Function) -> Vec<u32> {
    let mut lengths: Vec<u32> = Vec::with_capacity(function.constants.len());
    for constant in &function.constants {
        let of = |other: &u32| lengths.get(*other as usize).copied().unwrap_or(u32::MAX);
        let text = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX);
        let length = match constant {
            Constant::Pair(car, cdr) => of(car).saturating_add(of(cdr)).saturating_add(5),
            Constant::Symbol(name) | Constant::String(name) => text(name).saturating_add(3),
            Constant::Capability { name, parameter } => text(name)
                .saturating_add(parameter.as_ref().map_or(0, of))
                .saturating_add(16),
            Constant::Error { message, .. } => text(message).saturating_add(16),
            _ => 8,
        };
        lengths.push(length);
    }
    lengths
}

/// Writes a body under one plan. `None` anywhere means that reading it would number the entries of a
/// table differently.
struct Writer<'p> {
    function: &'p Function,
    links: &'p [Link],
    names: &'p Names<'p>,
    list_constants: bool,
    list_links: bool,
    lengths: Vec<u32>,
    /// With listed constants: the entry that the reader finds for the text of each.
    found: Vec<Option<u32>>,
    /// The tables as the reader has them at this point.
    tables: Tables,
    out: String,
}

impl Writer<'_> {
    fn print(mut self, variables: &Variables<'_>, layout: &Layout) -> Option<String> {
        for annotation in &layout.annotations {
            self.line(0, &format!(".annotation {annotation}"));
        }
        for line in variables.lines.iter().chain(&layout.head) {
            self.line(0, line);
        }
        if self.list_links {
            for link in self.links {
                self.tables.push_link(*link);
                self.line(0, &format!(".link {}", self.names.link(*link)));
            }
        }
        if self.list_constants {
            for constant in &self.function.constants {
                let text = self.entry(constant)?;
                self.tables.push_constant(constant.clone());
                self.line(0, &format!(".const {text}"));
            }
            self.find_constants();
        }
        if layout.ends.is_empty() {
            for handler in &self.function.handlers {
                let [start, end, target] =
                    [handler.start, handler.end, handler.target].map(|pc| layout.place(pc));
                let register = variables.register(u64::from(handler.dst));
                self.line(0, &format!(".try {start}..{end} -> {target} {register}"));
            }
        }
        self.code(variables, layout)?;
        let same =
            self.tables.constants == self.function.constants && self.tables.links == self.links;
        same.then_some(self.out)
    }

    fn line(&mut self, depth: usize, text: &str) {
        for _ in 0..=depth.min(INDENT_MAX) {
            self.out.push_str("    ");
        }
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn code(&mut self, variables: &Variables<'_>, layout: &Layout) -> Option<()> {
        let gas_at = self.gas_to_write();
        let mut lines = layout.lines.iter().peekable();
        let mut begins = layout.begins.iter().peekable();
        let mut ends = layout.ends.iter().peekable();
        let mut depth = 0;
        for pc in 0..=self.function.code.len() as u32 {
            while ends.next_if(|end| **end == pc).is_some() {
                depth -= 1;
                self.line(depth, ".end");
            }
            while let Some((_, line)) = lines.next_if(|(start, _)| *start == pc) {
                self.line(depth, &format!(".line {line}"));
            }
            if layout.labels[pc as usize] {
                self.out.push_str(&format!("{}:\n", layout.place(pc)));
            }
            while let Some((_, at)) = begins.next_if(|(start, _)| *start == pc) {
                let handler = self.function.handlers[*at];
                let target = layout.place(handler.target);
                let register = variables.register(u64::from(handler.dst));
                self.line(depth, &format!(".try -> {target} {register}"));
                depth += 1;
            }
            let Some(op) = self.function.code.get(pc as usize) else {
                continue;
            };
            let mut text = op.info().mnemonic.to_owned();
            for (kind, raw) in op.operands() {
                text.push(' ');
                text.push_str(&self.operand(kind, raw, variables, layout)?);
            }
            if gas_at(pc as usize) {
                text.push_str(&format!(" gas={}", self.function.gas[pc as usize]));
            }
            self.line(depth, &text);
        }
        Some(())
    }

    /// Which instructions show their gas: those that differ from the opcode table, or one that tells
    /// that gas was given at all.
    fn gas_to_write(&self) -> impl Fn(usize) -> bool + use<> {
        let given = self.function.gas.iter().zip(&self.function.code);
        let mut shown: Vec<bool> = given
            .map(|(gas, op)| *gas != u16::from(op.info().gas))
            .collect();
        if !shown.contains(&true)
            && let Some(first) = shown.first_mut()
        {
            *first = true;
        }
        move |pc| shown.get(pc) == Some(&true)
    }

    fn operand(
        &mut self,
        kind: OperandKind,
        raw: u64,
        variables: &Variables<'_>,
        layout: &Layout,
    ) -> Option<String> {
        let register = |raw| variables.register(raw);
        Some(match kind {
            OperandKind::Def | OperandKind::Use => register(raw),
            OperandKind::Span => {
                let Span { first, count } = Span::from_raw(raw)?;
                format!("{} count={count}", register(u64::from(first)))
            }
            OperandKind::Frame => {
                let Frame { base, args } = Frame::from_raw(raw)?;
                format!("{} args={args}", register(u64::from(base)))
            }
            OperandKind::ClosureFrame => {
                let ClosureFrame { base, args } = ClosureFrame::from_raw(raw)?;
                format!("{} args={args}", register(u64::from(base)))
            }
            OperandKind::Imm => (raw as i64).to_string(),
            OperandKind::FloatBits => words::float_text(raw),
            OperandKind::Flag => (raw != 0).to_string(),
            OperandKind::Const => self.constant(raw as u32)?,
            OperandKind::FuncLink => self.link(raw as u32, '@')?,
            OperandKind::GlobalLink => self.link(raw as u32, '$')?,
            OperandKind::Label => layout.place(raw as u32),
            OperandKind::Index => raw.to_string(),
            OperandKind::Kinds => kinds_text(KindSet(raw as u32)),
        })
    }

    /// A reference to an entry of the link table.
    fn link(&mut self, position: u32, sigil: char) -> Option<String> {
        let by_position = format!("{sigil}%{position}");
        let Some(link) = self.links.get(position as usize) else {
            return Some(by_position);
        };
        let fits = match link {
            Link::Function(_) => sigil == '@',
            Link::Global(_) => sigil == '$',
        };
        if !fits {
            return Some(by_position);
        }
        if self.tables.link(*link) == position {
            Some(self.names.link(*link))
        } else {
            self.list_links.then_some(by_position)
        }
    }

    /// The text of an entry of the constant table, with parts by position.
    fn entry(&mut self, constant: &Constant) -> Option<String> {
        Some(match constant {
            Constant::Pair(car, cdr) => format!("'(%{car} . %{cdr})"),
            Constant::Capability { name, parameter } => {
                let parameter = parameter.map(|position| format!("%{position}"));
                capability_text(name, parameter)
            }
            _ => self.atom(constant)?,
        })
    }

    /// The text of a constant that does not refer to others.
    fn atom(&mut self, constant: &Constant) -> Option<String> {
        Some(match constant {
            Constant::Nil | Constant::Pair(..) | Constant::Capability { .. } => "nil".to_owned(),
            Constant::Bool(value) => value.to_string(),
            Constant::Int(value) => value.to_string(),
            Constant::Float(bits) => words::float_text(*bits),
            Constant::Symbol(name) => format!("'{}", words::name_text(name)),
            Constant::String(text) => words::quoted(text),
            Constant::Function(link) => self.link(*link, '@')?,
            Constant::ActorId(id) => format!("#actor({id})"),
            Constant::Error { kind, message } => {
                format!("#error({} {})", kind.name(), words::quoted(message))
            }
        })
    }

    /// With listed constants: what the reader finds for the text of each.
    fn find_constants(&mut self) {
        for constant in &self.function.constants {
            let of = |other: &u32| self.found.get(*other as usize).copied().flatten();
            let same = match constant {
                Constant::Pair(car, cdr) => match (of(car), of(cdr)) {
                    (Some(car), Some(cdr)) => Some(Constant::Pair(car, cdr)),
                    _ => None,
                },
                Constant::Capability {
                    name,
                    parameter: Some(parameter),
                } => of(parameter).map(|parameter| Constant::Capability {
                    name: name.clone(),
                    parameter: Some(parameter),
                }),
                _ => Some(constant.clone()),
            };
            let found = same.and_then(|same| self.tables.find_constant(&same));
            self.found.push(found);
        }
    }

    /// The operand that names a constant.
    fn constant(&mut self, position: u32) -> Option<String> {
        let length = self.lengths.get(position as usize).copied();
        let short = length.is_some_and(|length| length <= INLINE_BYTES_MAX);
        if self.list_constants {
            let found = self.found.get(position as usize).copied().flatten();
            if !short || found != Some(position) {
                return Some(format!("%{position}"));
            }
        } else {
            match length {
                None => return Some(format!("%{position}")),
                Some(_) if !short => return None,
                Some(_) => {}
            }
        }
        let (text, number) = self.inline(position, true)?;
        (number == position).then_some(text)
    }

    /// The text of a constant where it is used, and the number that the reader gives it. A text has at
    /// most [`INLINE_BYTES_MAX`] bytes, which bounds the depth of the recursion.
    fn inline(&mut self, position: u32, outermost: bool) -> Option<(String, u32)> {
        let constant = &self.function.constants[position as usize];
        let (text, constant) = match constant {
            Constant::Pair(..) => return self.inline_list(position, outermost),
            Constant::Capability { name, parameter } => {
                let inner = match parameter {
                    Some(parameter) => Some(self.inline(*parameter, false)?),
                    None => None,
                };
                let (text, parameter) = inner.unzip();
                let name = name.clone();
                (
                    capability_text(&name, text),
                    Constant::Capability { name, parameter },
                )
            }
            Constant::Symbol(name) if !outermost && words::is_bare_symbol(name) => {
                (name.clone(), constant.clone())
            }
            _ => (self.atom(constant)?, constant.clone()),
        };
        Some((text, self.tables.constant(constant)))
    }

    fn inline_list(&mut self, position: u32, outermost: bool) -> Option<(String, u32)> {
        let mut text = if outermost { "'(" } else { "(" }.to_owned();
        let mut items = Vec::new();
        let mut rest = position;
        while let Constant::Pair(car, cdr) = self.function.constants[rest as usize] {
            let (item, number) = self.inline(car, false)?;
            if !items.is_empty() {
                text.push(' ');
            }
            text.push_str(&item);
            items.push(number);
            rest = cdr;
        }
        let (tail, end) = self.inline(rest, false)?;
        if self.function.constants[rest as usize] != Constant::Nil {
            text.push_str(&format!(" . {tail}"));
        }
        text.push(')');
        let number = items.iter().rev().fold(end, |rest, item| {
            self.tables.constant(Constant::Pair(*item, rest))
        });
        Some((text, number))
    }
}

fn capability_text(name: &str, parameter: Option<String>) -> String {
    let name = words::name_text(name);
    match parameter {
        Some(parameter) => format!("#capability({name} {parameter})"),
        None => format!("#capability({name})"),
    }
}

fn kinds_text(kinds: KindSet) -> String {
    if kinds == KindSet::ANY {
        return "any".to_owned();
    }
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join("|"),
    }
}
