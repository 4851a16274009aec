//! Virtual objects, as types: pairs and closures whose fields are at hand. What kinds of values these are is the
//! object's shape; equal shapes have one number, so that types stay words that are copied and compared.
//!
//! Pairs never change, and of closures only those become virtual that no instruction changes once they are
//! made. So any number of registers may have the fields of one object, each as variables of its own, and it does
//! no harm to write the object to the arena once more.

use std::cell::RefCell;

use pw_isa::op::{Data, Function as Call, Op};

use super::parts::Planner;
use super::types::{Evidence, Made, Type};

/// How many objects deep the fields of a virtual object can be virtual.
const DEPTH_MAX: u32 = 2;
/// The most fields of a virtual object, those of virtual objects in it counted.
const FIELDS_MAX: usize = 8;

/// The kinds of an object's fields: a number among all shapes of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape(u32);

/// All shapes of a body.
#[derive(Default)]
pub(super) struct Shapes {
    fields: RefCell<Vec<Box<[Type]>>>,
}

impl Shapes {
    /// The shape with these fields.
    fn with(&self, fields: Vec<Type>) -> Shape {
        let mut all = self.fields.borrow_mut();
        let known = all.iter().position(|known| **known == *fields);
        let number = known.unwrap_or_else(|| {
            all.push(fields.into());
            all.len() - 1
        });
        Shape(number as u32)
    }

    /// What is known about each field.
    pub(super) fn fields(&self, shape: Shape) -> Box<[Type]> {
        self.fields.borrow()[shape.0 as usize].clone()
    }

    /// How many objects deep fields are virtual, and how many there are in all.
    fn measure(&self, known: Type) -> (u32, usize) {
        let Type::Virtual(_, shape) = known else {
            return (0, 1);
        };
        let fields = self.fields(shape);
        let inside = fields.iter().map(|field| self.measure(*field));
        inside.fold((1, 0), |(depth, all), (deeper, more)| {
            (depth.max(deeper + 1), all + more)
        })
    }
}

impl Planner<'_> {
    /// What is known about a value of one of two types.
    pub(super) fn join(&self, a: Type, b: Type) -> Type {
        match (a, b) {
            (Type::Virtual(made, left), Type::Virtual(other, right))
                if made == other && left != right =>
            {
                let (left, right) = (self.shapes.fields(left), self.shapes.fields(right));
                let fields = left.iter().zip(&right);
                let fields = fields.map(|(a, b)| self.join(*a, *b)).collect();
                Type::Virtual(made, self.shapes.with(fields))
            }
            _ => a.join(b),
        }
    }

    /// The virtual object that an instruction reads a field of: its register, the field's place, and what is
    /// known about it.
    pub(super) fn field_read(&self, op: &Op, types: &[Type]) -> Option<(u16, usize, Type)> {
        let (object, place) = match op {
            Op::Data(Data::Car { pair, .. }) => (pair.0, 0),
            Op::Data(Data::Cdr { pair, .. }) => (pair.0, 1),
            Op::Function(Call::Capture { closure, index, .. }) => (closure.0, index.0 as usize),
            _ => return None,
        };
        match (op, types[usize::from(object)]) {
            (Op::Data(_), Type::Virtual(Made::Pair, shape))
            | (Op::Function(_), Type::Virtual(Made::Closure(_), shape)) => {
                let field = self.shapes.fields(shape).get(place).copied();
                field.map(|known| (object, place, known))
            }
            _ => None,
        }
    }
}

impl Evidence<'_> {
    /// The type of a virtual object that is made of registers. Fields that are too deep are made.
    pub(super) fn virtual_type(
        &self,
        made: Made,
        registers: impl IntoIterator<Item = u16>,
        types: &[Type],
    ) -> Type {
        let shapes = &self.planner.shapes;
        let mut left = FIELDS_MAX;
        let fields = registers.into_iter().map(|register| {
            let known = types[usize::from(register)].moved();
            let (depth, all) = shapes.measure(known);
            let known = match known {
                Type::Virtual(made, _) if depth >= DEPTH_MAX || all > left => made.object(),
                known => known,
            };
            left = left.saturating_sub(all);
            known
        });
        let fields = fields.collect();
        Type::Virtual(made, shapes.with(fields))
    }
}
