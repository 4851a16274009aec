//! V2 values as the embedding program sees them.
//!
//! Pairs and closures live outside the value, in [`HeapObjects`]: two such values are equal when
//! they name the same object, which is V2's equality, and no list is too long to copy or drop.

use std::fmt;
use std::sync::Arc;

use pw_isa::v2::{Capability, Constant, Lowered, OpCode};
use serde::{Deserialize, Serialize};

/// The number of an object.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HeapPtr(pub u32);

impl HeapPtr {
    /// The pointer with this number.
    pub fn new(number: u32) -> HeapPtr {
        HeapPtr(number)
    }

    /// The number.
    pub fn get(&self) -> u32 {
        self.0
    }
}

impl fmt::Display for HeapPtr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeapPtr({})", self.0)
    }
}

/// The number of an object of the garbage-collected heap that only the embedding program uses.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GcPtr(pub usize);

/// A V2 value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// The absence of a value.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    String(String),
    /// A symbol, known by its number.
    Symbol(usize),
    /// A pair among the [`HeapObjects`] that came with the value.
    Pair(HeapPtr),
    /// A closure among the [`HeapObjects`] that came with the value.
    Closure(HeapPtr),
    /// The address of an actor.
    ActorId(u32),
    /// The name of a power.
    Capability(Capability),
    /// An object of the embedding program's own heap.
    GcPtr(GcPtr),
    /// What arithmetic host functions answer instead of failing.
    Error(String),
    /// A function body, for `MakeClosure`.
    Code(Vec<OpCode>),
}

impl Value {
    /// Whether the value counts as true for the embedding program. `JmpIfFalse` asks for less: it
    /// jumps on `false` and the integer 0 only.
    pub fn is_truthy(&self) -> bool {
        match self {
            Value::Nil | Value::Error(_) => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::String(text) => !text.is_empty(),
            Value::Symbol(_)
            | Value::Pair(_)
            | Value::Closure(_)
            | Value::ActorId(_)
            | Value::Capability(_)
            | Value::GcPtr(_)
            | Value::Code(_) => true,
        }
    }

    /// The constant of a program. Pointers mean nothing to a new actor.
    pub fn to_constant(&self) -> Constant {
        match self {
            Value::Nil => Constant::Nil,
            Value::Bool(value) => Constant::Bool(*value),
            Value::Int(value) => Constant::Int(*value),
            Value::Float(value) => Constant::Float(*value),
            Value::String(text) => Constant::String(text.clone()),
            Value::Symbol(number) => Constant::Symbol(*number),
            Value::ActorId(id) => Constant::ActorId(*id),
            Value::Capability(capability) => Constant::Capability(capability.clone()),
            Value::Error(message) => Constant::Error(message.clone()),
            Value::Code(code) => Constant::Code(code.clone()),
            Value::Pair(_) | Value::Closure(_) | Value::GcPtr(_) => Constant::Dangling,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => write!(f, "nil"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value}"),
            Value::String(text) => write!(f, "\"{text}\""),
            Value::Symbol(number) => write!(f, "Symbol({number})"),
            Value::Pair(pointer) => write!(f, "Pair({pointer})"),
            Value::Closure(pointer) => write!(f, "Closure({pointer})"),
            Value::ActorId(id) => write!(f, "Actor({id})"),
            Value::Capability(capability) => write!(f, "Capability({capability:?})"),
            Value::GcPtr(pointer) => write!(f, "GcPtr({})", pointer.0),
            Value::Error(message) => write!(f, "Error({message})"),
            Value::Code(code) => write!(f, "Code({} instructions)", code.len()),
        }
    }
}

/// An object that a value points to.
#[derive(Clone, Debug, PartialEq)]
pub enum HeapObject {
    /// A pair.
    Pair(Value, Value),
    /// A closure.
    Closure(ClosureObject),
}

/// A closure: its body, and what it captured.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosureObject {
    /// The constant that holds the body.
    pub body: Option<usize>,
    /// The captured values, the deepest first.
    pub captured: Vec<Value>,
    pub(crate) origin: Option<Origin>,
}

impl ClosureObject {
    /// A closure that belongs to no program: no actor can call it.
    pub fn new(body: Option<usize>, captured: Vec<Value>) -> ClosureObject {
        ClosureObject {
            body,
            captured,
            origin: None,
        }
    }
}

/// The program that a closure comes from, so that another actor can call it.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) program: Arc<Lowered>,
    pub(crate) function: u32,
}

impl PartialEq for Origin {
    fn eq(&self, other: &Origin) -> bool {
        Arc::ptr_eq(&self.program, &other.program) && self.function == other.function
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "function {}", self.function)
    }
}

/// The pairs and closures that values of one actor or one result point to.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct HeapObjects {
    objects: Vec<HeapObject>,
}

impl HeapObjects {
    /// No objects.
    pub fn new() -> HeapObjects {
        HeapObjects::default()
    }

    /// Adds an object.
    ///
    /// # Panics
    /// When there are 2^32 objects already.
    pub fn add(&mut self, object: HeapObject) -> HeapPtr {
        let Ok(number) = u32::try_from(self.objects.len()) else {
            panic!("more objects than pointers")
        };
        self.objects.push(object);
        HeapPtr(number)
    }

    /// The object that a pointer names.
    pub fn get(&self, pointer: HeapPtr) -> Option<&HeapObject> {
        self.objects.get(pointer.0 as usize)
    }

    /// Replaces the object that a pointer names; false when there is none.
    pub fn replace(&mut self, pointer: HeapPtr, object: HeapObject) -> bool {
        match self.objects.get_mut(pointer.0 as usize) {
            Some(place) => {
                *place = object;
                true
            }
            None => false,
        }
    }

    /// The two values of a pair; `None` when the value is no pair.
    pub fn pair(&self, value: &Value) -> Option<(&Value, &Value)> {
        let Value::Pair(pointer) = value else {
            return None;
        };
        match self.get(*pointer)? {
            HeapObject::Pair(car, cdr) => Some((car, cdr)),
            HeapObject::Closure(_) => None,
        }
    }

    /// Takes over another set of objects; what a value that points into it is called here.
    pub(crate) fn absorb(&mut self, value: &Value, others: &HeapObjects) -> Value {
        let shift = self.objects.len() as u32;
        let shifted = |value: &Value| match value {
            Value::Pair(pointer) => Value::Pair(HeapPtr(pointer.0 + shift)),
            Value::Closure(pointer) => Value::Closure(HeapPtr(pointer.0 + shift)),
            other => other.clone(),
        };
        for object in &others.objects {
            self.objects.push(match object {
                HeapObject::Pair(car, cdr) => HeapObject::Pair(shifted(car), shifted(cdr)),
                HeapObject::Closure(closure) => HeapObject::Closure(ClosureObject {
                    captured: closure.captured.iter().map(shifted).collect(),
                    ..closure.clone()
                }),
            });
        }
        shifted(value)
    }

    /// The objects, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &HeapObject> {
        self.objects.iter()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_v2_shows_them() {
        for (value, text) in [
            (Value::Nil, "nil"),
            (Value::Float(1.0), "1"),
            (Value::Float(f64::NAN), "NaN"),
            (Value::Float(f64::NEG_INFINITY), "-inf"),
            (Value::String("a\"b".into()), "\"a\"b\""),
            (Value::Symbol(3), "Symbol(3)"),
            (Value::Pair(HeapPtr(4)), "Pair(HeapPtr(4))"),
            (Value::Closure(HeapPtr(5)), "Closure(HeapPtr(5))"),
            (Value::ActorId(6), "Actor(6)"),
            (
                Value::Capability(Capability::ResourceExtraTime(7)),
                "Capability(ResourceExtraTime(7))",
            ),
            (Value::GcPtr(GcPtr(8)), "GcPtr(8)"),
            (Value::Error("bad".into()), "Error(bad)"),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }

    #[test]
    fn only_some_values_are_truthy() {
        for value in [
            Value::Nil,
            Value::Bool(false),
            Value::Int(0),
            Value::Float(-0.0),
            Value::String(String::new()),
            Value::Error("x".into()),
        ] {
            assert!(!value.is_truthy(), "{value}");
        }
        for value in [
            Value::Bool(true),
            Value::Int(-1),
            Value::Float(f64::NAN),
            Value::String(" ".into()),
            Value::Symbol(0),
            Value::ActorId(0),
            Value::Pair(HeapPtr(0)),
        ] {
            assert!(value.is_truthy(), "{value}");
        }
    }

    #[test]
    fn the_json_form_goes_both_ways() {
        for (value, text) in [
            (Value::Nil, r#""Nil""#),
            (Value::Int(i64::MIN), r#"{"Int":-9223372036854775808}"#),
            (Value::Pair(HeapPtr(1)), r#"{"Pair":1}"#),
            (
                Value::Code(vec![OpCode::Ret, OpCode::Int(1)]),
                r#"{"Code":["Ret",{"Int":1}]}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&value).unwrap(), text);
            assert_eq!(serde_json::from_str::<Value>(text).unwrap(), value);
        }
    }

    #[test]
    fn equality_of_pairs_is_identity() {
        let mut objects = HeapObjects::new();
        let one = Value::Pair(objects.add(HeapObject::Pair(Value::Int(1), Value::Nil)));
        let other = Value::Pair(objects.add(HeapObject::Pair(Value::Int(1), Value::Nil)));
        assert_ne!(one, other);
        assert_eq!(objects.pair(&one), objects.pair(&other));
    }
}
