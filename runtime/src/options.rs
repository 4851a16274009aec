//! Options as programs give them: a list of alternating keys and values.

use pw_jit::fiber::arena::Arena;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::heap::Heap;
use pw_jit::text::{Style, value_text};
use pw_jit::{CodeSpace, Value};

/// The value of an option, seen in every way that an option may want it.
pub(crate) struct OptionValue<'a> {
    /// The text of a symbol.
    pub(crate) symbol: Option<&'a str>,
    /// An Int from 0 on.
    pub(crate) number: Option<u64>,
    pub(crate) truth: Option<bool>,
}

/// Tells `take` every option; the text of all of them when it does not take one.
pub(crate) fn read(
    code: &CodeSpace,
    options: &Parcel,
    mut take: impl FnMut(&str, OptionValue<'_>) -> bool,
) -> Result<(), String> {
    let mut arena = Arena::new();
    let list = options.unpack(code, &mut arena);
    let heap = Heap {
        arena: &arena,
        code,
    };
    let parts: Vec<Value> = heap.list(list).flatten().collect();
    for pair in parts.chunks(2) {
        let key = heap.symbol(pair[0]).unwrap_or("");
        let value = pair.get(1).copied().unwrap_or(Value::NIL);
        let seen = OptionValue {
            symbol: heap.symbol(value),
            number: value.as_int().and_then(|number| u64::try_from(number).ok()),
            truth: value.as_bool(),
        };
        if !take(key, seen) {
            return Err(value_text(heap, list, Style::Quoted));
        }
    }
    Ok(())
}
