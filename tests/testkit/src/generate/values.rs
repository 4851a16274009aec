//! Operands: variables that fit, or values made on the spot.

use pw_isa::op::{Arith, Data};
use pw_isa::operand::{Def, Flag, FloatBits, Imm, OperandKind, Span, Use};
use pw_isa::{Constant, ErrorKind, KindSet, Op, Opcode};

use super::body::Body;
use super::kinds::{RISKY, Row, SAFE, Want};

const INTS: [i64; 14] = [
    0, 1, 2, 3, -1, 7, 10, 64, 100, -5, 255, 1_000, 40_000, -65_537,
];
const BIG_INTS: [i64; 14] = [
    i64::MAX,
    i64::MIN,
    i64::MAX - 1,
    i64::MIN + 1,
    -1,
    0,
    1 << 62,
    1 << 53,
    i32::MAX as i64,
    i32::MAX as i64 + 1,
    i32::MIN as i64,
    i32::MIN as i64 - 1,
    3_037_000_500,
    0x5555_5555_5555_5555,
];
const FLOATS: [f64; 14] = [
    0.0,
    1.5,
    -0.0,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    0.1,
    -2.5,
    1e300,
    5e-324,
    9_007_199_254_740_992.0,
    -9.3e18,
    3.0,
    -1.0,
];
const STRINGS: [&str; 5] = [
    "four",
    "zwölf Fische",
    "a string so long that it has a buffer of its own, which begins behind sixty-four bytes",
    "12345678",
    "日本語のテキスト",
];
const TEXTS: [&str; 6] = ["", "a", "ö", "42", "-1e3", "o"];

impl Body<'_, '_> {
    /// A register to read that should hold this; now and then one that does not.
    pub(super) fn operand(&mut self, want: Want) -> u16 {
        let odds = if self.trying > 0 { 40 } else { 1_500 };
        if self.tape.one_in(odds) {
            let wrong = self.tape.below(self.variables.len());
            return self.variables[wrong].0;
        }
        let fitting = self.variables_that(|have| have.serves(want));
        if fitting.contains(&self.recent) && self.tape.one_in(4) {
            return self.recent;
        }
        if !fitting.is_empty() && !self.tape.one_in(3) {
            return self.tape.pick(&fitting);
        }
        // A variable keeps what was made on the spot now and then.
        let register = if self.tape.one_in(6) {
            self.target(want)
        } else {
            self.take(1)
        };
        self.make(want, register);
        register
    }

    /// A register to write that a result of this kind may go to.
    pub(super) fn target(&mut self, gives: Want) -> u16 {
        let fitting = self.variables_that(|have| gives.serves(have));
        if fitting.is_empty() || self.tape.one_in(12) {
            return self.take(1);
        }
        self.recent = self.tape.pick(&fitting);
        self.recent
    }

    fn variables_that(&self, fit: impl Fn(Want) -> bool) -> Vec<u16> {
        let fitting = self.variables.iter().filter(|(_, want)| fit(*want));
        fitting.map(|(register, _)| *register).collect()
    }

    /// An instruction of the tables.
    pub(super) fn instruction(&mut self) {
        let odds = if self.trying > 0 { 12 } else { 150 };
        let rows = if self.tape.one_in(odds) { RISKY } else { SAFE };
        let row = self.tape.pick(rows);
        let dst = row.gives.map(|want| self.target(want));
        self.row(&row, dst);
    }

    /// A given instruction, its operands chosen.
    pub(super) fn row(&mut self, row: &Row, dst: Option<u16>) {
        let uses: Vec<u16> = row.takes.iter().map(|want| self.operand(*want)).collect();
        // Over its last operand now and then, as compilers do.
        let scratch = uses.last().copied().filter(|last| !self.is_variable(*last));
        let place = scratch.filter(|_| self.tape.one_in(8)).or(dst);
        let mut uses = uses.into_iter();
        let Some((opcode, info)) = Opcode::all().find(|(_, info)| info.mnemonic == row.mnemonic)
        else {
            panic!("no instruction is called {}", row.mnemonic);
        };
        let operands = info.operands.iter().map(|(_, kind)| match kind {
            OperandKind::Def => place.map_or(0, u64::from),
            OperandKind::Kinds => self.kinds(),
            _ => uses.next().map_or(0, u64::from),
        });
        let raw: Vec<u64> = operands.collect();
        let Some(op) = Op::from_raw(opcode, &raw) else {
            panic!("{} takes other operands than {raw:?}", row.mnemonic);
        };
        self.emit(op);
        match (place, dst) {
            (Some(place), Some(dst)) if place != dst => self.copy(dst, place),
            _ => {}
        }
    }

    fn is_variable(&self, register: u16) -> bool {
        self.variables
            .iter()
            .any(|(variable, _)| *variable == register)
    }

    fn kinds(&mut self) -> u64 {
        let bits = self.tape.below(1 << 16) as u32;
        u64::from(bits & KindSet::ANY.0)
    }

    /// Emits what puts such a value into a register.
    pub(super) fn make(&mut self, want: Want, register: u16) {
        let dst = Def(register);
        match want {
            Want::Int => self.small_int(register),
            Want::Big => self.int_of(register, &BIG_INTS),
            Want::NonZero => self.int_of(register, &[2, 3, 7, 10, 1_000, 97, 1 << 20, -3]),
            Want::Size => self.int_of(register, &[4, 5, 8, 9, 33, 4, 8, 70, 600, 3_000]),
            Want::End => self.int_of(register, &[4]),
            Want::Index => self.index(register),
            Want::Float => {
                let value = FloatBits(self.tape.pick(&FLOATS).to_bits());
                self.emit(Data::Float { dst, value });
            }
            Want::Bool => {
                let value = Flag(self.tape.one_in(2));
                self.emit(Data::Bool { dst, value });
            }
            Want::Num => self.one_of(register, &[Want::Int, Want::Float]),
            Want::Key => self.one_of(
                register,
                &[Want::Int, Want::Text, Want::Float, Want::Symbol, Want::Str],
            ),
            Want::Any => self.anything(register),
            Want::Str | Want::Text | Want::Symbol | Want::Error => {
                self.text_constant(want, register)
            }
            Want::List | Want::Pair => self.list(want, register),
            Want::Ints | Want::Floats | Want::Vector | Want::AnyVector => {
                self.vector(want, register)
            }
            Want::Bytes => self.table_row("make-bytes", Want::Bytes, register),
            Want::Map => self.table_row("make-map", Want::Map, register),
            Want::Cell => self.table_row("cell", Want::Cell, register),
            Want::Function(signature) => self.function_of(signature, register),
        }
    }

    fn table_row(&mut self, mnemonic: &str, gives: Want, register: u16) {
        let row = SAFE
            .iter()
            .find(|row| row.mnemonic == mnemonic && row.gives == Some(gives));
        if let Some(row) = row {
            self.row(row, Some(register));
        }
    }

    fn one_of(&mut self, register: u16, wants: &[Want]) {
        let want = self.tape.pick(wants);
        self.make(want, register);
    }

    /// `register <- value`.
    pub(super) fn int(&mut self, register: u16, value: i64) {
        self.emit(Data::Int {
            dst: Def(register),
            value: Imm(value),
        });
    }

    fn int_of(&mut self, register: u16, values: &[i64]) {
        let value = self.tape.pick(values);
        self.int(register, value);
    }

    fn small_int(&mut self, register: u16) {
        let value = self.tape.below(64);
        let value = INTS.get(value).copied().unwrap_or(value as i64);
        self.int(register, value);
    }

    /// Below four: a number, or what is left of one.
    fn index(&mut self, register: u16) {
        if !self.tape.one_in(2) {
            return self.int_of(register, &[0, 1, 2, 3]);
        }
        let a = Use(self.operand(Want::Big));
        let four = self.take(1);
        self.int(four, 4);
        self.emit(Arith::Mod {
            dst: Def(register),
            a,
            b: Use(four),
        });
    }

    /// A value of any kind, also of those that no instruction makes.
    fn anything(&mut self, register: u16) {
        let constant = match self.tape.below(12) {
            0 => return self.emit(Data::Nil { dst: Def(register) }),
            1 => Constant::ActorId(7),
            2 => Constant::Capability {
                name: "power".to_owned(),
                parameter: None,
            },
            3 => Constant::Int(i64::MIN),
            4 => Constant::Bool(true),
            5 if !self.plan.signatures.is_empty() => return self.make(Want::Function(0), register),
            6 => return self.make(Want::Map, register),
            7 => return self.make(Want::Ints, register),
            8 => return self.make(Want::Str, register),
            9 => return self.make(Want::Float, register),
            _ => return self.make(Want::Int, register),
        };
        self.constant(register, constant);
    }

    fn constant(&mut self, register: u16, constant: Constant) {
        let constant = self.code.constant(constant);
        self.emit(Data::Const {
            dst: Def(register),
            constant,
        });
    }

    fn text_constant(&mut self, want: Want, register: u16) {
        let text = |text: &str| text.to_owned();
        let constant = match want {
            Want::Str => Constant::String(text(self.tape.pick(&STRINGS))),
            Want::Text => Constant::String(text(self.tape.pick(&TEXTS))),
            Want::Symbol => Constant::Symbol(text(self.tape.pick(&TEXTS))),
            _ => Constant::Error {
                kind: self.tape.pick(&[ErrorKind::Error, ErrorKind::Timeout]),
                message: text(self.tape.pick(&STRINGS)),
            },
        };
        self.constant(register, constant);
    }

    /// A list: a constant, or a new one.
    fn list(&mut self, want: Want, register: u16) {
        if !self.tape.one_in(3) {
            let mut list = self.code.constant(Constant::Nil);
            for value in 0..self.tape.below(5) + usize::from(want == Want::Pair) {
                let value = self.code.constant(Constant::Int(value as i64));
                list = self.code.constant(Constant::Pair(value.0, list.0));
            }
            return self.emit(Data::Const {
                dst: Def(register),
                constant: list,
            });
        }
        self.table_row("cons", Want::Pair, register);
    }

    fn vector(&mut self, want: Want, register: u16) {
        let element = match want {
            Want::Ints => Want::Int,
            Want::Floats => Want::Float,
            _ => Want::Any,
        };
        let count = 4 + self.tape.below(4) as u16;
        let values = Span {
            first: self.take(count),
            count,
        };
        for index in 0..count {
            let free = self.free;
            self.make(element, values.first + index);
            self.free = free;
        }
        self.emit(Data::Vector {
            dst: Def(register),
            values,
        });
    }
}
