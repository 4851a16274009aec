//! What native code lets routines do, and handlers of the loop do aside: operations on values, without an instruction and
//! without registers.
//! Each does what the instruction does of which it has the name or, where that would fail, collect or
//! reach a limit, nothing: then it has no value.

use super::aside::{Aside, FAILED, NOTHING};
use super::hot::{Hot, Stay};
use super::{arith, compare, text};
use crate::fiber::arena::{Arena, StorePlan, bytes_logical};
use crate::heap::Heap;
use crate::reference;
use crate::value::Value;
use pw_isa::op::{Float, Work};
use pw_isa::{ErrorKind, Function, Kind, cost};
use smallvec::SmallVec;

/// The place of a float function in the library, if it is there.
pub(crate) fn library_place(op: Float) -> Option<u32> {
    arith::library_call(op).map(|(_, place, ..)| place as u32)
}

pub(crate) use super::arith::{library_function, library_function_of_two, to_int};
pub(crate) use super::message::{receive, self_id, send, sender};
pub(crate) use super::text::{
    append as string_append, index as string_index, number_to_string, part as substring,
    string_to_number,
};

impl<'a> Stay<'a> {
    /// Does an operation with this gas, which becomes what is left; no value when nothing has happened.
    #[inline(always)]
    pub(crate) fn operate(
        &mut self,
        gas: &mut i64,
        operation: impl FnOnce(&mut Aside<'_>) -> Option<Value>,
    ) -> Value {
        let mut aside = self.aside();
        aside.gas = *gas;
        match operation(&mut aside) {
            Some(value) => {
                *gas = aside.gas;
                value
            }
            None => NOTHING,
        }
    }

    /// The same for an operation that costs nothing beyond its instruction, and needs no object.
    #[inline(always)]
    pub(crate) fn ask(
        &mut self,
        _: &mut i64,
        operation: impl FnOnce(&mut Stay<'a>) -> Option<Value>,
    ) -> Value {
        operation(self).unwrap_or(NOTHING)
    }

    /// The same for an operation that handlers do themselves.
    #[inline(always)]
    pub(crate) fn handle(
        &mut self,
        gas: &mut i64,
        operation: impl FnOnce(&mut Hot<'a>) -> Option<Value>,
    ) -> Value {
        let mut hot = Hot::new(self.pc, self.regs, *gas, self);
        match operation(&mut hot) {
            Some(value) => {
                *gas = hot.gas;
                value
            }
            None => NOTHING,
        }
    }
}

impl Stay<'_> {
    /// The Error that an instruction raises whose operands stand in the frame at `regs`, if it fails: its work is charged
    /// with the gas. [`NOTHING`] where it does not fail or would have to be done to know, [`FAILED`] where gas or room is not
    /// there; then nothing has happened.
    ///
    /// # Safety
    /// `regs` is the r0 of a frame of the function within the stack; the pc is one of the function's.
    pub(crate) unsafe fn error_of(
        &mut self,
        function: u32,
        pc: u32,
        regs: *mut Value,
        gas: &mut i64,
    ) -> Value {
        let code = self.code;
        // SAFETY: as for this function.
        let fiber = unsafe { self.stand_at(function, pc, regs, *gas) };
        let Some((kind, message)) = reference::error_of(fiber, code) else {
            return NOTHING;
        };
        let mut left = self.gas_left();
        let made = self.operate(&mut left, |aside| {
            let bytes = cost::ERROR_BYTES + cost::text_bytes(message.len() as u64);
            // Nor can it be where the work took more gas than there is.
            aside.afford(0, bytes)?;
            let message = aside.arena.new_text(Kind::String, &message);
            Some(aside.arena.new_error(kind, message, Value::NIL))
        });
        if made.tag == NOTHING.tag {
            return FAILED;
        }
        *gas = left;
        made
    }
}

pub(crate) fn string_ref(aside: &mut Aside<'_>, string: Value, index: Value) -> Option<Value> {
    let index = u32::try_from(index.as_int()?).ok()?;
    let whole = aside.string(string)?;
    let exists = index < whole.characters;
    exists.then(|| text::slice(aside, string, &whole, index, index + 1))?
}

pub(crate) fn string_eq(hot: &mut Hot<'_>, a: Value, b: Value) -> Option<Value> {
    hot.string_same(a, b).map(Value::bool)
}

pub(crate) fn string_lt(hot: &mut Hot<'_>, a: Value, b: Value) -> Option<Value> {
    hot.string_before(a, b).map(Value::bool)
}

pub(crate) fn string_to_bytes(aside: &mut Aside<'_>, string: Value) -> Option<Value> {
    let length = aside.string(string)?.length;
    aside.afford(
        cost::work_gas(Work::Bytes, length.into()),
        bytes_logical(length.into()),
    )?;
    let text = aside.heap().text_bytes(string).to_vec();
    let bytes = aside.arena.new_bytes(length, 0);
    aside.arena.write_bytes(bytes.bits, 0, &text);
    Some(bytes)
}

/// Nil where the bytes are no text. They are looked at when that is paid for.
pub(crate) fn bytes_to_string(aside: &mut Aside<'_>, bytes: Value) -> Option<Value> {
    let bytes = object(bytes, Kind::Bytes)?;
    let length = aside.arena.bytes(bytes).len() as u64;
    aside.pay(cost::work_gas(Work::Bytes, length))?;
    let Ok(text) = std::str::from_utf8(aside.arena.bytes(bytes)) else {
        return Some(Value::NIL);
    };
    if !aside.can_allocate(cost::text_bytes(length)) {
        return None;
    }
    let text = text.to_owned();
    Some(aside.arena.new_text(Kind::String, &text))
}

pub(crate) fn eq(hot: &mut Hot<'_>, a: Value, b: Value) -> Option<Value> {
    let same = hot.same(a, b).or_else(|| hot.same_any(a, b))?;
    Some(Value::bool(same))
}

pub(crate) fn equal(hot: &mut Hot<'_>, a: Value, b: Value) -> Option<Value> {
    hot.equal(a, b).map(Value::bool)
}

/// Operations on two numbers of any kind.
macro_rules! of_numbers {
    ($($name:ident: $operation:ident;)* / $($order:ident: $is:ident;)*) => {
        $(
            pub(crate) fn $name(a: Value, b: Value) -> Option<Value> {
                arith::apply::<arith::$operation>(a, b)
            }
        )*
        $(
            pub(crate) fn $order(a: Value, b: Value) -> Option<Value> {
                compare::order_any::<compare::$is>(a, b).map(Value::bool)
            }
        )*
    };
}

of_numbers! {
    add: Add; sub: Sub; mul: Mul; div: Div; quot: Quot; rem: Rem; modulo: Mod; min: Min; max: Max;
    /
    lt: Lt; le: Le; gt: Gt; ge: Ge; num_eq: NumEq; num_ne: NumNe;
}

fn object(value: Value, kind: Kind) -> Option<u64> {
    (value.tag == kind as u64).then_some(value.bits)
}

fn length(value: Value) -> Option<u32> {
    u32::try_from(value.as_int()?).ok()
}

/// A vector of values that stand in a row.
pub(crate) fn vector(aside: &mut Aside<'_>, values: &[Value]) -> Option<Value> {
    let count = values.len() as u32;
    let elements = Arena::common_elements(values.iter().copied());
    let gas = cost::work_gas(Work::Elements, count.into());
    aside.afford(gas, Arena::vector_logical(elements, count.into()))?;
    Some(aside.arena.vector_of(elements, values))
}

/// A list of values that stand in a row.
pub(crate) fn list(aside: &mut Aside<'_>, values: &[Value]) -> Option<Value> {
    aside.afford(0, values.len() as u64 * cost::PAIR_BYTES)?;
    let mut list = Value::NIL;
    for value in values.iter().rev() {
        list = aside.arena.new_pair(*value, list);
    }
    Some(list)
}

pub(crate) fn make_vector(aside: &mut Aside<'_>, count: Value, value: Value) -> Option<Value> {
    let count = length(count)?;
    let elements = Arena::filled_elements(count, value);
    let gas = cost::work_gas(Work::Elements, count.into());
    aside.afford(gas, Arena::vector_logical(elements, count.into()))?;
    Some(aside.arena.new_filled_vector(count, value))
}

pub(crate) fn vector_push(aside: &mut Aside<'_>, vector: Value, value: Value) -> Option<Value> {
    let vector = object(vector, Kind::Vector)?;
    if !aside.arena.vector_push_in_place(vector, value) {
        let plan = aside.arena.plan_push(vector, value)?;
        let gas = cost::work_gas(Work::Elements, plan.copied);
        aside.afford(gas, plan.bytes)?;
        aside.arena.apply_plan(vector, plan);
        aside.arena.vector_push(vector, value);
    }
    Some(Value::NIL)
}

pub(crate) fn vector_pop(aside: &mut Aside<'_>, vector: Value) -> Option<Value> {
    aside.arena.vector_pop(object(vector, Kind::Vector)?)
}

/// Also where it widens the vector.
pub(crate) fn vector_set(
    aside: &mut Aside<'_>,
    vector: Value,
    index: Value,
    value: Value,
) -> Option<Value> {
    let (vector, place) = (object(vector, Kind::Vector)?, length(index)?);
    if place >= aside.arena.vector_length(vector) {
        return None;
    }
    let plan = aside.arena.plan_store(vector, value);
    let gas = cost::work_gas(Work::Elements, plan.copied);
    aside.afford(gas, plan.bytes)?;
    aside.arena.apply_plan(vector, plan);
    aside.arena.vector_set(vector, place, value);
    Some(Value::NIL)
}

pub(crate) fn vector_ref(aside: &mut Aside<'_>, vector: Value, index: Value) -> Option<Value> {
    let (vector, place) = (object(vector, Kind::Vector)?, length(index)?);
    let exists = place < aside.arena.vector_length(vector);
    exists.then(|| aside.arena.vector_get(vector, place))
}

pub(crate) fn vector_fill(aside: &mut Aside<'_>, vector: Value, value: Value) -> Option<Value> {
    let vector = object(vector, Kind::Vector)?;
    let length = aside.arena.vector_length(vector);
    if length > 0 {
        let plan = StorePlan {
            copied: length.into(),
            ..aside.arena.plan_store(vector, value)
        };
        aside.afford(cost::work_gas(Work::Elements, plan.copied), plan.bytes)?;
        aside.arena.apply_plan(vector, plan);
        aside.arena.fill_vector(vector, value);
    }
    Some(Value::NIL)
}

pub(crate) fn make_bytes(aside: &mut Aside<'_>, count: Value, fill: Value) -> Option<Value> {
    let (count, fill) = (length(count)?, u8::try_from(fill.as_int()?).ok()?);
    let gas = cost::work_gas(Work::Bytes, count.into());
    aside.afford(gas, bytes_logical(count.into()))?;
    Some(aside.arena.new_bytes(count, fill))
}

pub(crate) fn make_map(aside: &mut Aside<'_>) -> Option<Value> {
    aside.afford(0, cost::MAP_BYTES)?;
    Some(aside.arena.new_map())
}

/// The key probably is entry `place` of the program's values.
pub(crate) fn map_get(
    hot: &mut Hot<'_>,
    place: u32,
    map: Value,
    key: Value,
    default: Value,
) -> Option<Value> {
    let map = object(map, Kind::Map)?;
    match hot.hinted(map, key, place) {
        Some((_, value)) => Some(value),
        None => hot.value_of(map, place, key, default),
    }
}

/// Likewise.
pub(crate) fn map_set(
    hot: &mut Hot<'_>,
    place: u32,
    map: Value,
    key: Value,
    value: Value,
) -> Option<Value> {
    let map = object(map, Kind::Map)?;
    let done = hot.replace_hinted(map, place, key, value) || hot.put(map, place, key, value);
    done.then_some(Value::NIL)
}

/// Likewise.
pub(crate) fn map_has(hot: &mut Hot<'_>, place: u32, map: Value, key: Value) -> Option<Value> {
    let entry = hot.entry_of(object(map, Kind::Map)?, place, key)?;
    Some(Value::bool(entry.is_some()))
}

/// Likewise.
pub(crate) fn map_delete(hot: &mut Hot<'_>, place: u32, map: Value, key: Value) -> Option<Value> {
    let deleted = hot.delete(object(map, Kind::Map)?, place, key)?;
    Some(Value::bool(deleted))
}

pub(crate) fn map_keys(aside: &mut Aside<'_>, map: Value) -> Option<Value> {
    let map = object(map, Kind::Map)?;
    let (used, count) = (aside.arena.map_used(map), aside.arena.map_count(map));
    let gas = cost::work_gas(Work::Elements, used.into());
    aside.afford(gas, u64::from(count) * cost::PAIR_BYTES)?;
    let mut list = Value::NIL;
    for entry in (0..used).rev() {
        if let Some((key, _)) = aside.arena.map_entry(map, entry) {
            list = aside.arena.new_pair(key, list);
        }
    }
    Some(list)
}

/// Where the frame of a function begins, and what it must not reach.
pub(crate) type Room = (*mut Value, *mut Value);

/// The number of the function that a value is, if it is one of this program.
fn callee(aside: &Aside<'_>, program: u32, closure: Value) -> Option<u32> {
    let of = aside.heap().closure(closure)?;
    (of.0 == program).then_some(of.1)
}

/// Whether a function takes so many arguments, and has room for its frame, to which they all belong.
fn can_enter(function: &Function, arguments: usize, (to, end): Room) -> bool {
    let params = usize::from(function.params);
    let fits = arguments == params || arguments > params && function.rest;
    fits && to.wrapping_add(function.registers.into()) <= end
}

/// Writes what a function finds in its frame to where that begins: arguments, the rest of them where it takes that, and
/// the closure where it has captured values. The number of the function.
///
/// # Safety
/// The function can be entered there, and nothing there is needed.
unsafe fn give(
    (number, function): (u32, &Function),
    mut arguments: SmallVec<[Value; 8]>,
    rest: Value,
    closure: Value,
    to: *mut Value,
) -> Value {
    if function.rest {
        arguments.push(rest);
    }
    if function.captures > 0 {
        arguments.push(closure);
    }
    // SAFETY: the verifier has seen that the frame, which has room there, has registers for all of them; they are no longer
    // where they were read from.
    unsafe { to.copy_from_nonoverlapping(arguments.as_ptr(), arguments.len()) };
    Value::int(number.into())
}

/// Spreads a list of arguments to where the frame of a function begins. The number of the function, which is one of this
/// program.
///
/// # Safety
/// The room is in the stack, and nothing in it is needed.
pub(crate) unsafe fn spread(
    aside: &mut Aside<'_>,
    program: u32,
    room: Room,
    closure: Value,
    list: Value,
) -> Option<Value> {
    let number = callee(aside, program, closure)?;
    let (code, heap) = (aside.code, aside.heap());
    let function = code.program(program).function(number);
    // Nothing is written before it is sure that all can be.
    let mut arguments = SmallVec::new();
    let mut rest = list;
    for _ in 0..function.params {
        let (car, cdr) = heap.pair(rest)?;
        arguments.push(car);
        rest = cdr;
    }
    let mut length = arguments.len();
    for element in heap.list(rest) {
        element?;
        length += 1;
    }
    if !can_enter(function, length, room) {
        return None;
    }
    aside.pay(cost::work_gas(Work::Elements, length as u64))?;
    // SAFETY: as for this function; it can be entered.
    Some(unsafe { give((number, function), arguments, rest, closure, room.0) })
}

/// Gives a function of this program its arguments, which stand in a row: those beyond its parameters as a list. The number
/// of the function.
///
/// # Safety
/// The room is in the stack, and nothing in it is needed but the arguments, which may stand there.
pub(crate) unsafe fn gather(
    aside: &mut Aside<'_>,
    (program, number): (u32, u32),
    room: Room,
    closure: Value,
    values: *const [Value],
) -> Option<Value> {
    let code = aside.code;
    let function = code.program(program).function(number);
    if !can_enter(function, values.len(), room) {
        return None;
    }
    // SAFETY: the caller says that they are there. They are read before anything is written.
    let mut arguments = SmallVec::from_slice(unsafe { &*values });
    let rest = list(aside, &arguments[function.params.into()..])?;
    arguments.truncate(function.params.into());
    // SAFETY: as for this function; it can be entered.
    Some(unsafe { give((number, function), arguments, rest, closure, room.0) })
}

/// The same for the function that a closure is of.
///
/// # Safety
/// As for [`gather`].
pub(crate) unsafe fn gather_for_closure(
    aside: &mut Aside<'_>,
    program: u32,
    room: Room,
    closure: Value,
    values: *const [Value],
) -> Option<Value> {
    let number = callee(aside, program, closure)?;
    // SAFETY: as for this function.
    unsafe { gather(aside, (program, number), room, closure, values) }
}

pub(crate) fn make_error(aside: &mut Aside<'_>, message: Value, values: Value) -> Option<Value> {
    aside.string(message)?;
    aside.afford(0, cost::ERROR_BYTES)?;
    Some(aside.arena.new_error(ErrorKind::Error, message, values))
}

/// The parts of an Error.
fn parts_of_error(aside: &Aside<'_>, error: Value) -> Option<(ErrorKind, Value, Value)> {
    let heap: Heap<'_> = aside.heap();
    heap.error(error)
}

pub(crate) fn error_kind(aside: &mut Aside<'_>, error: Value) -> Option<Value> {
    let name = parts_of_error(aside, error)?.0.name();
    aside.afford(0, cost::text_bytes(name.len() as u64))?;
    Some(aside.arena.new_text(Kind::Symbol, name))
}

pub(crate) fn error_message(aside: &mut Aside<'_>, error: Value) -> Option<Value> {
    parts_of_error(aside, error).map(|parts| parts.1)
}

pub(crate) fn error_values(aside: &mut Aside<'_>, error: Value) -> Option<Value> {
    parts_of_error(aside, error).map(|parts| parts.2)
}

/// A part of a pair that may be a constant.
fn part_of_pair(aside: &Aside<'_>, pair: Value) -> Option<(Value, Value)> {
    let heap: Heap<'_> = aside.heap();
    heap.pair(pair)
}

pub(crate) fn car(aside: &mut Aside<'_>, pair: Value) -> Option<Value> {
    part_of_pair(aside, pair).map(|parts| parts.0)
}

pub(crate) fn cdr(aside: &mut Aside<'_>, pair: Value) -> Option<Value> {
    part_of_pair(aside, pair).map(|parts| parts.1)
}

pub(crate) fn cons(aside: &mut Aside<'_>, car: Value, cdr: Value) -> Option<Value> {
    aside.afford(0, cost::PAIR_BYTES)?;
    Some(aside.arena.new_pair(car, cdr))
}
