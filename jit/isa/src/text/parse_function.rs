//! Reading the body of a function.

use std::collections::BTreeMap;

use super::datum;
use super::lexer::{Cursor, Line};
use super::parse::{Header, Names, Target};
use super::tables::Tables;
use super::words;
use super::{TextError, TextErrors};
use crate::kind::{Kind, KindSet};
use crate::op::{Op, Opcode};
use crate::operand::{ClosureFrame, Flag, Frame, Imm, Kinds, Operand, OperandKind, Span};
use crate::program::{Function, FunctionDebug, Handler, Link, Variable};

/// Reads a function. What is wrong is added to `errors`; the result then means nothing.
pub(super) fn read<'l, 'a>(
    header: &Header<'l>,
    body: &[&'l Line<'a>],
    names: &Names<'l>,
    errors: &mut TextErrors,
) -> (Function, Vec<Link>, FunctionDebug) {
    let mut reader = Body::new(header, names);
    for line in body {
        if let Err(error) = reader.read_line(Cursor::new(line)) {
            errors.0.push(error);
        }
    }
    reader.finish(header, errors)
}

/// A place in the code: known, or a label that may still come.
enum Place<'l, 'a> {
    At(u32),
    Label(&'l str, Cursor<'l, 'a>),
}

/// A `.try` whose places are not yet known.
struct PendingHandler<'l, 'a> {
    start: Place<'l, 'a>,
    end: Place<'l, 'a>,
    target: Place<'l, 'a>,
    dst: u16,
}

/// A `.try` whose `.end` has not come.
struct OpenTry<'l, 'a> {
    start: u32,
    target: Place<'l, 'a>,
    dst: u16,
    cursor: Cursor<'l, 'a>,
}

/// Where a register variable is to be found.
struct PendingVariable<'l, 'a> {
    name: String,
    register: u16,
    /// Absent for the whole function.
    range: Option<(Place<'l, 'a>, Place<'l, 'a>)>,
}

struct Body<'n, 'l, 'a> {
    names: &'n Names<'l>,
    tables: Tables,
    code: Vec<Op>,
    gas: Vec<Option<u16>>,
    lines: Vec<(u32, u32)>,
    annotations: Vec<String>,
    variables: Vec<PendingVariable<'l, 'a>>,
    registers: BTreeMap<&'l str, u16>,
    next_local: u32,
    labels: BTreeMap<&'l str, u32>,
    /// Jumps to labels: pc, position of the operand, label.
    jumps: Vec<(usize, usize, Place<'l, 'a>)>,
    handlers: Vec<PendingHandler<'l, 'a>>,
    open: Vec<OpenTry<'l, 'a>>,
}

impl<'n, 'l, 'a> Body<'n, 'l, 'a> {
    fn new(header: &Header<'l>, names: &'n Names<'l>) -> Self {
        let mut body = Body {
            names,
            tables: Tables::default(),
            code: Vec::new(),
            gas: Vec::new(),
            lines: Vec::new(),
            annotations: Vec::new(),
            variables: Vec::new(),
            registers: BTreeMap::new(),
            next_local: u32::from(header.params)
                + u32::from(header.rest)
                + u32::from(header.captures > 0),
            labels: BTreeMap::new(),
            jumps: Vec::new(),
            handlers: Vec::new(),
            open: Vec::new(),
        };
        for (register, name) in header.parameter_names.iter().enumerate() {
            body.declare(name, register as u16);
        }
        body
    }

    fn pc(&self) -> u32 {
        self.code.len() as u32
    }

    /// Adds a variable of the whole function; `false` when another has the name.
    fn declare(&mut self, name: &'l str, register: u16) -> bool {
        self.variables.push(PendingVariable {
            name: name.to_owned(),
            register,
            range: None,
        });
        self.registers.insert(name, register).is_none()
    }

    fn read_line(&mut self, mut cursor: Cursor<'l, 'a>) -> Result<(), TextError> {
        while let Some(label) = cursor.peek_word().and_then(|word| word.strip_suffix(':')) {
            if !words::is_identifier(label) {
                return Err(cursor.expected("a label made of letters, digits and _-+*/<>=!?&^~|"));
            }
            if self.labels.insert(label, self.pc()).is_some() {
                return Err(cursor.expected("a label that stands nowhere else in the function"));
            }
            cursor.skip();
        }
        match cursor.peek_word() {
            None if cursor.peek().is_none() => Ok(()),
            Some(word) if word.starts_with('.') => {
                self.directive(&mut cursor, word)?;
                cursor.finish()
            }
            _ => self.instruction(&mut cursor),
        }
    }

    fn instruction(&mut self, cursor: &mut Cursor<'l, 'a>) -> Result<(), TextError> {
        let place = cursor.clone();
        let opcode = cursor.word("an instruction, a label or a directive", |word| {
            Opcode::from_mnemonic(word)
        })?;
        let operands = opcode.info().map_or(&[][..], |info| info.operands);
        let mut raw = Vec::with_capacity(operands.len());
        for (index, (name, kind)) in operands.iter().enumerate() {
            if cursor.peek().is_none() {
                return Err(cursor.expected(&format!("operand `{name}`")));
            }
            raw.push(match kind {
                OperandKind::Label => match self.place(cursor, "a label")? {
                    Place::At(pc) => u64::from(pc),
                    label => {
                        self.jumps.push((self.code.len(), index, label));
                        0
                    }
                },
                _ => self.operand(cursor, *kind)?,
            });
        }
        let gas = match cursor.peek_word() {
            Some(word) if word.starts_with("gas=") => Some(cursor.keyed("gas")?),
            _ => None,
        };
        cursor.finish()?;
        let Some(op) = Op::from_raw(opcode, &raw) else {
            return Err(place.expected("an instruction with operands in range"));
        };
        self.code.push(op);
        self.gas.push(gas);
        Ok(())
    }

    /// Reads an operand and gives its raw form.
    fn operand(
        &mut self,
        cursor: &mut Cursor<'l, 'a>,
        kind: OperandKind,
    ) -> Result<u64, TextError> {
        let (names, tables) = (self.names, &mut self.tables);
        Ok(match kind {
            OperandKind::Def | OperandKind::Use => u64::from(self.register(cursor)?),
            OperandKind::Span => {
                let first = self.register(cursor)?;
                let count = cursor.keyed("count")?;
                Span { first, count }.to_raw()
            }
            OperandKind::Frame => {
                let base = self.register(cursor)?;
                let args = cursor.keyed("args")?;
                Frame { base, args }.to_raw()
            }
            OperandKind::ClosureFrame => {
                let base = self.register(cursor)?;
                let args = cursor.keyed("args")?;
                ClosureFrame { base, args }.to_raw()
            }
            OperandKind::Imm => {
                Imm(cursor.word("a number of 64 bits with sign", words::signed)?).to_raw()
            }
            OperandKind::FloatBits => cursor.word("a float", words::float)?,
            OperandKind::Flag => {
                let value = cursor.word("`true` or `false`", |word| match word {
                    "true" => Some(true),
                    "false" => Some(false),
                    _ => None,
                })?;
                Flag(value).to_raw()
            }
            OperandKind::Const => u64::from(datum::read(cursor, tables, names)?),
            OperandKind::FuncLink => u64::from(names.function_link(cursor, tables)?),
            OperandKind::GlobalLink => u64::from(names.global_link(cursor, tables)?),
            OperandKind::Label | OperandKind::Index => {
                u64::from(cursor.word("a number of 32 bits", words::unsigned::<u32>)?)
            }
            OperandKind::Kinds => Kinds(cursor.word("kinds, such as int|float", kinds)?).to_raw(),
        })
    }

    fn register(&self, cursor: &mut Cursor<'l, 'a>) -> Result<u16, TextError> {
        cursor.word("a register", |word| match self.registers.get(word) {
            Some(register) => Some(*register),
            None => u16::try_from(words::register(word)?).ok(),
        })
    }

    /// A label or a pc.
    fn place(&self, cursor: &mut Cursor<'l, 'a>, what: &str) -> Result<Place<'l, 'a>, TextError> {
        let here = cursor.clone();
        cursor.word(what, |word| place_of(word, &here))
    }

    /// `start..end`.
    fn range(
        &self,
        cursor: &mut Cursor<'l, 'a>,
    ) -> Result<(Place<'l, 'a>, Place<'l, 'a>), TextError> {
        let here = cursor.clone();
        cursor.word("a range of code, such as start..end", |word| {
            let (start, end) = word.split_once("..")?;
            Some((place_of(start, &here)?, place_of(end, &here)?))
        })
    }

    fn directive(&mut self, cursor: &mut Cursor<'l, 'a>, word: &str) -> Result<(), TextError> {
        let start = cursor.clone();
        cursor.skip();
        match word {
            ".line" => {
                let line = cursor.word("the number of a line", words::unsigned)?;
                let pc = match cursor.peek() {
                    None => self.pc(),
                    Some(_) => cursor.keyed("at")?,
                };
                self.lines.push((pc, line));
            }
            ".annotation" => {
                let text = cursor.name("an annotation")?.to_owned();
                self.annotations.push(text);
            }
            ".locals" => self.locals(cursor)?,
            ".var" => self.variable(cursor)?,
            ".const" => self.constant(cursor)?,
            ".link" => self.link(cursor)?,
            ".try" => self.handler(cursor, start)?,
            ".end" => {
                let Some(open) = self.open.pop() else {
                    return Err(start.expected("no `.end` without `.try`"));
                };
                self.handlers.push(PendingHandler {
                    start: Place::At(open.start),
                    end: Place::At(self.pc()),
                    target: open.target,
                    dst: open.dst,
                });
            }
            _ => return Err(start.expected("a directive of a function")),
        }
        Ok(())
    }

    fn handler(
        &mut self,
        cursor: &mut Cursor<'l, 'a>,
        start: Cursor<'l, 'a>,
    ) -> Result<(), TextError> {
        const ARROW: &str = "->";
        let range = match cursor.peek_word() {
            Some(ARROW) => None,
            _ => Some(self.range(cursor)?),
        };
        cursor.word("`->`", |word| (word == ARROW).then_some(()))?;
        let target = self.place(cursor, "a label")?;
        let dst = self.register(cursor)?;
        match range {
            Some((start, end)) => self.handlers.push(PendingHandler {
                start,
                end,
                target,
                dst,
            }),
            None => self.open.push(OpenTry {
                start: self.pc(),
                target,
                dst,
                cursor: start,
            }),
        }
        Ok(())
    }

    fn locals(&mut self, cursor: &mut Cursor<'l, 'a>) -> Result<(), TextError> {
        while cursor.peek().is_some() {
            let place = cursor.clone();
            let name = cursor.word("the name of a variable", |word| {
                words::is_variable_name(word).then_some(word)
            })?;
            let Ok(register) = u16::try_from(self.next_local) else {
                return Err(place.expected("at most 65536 registers"));
            };
            if !self.declare(name, register) {
                return Err(place.expected("a name that no other variable has"));
            }
            self.next_local += 1;
        }
        Ok(())
    }

    fn variable(&mut self, cursor: &mut Cursor<'l, 'a>) -> Result<(), TextError> {
        let place = cursor.clone();
        let name = cursor.name("the name of a variable")?;
        let register = self.register(cursor)?;
        if cursor.peek().is_some() {
            let range = Some(self.range(cursor)?);
            self.variables.push(PendingVariable {
                name: name.to_owned(),
                register,
                range,
            });
            return Ok(());
        }
        if !words::is_variable_name(name) || !self.declare(name, register) {
            return Err(place.expected("a name of letters and digits that no other variable has"));
        }
        Ok(())
    }

    /// An entry of the constant table, even when there is an equal one.
    fn constant(&mut self, cursor: &mut Cursor<'l, 'a>) -> Result<(), TextError> {
        let constant = datum::read_entry(cursor, &mut self.tables, self.names)?;
        self.tables.push_constant(constant);
        Ok(())
    }

    /// An entry of the link table, even when there is an equal one.
    fn link(&mut self, cursor: &mut Cursor<'l, 'a>) -> Result<(), TextError> {
        let place = cursor.clone();
        let is_global = cursor.peek_word().is_some_and(|word| word.starts_with('$'));
        let target = if is_global {
            self.names.global(cursor)?
        } else {
            self.names.function(cursor)?
        };
        let Target::Number(number) = target else {
            return Err(place.expected("a function or global, not the position of a link"));
        };
        self.tables.push_link(if is_global {
            Link::Global(number)
        } else {
            Link::Function(number)
        });
        Ok(())
    }

    fn finish(
        mut self,
        header: &Header<'l>,
        errors: &mut TextErrors,
    ) -> (Function, Vec<Link>, FunctionDebug) {
        for open in &self.open {
            errors
                .0
                .push(open.cursor.expected("an `.end` for each `.try`"));
        }
        let labels = &self.labels;
        let mut locate = |place: &Place<'l, 'a>| match place {
            Place::At(pc) => *pc,
            Place::Label(name, cursor) => labels.get(name).copied().unwrap_or_else(|| {
                errors.0.push(cursor.expected("a label of this function"));
                0
            }),
        };
        for (pc, operand, label) in &self.jumps {
            let target = u64::from(locate(label));
            // A line in error has left no instruction, and its program is not used.
            let Some(op) = self.code.get_mut(*pc) else {
                continue;
            };
            let mut raw = op.raw_operands();
            if *operand < raw.as_slice().len() {
                raw.replace(*operand, target);
                *op = Op::from_raw(op.opcode(), raw.as_slice()).unwrap_or(*op);
            }
        }
        let handlers = self.handlers.iter().map(|handler| Handler {
            start: locate(&handler.start),
            end: locate(&handler.end),
            target: locate(&handler.target),
            dst: handler.dst,
        });
        let handlers = handlers.collect();
        let code_end = self.code.len() as u32;
        let variables = self.variables.into_iter().map(|variable| {
            let (start, end) = match &variable.range {
                Some((start, end)) => (locate(start), locate(end)),
                None => (0, code_end),
            };
            Variable {
                name: variable.name,
                register: variable.register,
                start,
                end,
            }
        });
        let debug = FunctionDebug {
            name: header.name.clone(),
            variables: variables.collect(),
            lines: self.lines,
            annotations: self.annotations,
        };
        let gas = if self.gas.iter().any(Option::is_some) {
            let table = self.code.iter().map(|op| u16::from(op.info().gas));
            let given = self.gas.iter().zip(table);
            given.map(|(gas, table)| gas.unwrap_or(table)).collect()
        } else {
            Vec::new()
        };
        let mut function = Function {
            params: header.params,
            rest: header.rest,
            captures: header.captures,
            registers: 0,
            code: self.code,
            constants: self.tables.constants,
            handlers,
            gas,
        };
        function.registers = header
            .registers
            .unwrap_or_else(|| words::inferred_registers(&function, &debug.variables));
        (function, self.tables.links, debug)
    }
}

fn place_of<'l, 'a>(word: &'l str, cursor: &Cursor<'l, 'a>) -> Option<Place<'l, 'a>> {
    match words::unsigned(word) {
        Some(pc) => Some(Place::At(pc)),
        None if words::is_identifier(word) => Some(Place::Label(word, cursor.clone())),
        None => None,
    }
}

/// `any`, `none`, or names of kinds separated by `|`.
fn kinds(word: &str) -> Option<KindSet> {
    match word {
        "any" => Some(KindSet::ANY),
        "none" => Some(KindSet::default()),
        _ => word.split('|').try_fold(KindSet::default(), |set, name| {
            Kind::from_name(name).map(|kind| KindSet(set.0 | KindSet::of(&[kind]).0))
        }),
    }
}
