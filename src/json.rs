//! Values as JSON, tagged by kind.
//!
//! `"Nil"`, `{"Bool":true}`, `{"Int":1}`, `{"Float":1.5}` (`"NaN"`, `"inf"`, `"-inf"` as strings),
//! `{"String":"…"}`, `{"Symbol":"…"}`, `{"Pair":[car,cdr]}`, `{"Vector":[…]}`, `{"Map":[[key,value],…]}`,
//! `{"Bytes":[…]}`, `"Closure"`, `{"ActorId":7}`, `{"Capability":"name"}` or `{"Capability":{"name":parameter}}`,
//! `{"Error":"message"}`, `"Cycle"` where a vector or map contains itself.

use std::collections::HashSet;
use std::fmt::Write;

use pw_isa::Kind;
use pw_jit::Value;
use pw_jit::heap::Heap;

/// The longest JSON of a value, in bytes; what does not fit is `"Cut"`.
pub const JSON_MAX: usize = 64 << 20;

enum Step {
    Value(Value),
    Text(&'static str),
    Leave(Value),
}

/// A float as JSON.
pub fn float_json(value: f64) -> String {
    if value.is_nan() {
        "\"NaN\"".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "\"inf\"" } else { "\"-inf\"" }.to_owned()
    } else {
        format!("{value:?}")
    }
}

/// A string as JSON.
pub fn text_json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The JSON of a value. Walks without recursion: lists may be as long as they like.
pub fn value_json(heap: Heap<'_>, value: Value) -> String {
    let mut out = String::new();
    let mut steps = vec![Step::Value(value)];
    let mut around = HashSet::new();
    while let Some(step) = steps.pop() {
        match step {
            Step::Text(text) => out.push_str(text),
            Step::Leave(value) => {
                around.remove(&(value.tag, value.bits));
            }
            Step::Value(_) if out.len() > JSON_MAX => out.push_str("\"Cut\""),
            Step::Value(value) => {
                let cyclic = matches!(value.kind(), Kind::Vector | Kind::Map);
                if cyclic && !around.insert((value.tag, value.bits)) {
                    out.push_str("\"Cycle\"");
                    continue;
                }
                if cyclic {
                    steps.push(Step::Leave(value));
                }
                write_one(heap, value, &mut out, &mut steps);
            }
        }
    }
    out
}

fn write_one(heap: Heap<'_>, value: Value, out: &mut String, steps: &mut Vec<Step>) {
    let _ = match value.kind() {
        Kind::Nil => write!(out, "\"Nil\""),
        Kind::Bool => write!(out, "{{\"Bool\":{}}}", value.bits != 0),
        Kind::Int => write!(out, "{{\"Int\":{}}}", value.bits as i64),
        Kind::Float => write!(
            out,
            "{{\"Float\":{}}}",
            float_json(f64::from_bits(value.bits))
        ),
        Kind::ActorId => write!(out, "{{\"ActorId\":{}}}", value.bits),
        Kind::String => write!(
            out,
            "{{\"String\":{}}}",
            text_json(heap.string(value).unwrap_or(""))
        ),
        Kind::Symbol => write!(
            out,
            "{{\"Symbol\":{}}}",
            text_json(heap.symbol(value).unwrap_or(""))
        ),
        Kind::Closure => write!(out, "\"Closure\""),
        Kind::Cell => write!(out, "\"Cell\""),
        Kind::Bytes => write!(out, "{{\"Bytes\":{:?}}}", heap.bytes(value).unwrap_or(&[])),
        Kind::Error => {
            let message = heap
                .error(value)
                .and_then(|(_, message, _)| heap.string(message));
            write!(out, "{{\"Error\":{}}}", text_json(message.unwrap_or("")))
        }
        Kind::Capability => {
            write_capability(heap, value, out, steps);
            Ok(())
        }
        Kind::Pair => {
            if let Some((car, cdr)) = heap.pair(value) {
                steps.extend([
                    Step::Text("]}"),
                    Step::Value(cdr),
                    Step::Text(","),
                    Step::Value(car),
                ]);
            }
            write!(out, "{{\"Pair\":[")
        }
        Kind::Vector => {
            let elements: Vec<Value> = heap.vector(value).into_iter().flatten().collect();
            steps.push(Step::Text("]}"));
            for (index, element) in elements.into_iter().enumerate().rev() {
                steps.push(Step::Value(element));
                if index > 0 {
                    steps.push(Step::Text(","));
                }
            }
            write!(out, "{{\"Vector\":[")
        }
        Kind::Map => {
            let entries: Vec<(Value, Value)> = heap.map(value).into_iter().flatten().collect();
            steps.push(Step::Text("]}"));
            for (index, (key, value)) in entries.into_iter().enumerate().rev() {
                let open = if index > 0 { ",[" } else { "[" };
                steps.extend([
                    Step::Text("]"),
                    Step::Value(value),
                    Step::Text(","),
                    Step::Value(key),
                ]);
                steps.push(Step::Text(open));
            }
            write!(out, "{{\"Map\":[")
        }
    };
}

fn write_capability(heap: Heap<'_>, value: Value, out: &mut String, steps: &mut Vec<Step>) {
    let Some((name, parameter)) = heap.capability(value) else {
        return;
    };
    let name = text_json(heap.symbol(name).unwrap_or(""));
    let _ = if parameter == Value::NIL {
        write!(out, "{{\"Capability\":{name}}}")
    } else {
        steps.extend([Step::Text("}}"), Step::Value(parameter)]);
        write!(out, "{{\"Capability\":{{{name}:")
    };
}
