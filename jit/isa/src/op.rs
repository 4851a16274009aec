//! Instructions: the enums made from the opcode table, and what can be asked of every row.
//!
//! `Op::Arith(Arith::Add { dst, a, b })`: the outer enum is the opcode module, the inner one the
//! instruction. Layers that execute match on the outer enum once and have one file a module with an
//! exhaustive match on the inner one.

pub use crate::access::{Access, Accesses};
use crate::kind::{Kind, KindSet};
pub use crate::opcode_table::*;
use crate::operand::OperandKind;

/// The number of an instruction in program files: module number in the high byte, position of the
/// row within its module in the low byte. Rows are only ever appended, so it never changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct Opcode(pub u16);

impl Opcode {
    /// The row of the opcode table, if there is an instruction with this number.
    #[inline]
    pub fn info(self) -> Option<&'static OpcodeInfo> {
        let module = MODULES.get(usize::from(self.0 >> 8))?;
        module.rows.get(usize::from(self.0 & 0xff))
    }

    /// The instruction with this mnemonic.
    pub fn from_mnemonic(mnemonic: &str) -> Option<Opcode> {
        Opcode::all()
            .find(|(_, info)| info.mnemonic == mnemonic)
            .map(|(opcode, _)| opcode)
    }

    /// Every instruction, in table order.
    pub fn all() -> impl Iterator<Item = (Opcode, &'static OpcodeInfo)> {
        MODULES.iter().enumerate().flat_map(|(module, rows)| {
            rows.rows
                .iter()
                .enumerate()
                .map(move |(row, info)| (Opcode((module << 8 | row) as u16), info))
        })
    }
}

/// What an instruction can do beside computing its result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Effects(pub u16);

impl Effects {
    /// May raise an error.
    pub const TRAP: Effects = Effects(1);
    /// A place where a fiber may be stopped, saved and moved by every tier.
    pub const SAFEPOINT: Effects = Effects(1 << 1);
    /// Allocates, so a collection may happen.
    pub const ALLOCATE: Effects = Effects(1 << 2);
    /// May wait for an answer of the host.
    pub const SUSPEND: Effects = Effects(1 << 3);
    /// Enters another function.
    pub const CALL: Effects = Effects(1 << 4);
    /// Control does not go on at the next instruction.
    pub const END: Effects = Effects(1 << 5);
    /// Reads what another instruction can change.
    pub const READ: Effects = Effects(1 << 6);
    /// Changes what another instruction can read.
    pub const WRITE: Effects = Effects(1 << 7);
    /// Delivered to the host, or changes what that answers.
    pub const HOST: Effects = Effects(1 << 8);

    /// The effects of both.
    pub const fn with(self, other: Effects) -> Effects {
        Effects(self.0 | other.0)
    }

    /// Whether all of `other` are among these.
    pub const fn has(self, other: Effects) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of the effects, as in the opcode table.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        const NAMES: [&str; 9] = [
            "trap",
            "safepoint",
            "allocate",
            "suspend",
            "call",
            "end",
            "read",
            "write",
            "host",
        ];
        NAMES
            .into_iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 & (1 << bit) != 0)
            .map(|(_, name)| name)
    }
}

/// What the size-proportional part of an instruction's gas counts; see [`crate::cost`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// Fixed gas only.
    None,
    /// Bytes read or written.
    Bytes,
    /// Elements read or written.
    Elements,
    /// Objects visited.
    Nodes,
}

/// A row of the opcode table.
#[derive(Debug)]
pub struct OpcodeInfo {
    /// The instruction's name in the enum.
    pub name: &'static str,
    /// Its name in assembly text.
    pub mnemonic: &'static str,
    /// Names and kinds of its operands.
    pub operands: &'static [(&'static str, OperandKind)],
    /// Gas charged before it runs, the failing one included.
    pub gas: u8,
    /// What is charged on top of it.
    pub work: Work,
    /// What it can do beside computing its result.
    pub effects: Effects,
    /// The kinds that its result can have.
    pub result: KindSet,
    /// What it does.
    pub doc: &'static str,
}

/// A module of the opcode table.
#[derive(Debug)]
pub struct ModuleInfo {
    /// Its name, the same in every layer.
    pub name: &'static str,
    /// What it is about.
    pub doc: &'static str,
    /// Its instructions.
    pub rows: &'static [OpcodeInfo],
}

/// The most operands any instruction has.
pub const OPERANDS_MAX: usize = 6;

/// The operands of one instruction in raw form, in the order of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawOperands {
    raw: [u64; OPERANDS_MAX],
    len: u8,
}

impl RawOperands {
    pub(crate) fn of(operands: &[u64]) -> RawOperands {
        let mut raw = [0; OPERANDS_MAX];
        raw[..operands.len()].copy_from_slice(operands);
        RawOperands {
            raw,
            len: operands.len() as u8,
        }
    }

    pub(crate) fn replace(&mut self, index: usize, raw: u64) {
        self.raw[index] = raw;
    }

    /// The raw forms.
    pub fn as_slice(&self) -> &[u64] {
        &self.raw[..usize::from(self.len)]
    }
}

impl Op {
    /// The row of the opcode table.
    #[inline]
    pub fn info(&self) -> &'static OpcodeInfo {
        let Some(info) = self.opcode().info() else {
            unreachable!("every instruction of the enum is a row of the table")
        };
        info
    }

    /// Operand kinds with raw forms, in the order of the row.
    pub fn operands(&self) -> impl Iterator<Item = (OperandKind, u64)> {
        let raw = self.raw_operands();
        let kinds = self.info().operands;
        (0..kinds.len()).map(move |index| (kinds[index].1, raw.raw[index]))
    }

    /// Calls `visit` for every way in which the instruction touches registers: reads first, then
    /// clobbers, then writes, which is also the order in which they happen.
    pub fn accesses(&self, visit: impl FnMut(Access)) {
        self.registers().as_slice().iter().copied().for_each(visit);
    }

    /// How many registers a frame must have for every register that the instruction touches.
    pub fn registers_needed(&self) -> u32 {
        let mut needed = 0;
        self.accesses(|access| {
            needed = needed.max(match access {
                Access::Read { first, count } => u32::from(first) + u32::from(count),
                Access::Write(register) => u32::from(register) + 1,
                Access::Clobber(_) => 0,
            });
        });
        needed
    }
}

/// Declares the opcode table; see `opcode_table.rs` for the rows and their columns.
macro_rules! declare_opcodes {
    ($(
        $(#[doc = $module_doc:literal])*
        module $module:literal $Module:ident {$(
            $(#[doc = $doc:literal])*
            $Name:ident $mnemonic:literal { $($field:ident: $kind:ident),* }
            [$($effect:ident)*] $(-> $($result:ident)+)? $(, gas $gas:literal)? $(, work $work:ident)? ;
        )*}
    )*) => {
        /// One instruction.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Op {$(
            #[doc = concat!("An instruction of the module `", $module, "`.")]
            $Module($Module),
        )*}

        $(
            $(#[doc = $module_doc])*
            #[allow(clippy::enum_variant_names, reason = "instructions are named like their mnemonics")]
            #[derive(Clone, Copy, PartialEq, Eq, Debug)]
            pub enum $Module {$(
                $(#[doc = $doc])*
                $Name {$(
                    #[doc = concat!("Operand `", stringify!($field), "`.")]
                    $field: $kind,
                )*},
            )*}

            impl From<$Module> for Op {
                fn from(op: $Module) -> Op {
                    Op::$Module(op)
                }
            }
        )*

        /// The opcode table.
        pub static MODULES: &[ModuleInfo] = &[$(
            ModuleInfo {
                name: $module,
                doc: concat!($($module_doc),*),
                rows: &[$(
                    OpcodeInfo {
                        name: stringify!($Name),
                        mnemonic: $mnemonic,
                        operands: &[$((stringify!($field), <$kind as Operand>::KIND)),*],
                        gas: declare_opcodes!(@gas $($gas)?),
                        work: declare_opcodes!(@work $($work)?),
                        effects: Effects(0 $(| Effects::$effect.0)*),
                        result: declare_opcodes!(@result $($($result)+)?),
                        doc: concat!($($doc),*),
                    },
                )*],
            },
        )*];

        #[derive(Clone, Copy)]
        enum ModuleNumber { $($Module),* }

        $(impl $Module {
            fn raw_operands(&self) -> RawOperands {
                match *self {$(
                    $Module::$Name { $($field),* } => RawOperands::of(&[$($field.to_raw()),*]),
                )*}
            }

            #[allow(dead_code, unused_mut, reason = "depends on the rows: some have no operands")]
            fn registers(&self) -> Accesses {
                let mut all = Accesses::default();
                match *self {$(
                    $Module::$Name { $($field),* } => {
                        const ENDS: bool = Effects(0 $(| Effects::$effect.0)*).has(Effects::END);
                        $($field.reads(&mut all);)*
                        $($field.writes(ENDS, &mut all);)*
                    }
                )*}
                all
            }

            #[allow(unused_variables, reason = "some rows have no operands")]
            fn label(&self) -> Option<u32> {
                match *self {$(
                    $Module::$Name { $($field),* } => None $(.or($field.label()))*,
                )*}
            }

            #[allow(
                unused_mut,
                unused_variables,
                clippy::enum_variant_names,
                reason = "depends on the rows: some have no operands, some share a word"
            )]
            fn from_raw(row: u8, raw: &[u64]) -> Option<$Module> {
                #[allow(clippy::enum_variant_names, reason = "instructions are named like their mnemonics")]
                #[derive(Clone, Copy)]
                enum Row { $($Name),* }
                const ROWS: &[Row] = &[$(Row::$Name),*];
                let mut raw = raw.iter().copied();
                let op = match *ROWS.get(usize::from(row))? {$(
                    Row::$Name => $Module::$Name { $($field: $kind::from_raw(raw.next()?)?),* },
                )*};
                raw.next().is_none().then_some(op)
            }

            #[allow(clippy::enum_variant_names, reason = "depends on the rows")]
            #[inline]
            fn row(&self) -> u8 {
                #[allow(clippy::enum_variant_names, reason = "instructions are named like their mnemonics")]
                #[repr(u8)]
                enum Row { $($Name),* }
                match self { $($Module::$Name { .. } => Row::$Name as u8,)* }
            }
        })*

        impl Op {
            /// The number of the instruction.
            #[inline]
            pub fn opcode(&self) -> Opcode {
                match self {$(
                    Op::$Module(op) => Opcode((ModuleNumber::$Module as u16) << 8 | u16::from(op.row())),
                )*}
            }

            /// The operands in raw form.
            pub fn raw_operands(&self) -> RawOperands {
                match self { $(Op::$Module(op) => op.raw_operands(),)* }
            }

            /// How it touches registers.
            pub fn registers(&self) -> Accesses {
                match self { $(Op::$Module(op) => op.registers(),)* }
            }

            /// The position to which the instruction may jump.
            pub fn label(&self) -> Option<u32> {
                match self { $(Op::$Module(op) => op.label(),)* }
            }

            /// The instruction with this number and these operands; `None` when there is no such
            /// instruction or an operand is out of its range.
            pub fn from_raw(opcode: Opcode, raw: &[u64]) -> Option<Op> {
                const NUMBERS: &[ModuleNumber] = &[$(ModuleNumber::$Module),*];
                match *NUMBERS.get(usize::from(opcode.0 >> 8))? {$(
                    ModuleNumber::$Module => $Module::from_raw(opcode.0 as u8, raw).map(Op::$Module),
                )*}
            }
        }
    };
    (@gas) => { 1 };
    (@gas $gas:literal) => { $gas };
    (@work) => { Work::None };
    (@work $work:ident) => { Work::$work };
    (@result) => { KindSet::ANY };
    (@result Number) => { KindSet::NUMBER };
    (@result $($kind:ident)+) => { KindSet::of(&[$(Kind::$kind),+]) };
}
pub(crate) use declare_opcodes;

/// The kind of a row's result when it has exactly one.
pub fn single_kind(result: KindSet) -> Option<Kind> {
    let mut kinds = result.iter();
    let first = kinds.next()?;
    kinds.next().is_none().then_some(first)
}
