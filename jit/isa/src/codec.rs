//! Program files (`.pwb`).
//!
//! ```text
//! offset  bytes  what
//!      0      4  "PWB1"
//!      4      2  version, little-endian (1)
//!      6      8  length of the code section
//!     14      8  length of the debug section
//!     22     32  BLAKE3 of the code section
//!     54     32  BLAKE3 of the debug section
//!     86         code section, then debug section
//! ```
//!
//! Numbers in the sections are varints (see [`crate::wire`]). The encoding is canonical: one
//! program has one file, and what decodes encodes to the same bytes.

use crate::error_kind::ErrorKind;
use crate::op::{OPERANDS_MAX, Op, Opcode};
use crate::operand::OperandKind;
use crate::program::{Constant, Debug, Function, FunctionDebug, Handler, Link, Program, Variable};
use crate::wire::{Decoded, Reader, Writer};

/// The first bytes of a program file.
pub const MAGIC: [u8; 4] = *b"PWB1";
/// The version this code writes.
///
/// | version | change |
/// |---|---|
/// | 1 | first |
pub const VERSION: u16 = 1;

/// Bytes before the sections.
pub const HEAD_BYTES: usize = 86;

/// The program as a file.
pub fn encode(program: &Program) -> Vec<u8> {
    let mut code = Writer::default();
    write_code(&mut code, program);
    let mut debug = Writer::default();
    write_debug(&mut debug, &program.debug);
    file_of(&code.bytes, &debug.bytes)
}

/// A file of two sections, whatever they hold; [`encode`] is the way to get sound ones.
pub fn file_of(code: &[u8], debug: &[u8]) -> Vec<u8> {
    let mut file = Writer::default();
    file.bytes.extend_from_slice(&MAGIC);
    file.u16(VERSION);
    file.u64(code.len() as u64);
    file.u64(debug.len() as u64);
    file.bytes.extend_from_slice(blake3::hash(code).as_bytes());
    file.bytes.extend_from_slice(blake3::hash(debug).as_bytes());
    file.bytes.extend_from_slice(code);
    file.bytes.extend_from_slice(debug);
    file.bytes
}

/// Reads a program file. The program is [well-formed](Program::check_form) but not yet verified.
///
/// # Errors
/// What is wrong, and where. Memory used is proportional to the input.
pub fn decode(bytes: &[u8]) -> Decoded<Program> {
    let mut file = Reader::new(bytes);
    if file.take(4)? != MAGIC {
        return Err(file.error("not a program file: it does not start with PWB1"));
    }
    let version = file.u16()?;
    if version != VERSION {
        return Err(file.error(format!("version {version}; this reader knows {VERSION}")));
    }
    let code_length = file.u64()?;
    let debug_length = file.u64()?;
    let code_hash = file.hash()?;
    let debug_hash = file.hash()?;
    let code = section(&mut file, code_length, code_hash, "code")?;
    let debug = section(&mut file, debug_length, debug_hash, "debug")?;
    file.finish()?;
    let mut reader = Reader::new(code);
    let mut program = read_code(&mut reader)?;
    reader.finish()?;
    let mut reader = Reader::new(debug);
    program.debug = read_debug(&mut reader)?;
    program.check_form().map_err(|what| reader.error(what))?;
    reader.finish()?;
    Ok(program)
}

fn section<'a>(
    file: &mut Reader<'a>,
    length: u64,
    hash: [u8; 32],
    name: &str,
) -> Decoded<&'a [u8]> {
    let length =
        usize::try_from(length).map_err(|_| file.error(format!("{name} section too long")))?;
    let bytes = file.take(length)?;
    if *blake3::hash(bytes).as_bytes() != hash {
        return Err(file.error(format!("the checksum of the {name} section does not match")));
    }
    Ok(bytes)
}

fn write_code(out: &mut Writer, program: &Program) {
    out.varint(program.functions.len() as u64);
    for function in &program.functions {
        write_function(out, function);
    }
    write_linkage(out, program);
}

fn read_code(input: &mut Reader<'_>) -> Decoded<Program> {
    let count = input.count(8)?;
    let mut functions = Vec::with_capacity(count);
    for _ in 0..count {
        functions.push(read_function(input)?);
    }
    let mut links = Vec::with_capacity(count);
    for _ in 0..count {
        let count = input.count(2)?;
        let mut table = Vec::with_capacity(count);
        for _ in 0..count {
            table.push(match input.u8()? {
                0 => Link::Function(input.varint32()?),
                1 => Link::Global(input.varint32()?),
                other => return Err(input.error(format!("no kind of link has the number {other}"))),
            });
        }
        links.push(table);
    }
    let globals = input.varint32()?;
    let entry = input.varint32()?;
    Ok(Program {
        functions,
        links,
        globals,
        entry,
        debug: Debug::default(),
    })
}

/// What links the functions of a program; the rest of its signature.
pub(crate) fn write_linkage(out: &mut Writer, program: &Program) {
    for table in &program.links {
        out.varint(table.len() as u64);
        for link in table {
            let (tag, index) = match link {
                Link::Function(index) => (0, *index),
                Link::Global(index) => (1, *index),
            };
            out.u8(tag);
            out.varint(u64::from(index));
        }
    }
    out.varint(u64::from(program.globals));
    out.varint(u64::from(program.entry));
}

/// The canonical form of a function: what its signature covers.
pub(crate) fn write_function(out: &mut Writer, function: &Function) {
    out.varint(u64::from(function.params));
    out.u8(u8::from(function.rest));
    out.varint(u64::from(function.captures));
    out.varint(u64::from(function.registers));
    out.varint(function.constants.len() as u64);
    for constant in &function.constants {
        write_constant(out, constant);
    }
    out.varint(function.code.len() as u64);
    for op in &function.code {
        write_op(out, op);
    }
    out.varint(function.handlers.len() as u64);
    for handler in &function.handlers {
        out.varint(u64::from(handler.start));
        out.varint(u64::from(handler.end));
        out.varint(u64::from(handler.target));
        out.varint(u64::from(handler.dst));
    }
    out.varint(function.gas.len() as u64);
    for gas in &function.gas {
        out.varint(u64::from(*gas));
    }
}

fn read_function(input: &mut Reader<'_>) -> Decoded<Function> {
    let params = input.varint16()?;
    let rest = input.flag()?;
    let captures = input.varint16()?;
    let registers = input.varint16()?;
    let count = input.count(1)?;
    let mut constants = Vec::with_capacity(count);
    for _ in 0..count {
        constants.push(read_constant(input)?);
    }
    let count = input.count(2)?;
    let mut code = Vec::with_capacity(count);
    for _ in 0..count {
        code.push(read_op(input)?);
    }
    let count = input.count(4)?;
    let mut handlers = Vec::with_capacity(count);
    for _ in 0..count {
        handlers.push(Handler {
            start: input.varint32()?,
            end: input.varint32()?,
            target: input.varint32()?,
            dst: input.varint16()?,
        });
    }
    let count = input.count(1)?;
    let mut gas = Vec::with_capacity(count);
    for _ in 0..count {
        gas.push(input.varint16()?);
    }
    Ok(Function {
        params,
        rest,
        captures,
        registers,
        code,
        constants,
        handlers,
        gas,
    })
}

fn write_op(out: &mut Writer, op: &Op) {
    out.u16(op.opcode().0);
    for (kind, raw) in op.operands() {
        match kind {
            OperandKind::Imm => out.signed(raw as i64),
            OperandKind::FloatBits => out.u64(raw),
            _ => out.varint(raw),
        }
    }
}

fn read_op(input: &mut Reader<'_>) -> Decoded<Op> {
    let opcode = Opcode(input.u16()?);
    let Some(info) = opcode.info() else {
        return Err(input.error(format!("no instruction has the number {:#06x}", opcode.0)));
    };
    let mut raw = [0; OPERANDS_MAX];
    for (value, (_, kind)) in raw.iter_mut().zip(info.operands) {
        *value = match kind {
            OperandKind::Imm => input.signed()? as u64,
            OperandKind::FloatBits => input.u64()?,
            _ => input.varint()?,
        };
    }
    Op::from_raw(opcode, &raw[..info.operands.len()]).ok_or_else(|| {
        input.error(format!(
            "an operand of {} is out of its range",
            info.mnemonic
        ))
    })
}

fn write_constant(out: &mut Writer, constant: &Constant) {
    match constant {
        Constant::Nil => out.u8(0),
        Constant::Bool(value) => out.u8(1 + u8::from(*value)),
        Constant::Int(value) => {
            out.u8(3);
            out.signed(*value);
        }
        Constant::Float(bits) => {
            out.u8(4);
            out.u64(*bits);
        }
        Constant::Symbol(text) => {
            out.u8(5);
            out.text(text);
        }
        Constant::String(text) => {
            out.u8(6);
            out.text(text);
        }
        Constant::Pair(car, cdr) => {
            out.u8(7);
            out.varint(u64::from(*car));
            out.varint(u64::from(*cdr));
        }
        Constant::Function(link) => {
            out.u8(8);
            out.varint(u64::from(*link));
        }
        Constant::ActorId(id) => {
            out.u8(9);
            out.varint(*id);
        }
        Constant::Capability { name, parameter } => {
            out.u8(10 + u8::from(parameter.is_some()));
            out.text(name);
            if let Some(parameter) = parameter {
                out.varint(u64::from(*parameter));
            }
        }
        Constant::Error { kind, message } => {
            out.u8(12);
            out.u8(*kind as u8);
            out.text(message);
        }
    }
}

fn read_constant(input: &mut Reader<'_>) -> Decoded<Constant> {
    Ok(match input.u8()? {
        0 => Constant::Nil,
        1 => Constant::Bool(false),
        2 => Constant::Bool(true),
        3 => Constant::Int(input.signed()?),
        4 => Constant::Float(input.u64()?),
        5 => Constant::Symbol(input.text()?.to_owned()),
        6 => Constant::String(input.text()?.to_owned()),
        7 => Constant::Pair(input.varint32()?, input.varint32()?),
        8 => Constant::Function(input.varint32()?),
        9 => Constant::ActorId(input.varint()?),
        tag @ (10 | 11) => {
            let name = input.text()?.to_owned();
            let parameter = if tag == 11 {
                Some(input.varint32()?)
            } else {
                None
            };
            Constant::Capability { name, parameter }
        }
        12 => {
            let tag = input.u8()?;
            let Some(kind) = ErrorKind::from_tag(tag) else {
                return Err(input.error(format!("no kind of error has the number {tag}")));
            };
            Constant::Error {
                kind,
                message: input.text()?.to_owned(),
            }
        }
        other => return Err(input.error(format!("no kind of constant has the number {other}"))),
    })
}

fn write_debug(out: &mut Writer, debug: &Debug) {
    out.text(&debug.file);
    out.varint(debug.functions.len() as u64);
    for function in &debug.functions {
        out.text(&function.name);
        out.varint(function.lines.len() as u64);
        for (pc, line) in &function.lines {
            out.varint(u64::from(*pc));
            out.varint(u64::from(*line));
        }
        out.varint(function.variables.len() as u64);
        for variable in &function.variables {
            out.text(&variable.name);
            out.varint(u64::from(variable.register));
            out.varint(u64::from(variable.start));
            out.varint(u64::from(variable.end));
        }
        write_texts(out, &function.annotations);
    }
    write_texts(out, &debug.globals);
}

fn read_debug(input: &mut Reader<'_>) -> Decoded<Debug> {
    let file = input.text()?.to_owned();
    let count = input.count(4)?;
    let mut functions = Vec::with_capacity(count);
    for _ in 0..count {
        let name = input.text()?.to_owned();
        let count = input.count(2)?;
        let mut lines = Vec::with_capacity(count);
        for _ in 0..count {
            lines.push((input.varint32()?, input.varint32()?));
        }
        let count = input.count(4)?;
        let mut variables = Vec::with_capacity(count);
        for _ in 0..count {
            variables.push(Variable {
                name: input.text()?.to_owned(),
                register: input.varint16()?,
                start: input.varint32()?,
                end: input.varint32()?,
            });
        }
        functions.push(FunctionDebug {
            name,
            lines,
            variables,
            annotations: read_texts(input)?,
        });
    }
    Ok(Debug {
        file,
        functions,
        globals: read_texts(input)?,
    })
}

fn write_texts(out: &mut Writer, texts: &[String]) {
    out.varint(texts.len() as u64);
    for text in texts {
        out.text(text);
    }
}

fn read_texts(input: &mut Reader<'_>) -> Decoded<Vec<String>> {
    let count = input.count(1)?;
    let mut texts = Vec::with_capacity(count);
    for _ in 0..count {
        texts.push(input.text()?.to_owned());
    }
    Ok(texts)
}
