//! What native code calls for operations that it has no code for: a routine of the runtime is given values
//! and gives a value, and knows no registers. What it gives for none, when nothing has happened, makes
//! native code leave, and the reference interpreter does the instruction.
//!
//! Values are passed and returned as pairs of words. The calling convention of this machine passes them
//! like any two words (`compile::routines` relies on it).

use crate::compile::state::NativeState;
use crate::interp::{Stay, routines as operations};
use crate::value::Value;

/// A routine of no value: the state, and a number that it may be told.
pub(crate) type OfNone = unsafe extern "C" fn(*mut NativeState<'_>, u64) -> Value;
/// The same of one value, of two and of three.
pub(crate) type OfOne = unsafe extern "C" fn(*mut NativeState<'_>, u64, Value) -> Value;
/// See [`OfOne`].
pub(crate) type OfTwo = unsafe extern "C" fn(*mut NativeState<'_>, u64, Value, Value) -> Value;
/// See [`OfOne`].
pub(crate) type OfThree =
    unsafe extern "C" fn(*mut NativeState<'_>, u64, Value, Value, Value) -> Value;
/// The same of as many values in a row as the number says.
pub(crate) type OfMany = unsafe extern "C" fn(*mut NativeState<'_>, u64, *const Value) -> Value;
/// The same of an instruction, by its place, and the frame that it stands in.
pub(crate) type OfFrame = unsafe extern "C" fn(*mut NativeState<'_>, u64, *mut Value) -> Value;

/// The same of a function and a list, and where they are spread to.
pub(crate) type Spread =
    unsafe extern "C" fn(*mut NativeState<'_>, *mut Value, Value, Value) -> Value;

/// The same of a function and arguments in a row: where they are, and how many.
pub(crate) type Gather =
    unsafe extern "C" fn(*mut NativeState<'_>, *mut Value, Value, *const Value, u64) -> Value;

/// Defines routines by name and type: whether one `makes` objects or only `reads` and writes those that
/// there are, and the operation, done aside or as a handler does it.
macro_rules! routines {
    ($($name:ident: $type:ident = $way:ident $how:ident
        |$on:ident, $number:ident $(, $value:ident)*| $operation:expr;)*) => {
        /// All routines; native code finds them by `offset_of!`.
        #[repr(C)]
        pub(crate) struct Routines {
            $(pub(crate) $name: $type,)*
            pub(crate) vector: OfMany,
            pub(crate) list: OfMany,
            pub(crate) error: OfFrame,
            pub(crate) spread: Spread,
            pub(crate) gather: Gather,
        }

        /// The routines of this process.
        pub(crate) static ROUTINES: Routines = Routines {
            $($name: {
                unsafe extern "C" fn routine(
                    state: *mut NativeState<'_>,
                    $number: u64
                    $(, $value: Value)*
                ) -> Value {
                    // SAFETY: native code passes on what it was given.
                    unsafe { &mut *state }.$way(|stay, gas| stay.$how(gas, |$on| $operation))
                }
                routine
            },)*
            vector,
            list,
            error,
            spread,
            gather,
        };
    };
}

routines! {
    string_append: OfTwo = makes operate |aside, _n, a, b| operations::string_append(aside, a, b);
    string_ref: OfTwo = makes operate |aside, _n, string, index| operations::string_ref(aside, string, index);
    substring: OfThree = makes operate |aside, _n, string, from, to| operations::substring(aside, string, from, to);
    string_index: OfTwo = reads operate |aside, _n, string, part| operations::string_index(aside, string, part);
    string_eq: OfTwo = reads handle |hot, _n, a, b| operations::string_eq(hot, a, b);
    string_lt: OfTwo = reads handle |hot, _n, a, b| operations::string_lt(hot, a, b);
    number_to_string: OfOne = makes operate |aside, _n, number| operations::number_to_string(aside, number, Value::NIL);
    string_to_number: OfOne = reads operate |aside, _n, string| operations::string_to_number(aside, string, Value::NIL);
    string_to_bytes: OfOne = makes operate |aside, _n, string| operations::string_to_bytes(aside, string);
    bytes_to_string: OfOne = makes operate |aside, _n, bytes| operations::bytes_to_string(aside, bytes);
    eq: OfTwo = reads handle |hot, _n, a, b| operations::eq(hot, a, b);
    equal: OfTwo = reads handle |hot, _n, a, b| operations::equal(hot, a, b);
    cons: OfTwo = makes operate |aside, _n, car, cdr| operations::cons(aside, car, cdr);
    car: OfOne = reads operate |aside, _n, pair| operations::car(aside, pair);
    cdr: OfOne = reads operate |aside, _n, pair| operations::cdr(aside, pair);
    make_vector: OfTwo = makes operate |aside, _n, count, value| operations::make_vector(aside, count, value);
    vector_ref: OfTwo = reads operate |aside, _n, vector, index| operations::vector_ref(aside, vector, index);
    vector_set: OfThree = makes operate |aside, _n, vector, index, value| operations::vector_set(aside, vector, index, value);
    vector_push: OfTwo = makes operate |aside, _n, vector, value| operations::vector_push(aside, vector, value);
    vector_pop: OfOne = reads operate |aside, _n, vector| operations::vector_pop(aside, vector);
    vector_fill: OfTwo = makes operate |aside, _n, vector, value| operations::vector_fill(aside, vector, value);
    make_bytes: OfTwo = makes operate |aside, _n, count, fill| operations::make_bytes(aside, count, fill);
    make_map: OfNone = makes operate |aside, _n| operations::make_map(aside);
    map_get: OfThree = reads handle |hot, place, map, key, default| operations::map_get(hot, place as u32, map, key, default);
    map_set: OfThree = makes handle |hot, place, map, key, value| operations::map_set(hot, place as u32, map, key, value);
    map_has: OfTwo = reads handle |hot, place, map, key| operations::map_has(hot, place as u32, map, key);
    map_delete: OfTwo = reads handle |hot, place, map, key| operations::map_delete(hot, place as u32, map, key);
    map_keys: OfOne = makes operate |aside, _n, map| operations::map_keys(aside, map);
    make_error: OfTwo = makes operate |aside, _n, message, values| operations::make_error(aside, message, values);
    error_kind: OfOne = makes operate |aside, _n, error| operations::error_kind(aside, error);
    error_message: OfOne = reads operate |aside, _n, error| operations::error_message(aside, error);
    error_values: OfOne = reads operate |aside, _n, error| operations::error_values(aside, error);
    add: OfTwo = reads operate |_aside, _n, a, b| operations::add(a, b);
    sub: OfTwo = reads operate |_aside, _n, a, b| operations::sub(a, b);
    mul: OfTwo = reads operate |_aside, _n, a, b| operations::mul(a, b);
    div: OfTwo = reads operate |_aside, _n, a, b| operations::div(a, b);
    quot: OfTwo = reads operate |_aside, _n, a, b| operations::quot(a, b);
    rem: OfTwo = reads operate |_aside, _n, a, b| operations::rem(a, b);
    modulo: OfTwo = reads operate |_aside, _n, a, b| operations::modulo(a, b);
    min: OfTwo = reads operate |_aside, _n, a, b| operations::min(a, b);
    max: OfTwo = reads operate |_aside, _n, a, b| operations::max(a, b);
    lt: OfTwo = reads operate |_aside, _n, a, b| operations::lt(a, b);
    le: OfTwo = reads operate |_aside, _n, a, b| operations::le(a, b);
    gt: OfTwo = reads operate |_aside, _n, a, b| operations::gt(a, b);
    ge: OfTwo = reads operate |_aside, _n, a, b| operations::ge(a, b);
    num_eq: OfTwo = reads operate |_aside, _n, a, b| operations::num_eq(a, b);
    num_ne: OfTwo = reads operate |_aside, _n, a, b| operations::num_ne(a, b);
    to_int: OfOne = reads operate |_aside, _n, number| operations::to_int(number);
    send: OfThree = reads handle |hot, _n, to, value, priority| operations::send(hot, to, value, priority);
    receive: OfNone = makes handle |hot, _n| operations::receive(hot);
    sender: OfNone = reads ask |stay, _n| operations::sender(stay);
    self_id: OfNone = reads ask |stay, _n| operations::self_id(stay);
    library_function: OfOne = reads operate |_aside, place, number| operations::library_function(place as usize, number);
    library_function_of_two: OfTwo = reads operate |_aside, place, a, b| operations::library_function_of_two(place as usize, a, b);
}

unsafe extern "C" fn vector(state: *mut NativeState<'_>, count: u64, first: *const Value) -> Value {
    // SAFETY: native code has written that many values there, in the frame.
    let values = unsafe { std::slice::from_raw_parts(first, count as usize) };
    // SAFETY: native code passes on what it was given.
    unsafe { &mut *state }
        .makes(|stay, gas| stay.operate(gas, |aside| operations::vector(aside, values)))
}

unsafe extern "C" fn list(state: *mut NativeState<'_>, count: u64, first: *const Value) -> Value {
    // SAFETY: native code has written that many values there, in the frame.
    let values = unsafe { std::slice::from_raw_parts(first, count as usize) };
    // SAFETY: native code passes on what it was given.
    unsafe { &mut *state }
        .makes(|stay, gas| stay.operate(gas, |aside| operations::list(aside, values)))
}

/// The Error of an instruction that fails.
unsafe extern "C" fn error(state: *mut NativeState<'_>, place: u64, fp: *mut Value) -> Value {
    let (function, pc) = ((place >> 32) as u32, place as u32);
    // SAFETY: native code passes on what it was given.
    unsafe { &mut *state }.makes(|stay, gas| {
        // SAFETY: native code has written the operands to the frame.
        unsafe { stay.error_of(function, pc, fp, gas) }
    })
}

/// Spreads the arguments of a call to where the frame of the function is to be; its number.
unsafe extern "C" fn spread(
    state: *mut NativeState<'_>,
    to: *mut Value,
    closure: Value,
    list: Value,
) -> Value {
    // SAFETY: native code passes on what it was given.
    let state = unsafe { &mut *state };
    let (end, program) = (state.stack_end, (state.program_bits >> 32) as u32);
    state.reads(|stay, gas| {
        stay.operate(gas, |aside| {
            // SAFETY: a frame of native code begins there, or is to begin; its registers are elsewhere.
            unsafe { operations::spread(aside, program, (to, end), closure, list) }
        })
    })
}

/// Gives a function arguments that do not fit as they stand, where its frame is to be; its number.
unsafe extern "C" fn gather(
    state: *mut NativeState<'_>,
    to: *mut Value,
    closure: Value,
    first: *const Value,
    count: u64,
) -> Value {
    let values = std::ptr::slice_from_raw_parts(first, count as usize);
    // SAFETY: native code passes on what it was given.
    let state = unsafe { &mut *state };
    let (end, program) = (state.stack_end, (state.program_bits >> 32) as u32);
    state.makes(|stay, gas| {
        stay.operate(gas, |aside| {
            // SAFETY: a frame of native code begins there, or is to begin; its registers are elsewhere or among the values,
            // which native code has written.
            unsafe { operations::gather_for_closure(aside, program, (to, end), closure, values) }
        })
    })
}

impl<'a> NativeState<'a> {
    /// Lets an operation work with the objects that there are. It need not know of those that native code
    /// has just made in place, other than by values.
    #[inline(always)]
    fn reads(&mut self, operation: impl FnOnce(&mut Stay<'a>, &mut i64) -> Value) -> Value {
        operation(&mut self.stay, &mut self.gas)
    }

    /// Lets an operation make objects.
    #[inline(always)]
    fn makes(&mut self, operation: impl FnOnce(&mut Stay<'a>, &mut i64) -> Value) -> Value {
        self.tell_arena();
        let before = self.stay.arena().statistics.allocations;
        let value = operation(&mut self.stay, &mut self.gas);
        // Only by making something does its top or place change.
        if self.stay.arena().statistics.allocations != before {
            self.read_arena();
        }
        value
    }
}
