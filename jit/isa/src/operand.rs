//! The kinds of operand an instruction can have.
//!
//! Each kind is a small type that fits in a `u64` (its *raw* form). Everything generic — codec,
//! text, verifier — works on pairs of [`OperandKind`] and raw form, so that a new instruction needs
//! no code there, and a new kind of operand needs one arm in each.

use crate::access::{Access, Accesses};
use crate::kind::KindSet;

/// What an operand means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OperandKind {
    /// A register that is written.
    Def,
    /// A register that is read.
    Use,
    /// Consecutive registers that are read.
    Span,
    /// A call window: arguments are read, the base receives the result, the rest is clobbered.
    Frame,
    /// A call window whose base also holds the function to call.
    ClosureFrame,
    /// A signed 64-bit number.
    Imm,
    /// The bits of a float.
    FloatBits,
    /// `true` or `false`.
    Flag,
    /// An index into the function's constants.
    Const,
    /// An index into the function's link table that must name a function.
    FuncLink,
    /// An index into the function's link table that must name a global.
    GlobalLink,
    /// A position in the function's code.
    Label,
    /// A plain small number (the index of a captured value).
    Index,
    /// A set of kinds.
    Kinds,
}

/// A type that can stand in a row of the opcode table.
pub trait Operand: Copy {
    /// What it means.
    const KIND: OperandKind;
    /// Its raw form.
    fn to_raw(self) -> u64;
    /// The operand with this raw form; `None` when the number is out of its range.
    fn from_raw(raw: u64) -> Option<Self>;
    /// Adds the registers that it has the instruction read.
    #[inline]
    fn reads(self, _to: &mut Accesses) {}
    /// Adds those that the instruction leaves dead or writes; `ends` says that control does not go on behind it.
    #[inline]
    fn writes(self, _ends: bool, _to: &mut Accesses) {}
    /// The position in the code that it names.
    #[inline]
    fn label(self) -> Option<u32> {
        None
    }
}

macro_rules! plain_operands {
    ($($(#[doc = $doc:literal])* $name:ident($inner:ty) $({ $($methods:tt)* })?),* $(,)?) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub struct $name(pub $inner);
        impl Operand for $name {
            const KIND: OperandKind = OperandKind::$name;
            fn to_raw(self) -> u64 {
                u64::from(self.0)
            }
            fn from_raw(raw: u64) -> Option<Self> {
                <$inner>::try_from(raw).ok().map(Self)
            }
            $($($methods)*)?
        }
    )*};
}

plain_operands! {
    /// A register that is written.
    Def(u16) {
        #[inline]
        fn writes(self, _ends: bool, to: &mut Accesses) {
            to.add(Access::Write(self.0));
        }
    },
    /// A register that is read.
    Use(u16) {
        #[inline]
        fn reads(self, to: &mut Accesses) {
            to.add(Access::Read { first: self.0, count: 1 });
        }
    },
    /// An index into the function's constants.
    Const(u32),
    /// An index into the function's link table that names a function.
    FuncLink(u32),
    /// An index into the function's link table that names a global.
    GlobalLink(u32),
    /// A position in the function's code.
    Label(u32) {
        #[inline]
        fn label(self) -> Option<u32> {
            Some(self.0)
        }
    },
    /// A plain small number.
    Index(u32),
    /// The bits of a float.
    FloatBits(u64),
}

/// A signed 64-bit number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Imm(pub i64);

impl Operand for Imm {
    const KIND: OperandKind = OperandKind::Imm;
    fn to_raw(self) -> u64 {
        self.0 as u64
    }
    fn from_raw(raw: u64) -> Option<Self> {
        Some(Imm(raw as i64))
    }
}

/// `true` or `false`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Flag(pub bool);

impl Operand for Flag {
    const KIND: OperandKind = OperandKind::Flag;
    fn to_raw(self) -> u64 {
        u64::from(self.0)
    }
    fn from_raw(raw: u64) -> Option<Self> {
        (raw < 2).then_some(Flag(raw == 1))
    }
}

/// A set of kinds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Kinds(pub KindSet);

impl Operand for Kinds {
    const KIND: OperandKind = OperandKind::Kinds;
    fn to_raw(self) -> u64 {
        u64::from(self.0.0)
    }
    fn from_raw(raw: u64) -> Option<Self> {
        (raw & !u64::from(KindSet::ANY.0) == 0).then_some(Kinds(KindSet(raw as u32)))
    }
}

macro_rules! range_operands {
    ($($(#[doc = $doc:literal])* $name:ident { $first:ident, $count:ident } { $($methods:tt)* }),* $(,)?) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub struct $name {
            /// The lowest register.
            pub $first: u16,
            /// How many registers of values.
            pub $count: u16,
        }
        impl Operand for $name {
            const KIND: OperandKind = OperandKind::$name;
            fn to_raw(self) -> u64 {
                u64::from(self.$first) | u64::from(self.$count) << 16
            }
            fn from_raw(raw: u64) -> Option<Self> {
                (raw >> 32 == 0).then_some($name { $first: raw as u16, $count: (raw >> 16) as u16 })
            }
            $($methods)*
        }
    )*};
}

range_operands! {
    /// Registers `first .. first + count`, read.
    Span { first, count } {
        #[inline]
        fn reads(self, to: &mut Accesses) {
            to.add(Access::Read { first: self.first, count: self.count });
        }
    },
    /// A call window: arguments in `base + 1 ..= base + args`; the result lands in `base`; every
    /// register above `base` is dead afterwards.
    Frame { base, args } {
        #[inline]
        fn reads(self, to: &mut Accesses) {
            to.add(Access::Read { first: self.base.saturating_add(1), count: self.args });
        }
        #[inline]
        fn writes(self, ends: bool, to: &mut Accesses) {
            receives_result(self.base, ends, to);
        }
    },
    /// A call window like [`Frame`] whose `base` holds the function to call.
    ClosureFrame { base, args } {
        #[inline]
        fn reads(self, to: &mut Accesses) {
            to.add(Access::Read { first: self.base, count: self.args.saturating_add(1) });
        }
        #[inline]
        fn writes(self, ends: bool, to: &mut Accesses) {
            receives_result(self.base, ends, to);
        }
    },
}

/// What a call does to registers from its window on, unless it is the last thing that its function does.
#[inline]
fn receives_result(base: u16, ends: bool, to: &mut Accesses) {
    if !ends {
        to.add(Access::Clobber(base));
        to.add(Access::Write(base));
    }
}
