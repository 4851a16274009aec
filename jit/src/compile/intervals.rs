//! Intervals of Ints, and where the results of operations on them lie.

use pw_isa::op::Arith;

/// The Ints from one to another, both included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Interval {
    pub(super) least: i64,
    pub(super) most: i64,
}

impl Interval {
    pub(super) const ALL: Interval = Interval {
        least: i64::MIN,
        most: i64::MAX,
    };

    pub(super) fn only(number: i64) -> Interval {
        Interval {
            least: number,
            most: number,
        }
    }

    /// The only number in it, if there is one.
    pub(super) fn number(self) -> Option<i64> {
        (self.least == self.most).then_some(self.least)
    }

    /// From exact bounds: the Ints among these numbers, which all results are that exist.
    pub(super) fn clipped(least: i128, most: i128) -> Interval {
        let clip = |number: i128| number.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        Interval {
            least: clip(least),
            most: clip(most),
        }
    }

    pub(super) fn join(self, other: Interval) -> Interval {
        Interval {
            least: self.least.min(other.least),
            most: self.most.max(other.most),
        }
    }

    /// What can be added to any number in this one so that it is at most any number in another.
    pub(super) fn distance_to(self, other: Interval) -> Option<i64> {
        other.least.checked_sub(self.most)
    }

    /// What two have in common; the first, if nothing: control does not come here.
    pub(super) fn meet(self, other: Interval) -> Interval {
        let both = Interval {
            least: self.least.max(other.least),
            most: self.most.min(other.most),
        };
        if both.least <= both.most { both } else { self }
    }
}

/// Destination and operands of an operation; the operand twice, if it has one.
pub(super) fn operands(op: &Arith) -> (u16, u16, u16) {
    match op {
        Arith::Neg { dst, a }
        | Arith::Abs { dst, a }
        | Arith::BitNot { dst, a }
        | Arith::ToInt { dst, a } => (dst.0, a.0, a.0),
        Arith::Add { dst, a, b }
        | Arith::Sub { dst, a, b }
        | Arith::Mul { dst, a, b }
        | Arith::Div { dst, a, b }
        | Arith::Quot { dst, a, b }
        | Arith::Rem { dst, a, b }
        | Arith::Mod { dst, a, b }
        | Arith::Min { dst, a, b }
        | Arith::Max { dst, a, b }
        | Arith::WrapAdd { dst, a, b }
        | Arith::WrapSub { dst, a, b }
        | Arith::WrapMul { dst, a, b }
        | Arith::BitAnd { dst, a, b }
        | Arith::BitOr { dst, a, b }
        | Arith::BitXor { dst, a, b }
        | Arith::Shl { dst, a, b }
        | Arith::Shr { dst, a, b }
        | Arith::Ushr { dst, a, b } => (dst.0, a.0, b.0),
    }
}

/// The exact bounds of a sum, difference or product.
pub(super) fn exact(op: &Arith, a: Interval, b: Interval) -> (i128, i128) {
    let wide = |interval: Interval| (i128::from(interval.least), i128::from(interval.most));
    let (a, b) = (wide(a), wide(b));
    match op {
        Arith::Add { .. } => (a.0 + b.0, a.1 + b.1),
        Arith::Sub { .. } => (a.0 - b.1, a.1 - b.0),
        _ => {
            let corners = [a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1];
            let (least, most) = (corners.iter().min(), corners.iter().max());
            (*least.unwrap_or(&0), *most.unwrap_or(&0))
        }
    }
}

/// Where the result of an operation on Ints lies, if it has one.
pub(super) fn result(op: &Arith, a: Interval, b: Interval) -> Interval {
    let natural = a.least >= 0;
    match op {
        Arith::Add { .. } | Arith::Sub { .. } | Arith::Mul { .. } => {
            let (least, most) = exact(op, a, b);
            Interval::clipped(least, most)
        }
        Arith::Div { .. } | Arith::Quot { .. } if b.least > 0 => Interval {
            least: if natural { a.least / b.most } else { a.least },
            most: if a.most >= 0 { a.most / b.least } else { 0 },
        },
        Arith::Rem { .. } if b.least > 0 => Interval {
            least: if natural {
                0
            } else {
                (1 - b.most).max(a.least)
            },
            most: if a.most >= 0 {
                (b.most - 1).min(a.most)
            } else {
                0
            },
        },
        Arith::Mod { .. } if b.least > 0 => Interval {
            least: 0,
            most: if natural {
                (b.most - 1).min(a.most)
            } else {
                b.most - 1
            },
        },
        Arith::Neg { .. } => Interval::clipped(-i128::from(a.most), -i128::from(a.least)),
        Arith::Abs { .. } => {
            let most = i128::from(a.most).max(-i128::from(a.least));
            Interval::clipped(0, most)
        }
        Arith::Min { .. } => Interval {
            least: a.least.min(b.least),
            most: a.most.min(b.most),
        },
        Arith::Max { .. } => Interval {
            least: a.least.max(b.least),
            most: a.most.max(b.most),
        },
        Arith::BitAnd { .. } if natural || b.least >= 0 => {
            let most = match (natural, b.least >= 0) {
                (true, true) => a.most.min(b.most),
                (true, false) => a.most,
                _ => b.most,
            };
            Interval { least: 0, most }
        }
        Arith::Shr { .. } if natural => Interval {
            least: 0,
            most: a.most,
        },
        Arith::Ushr { .. } if natural => Interval {
            least: 0,
            most: a.most,
        },
        _ => Interval::ALL,
    }
}
