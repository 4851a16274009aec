//! How an instruction touches registers: what it reads, writes and leaves dead.

use crate::op::OPERANDS_MAX;

/// How an instruction touches a range of registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reads `first .. first + count`.
    Read {
        /// The lowest register.
        first: u16,
        /// How many.
        count: u16,
    },
    /// Writes one register.
    Write(u16),
    /// Leaves every register from this one up dead.
    Clobber(u16),
}

/// A window is read, leaves registers dead and is written: two ways more than it has operands.
const ACCESSES_MAX: usize = OPERANDS_MAX + 2;

/// All ways in which one instruction touches registers: reads first, then clobbers, then writes, which is also
/// the order in which they happen.
#[derive(Clone, Copy, Debug)]
pub struct Accesses {
    all: [Access; ACCESSES_MAX],
    len: u8,
}

impl Default for Accesses {
    /// None.
    fn default() -> Accesses {
        Accesses {
            all: [Access::Write(0); ACCESSES_MAX],
            len: 0,
        }
    }
}

impl Accesses {
    #[inline]
    pub(crate) fn add(&mut self, access: Access) {
        self.all[usize::from(self.len)] = access;
        self.len += 1;
    }

    /// The ways, in order.
    pub fn as_slice(&self) -> &[Access] {
        &self.all[..usize::from(self.len)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{Effects, Opcode};
    use crate::operand::OperandKind::{ClosureFrame, Def, Frame, Span, Use};

    #[test]
    fn no_instruction_touches_registers_in_more_ways() {
        for (_, info) in Opcode::all() {
            let of_window = if info.effects.has(Effects::END) { 1 } else { 3 };
            let ways = info.operands.iter().map(|(_, kind)| match kind {
                Use | Span | Def => 1,
                Frame | ClosureFrame => of_window,
                _ => 0,
            });
            assert!(ways.sum::<usize>() <= ACCESSES_MAX, "{}", info.name);
        }
    }
}
