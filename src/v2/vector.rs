//! Conformance vectors: one V2 program in JSON with what it has to give.
//!
//! ```json
//! {"name":"op/add","constants":[],"code":[["Int",1],["Int",2],["Add"]],
//!  "step_limit":100,"memory_limit":1024,"max_depth":100,"caps":["SysClock"],
//!  "expect":{"result":{"Int":3},"steps":4}}
//! ```
//!
//! Instructions are arrays of a name and its operands, constants and results tagged values; floats
//! that JSON cannot write are the strings `"NaN"`, `"inf"` and `"-inf"`. `pw run x.v2.json` runs such
//! a file.

use pw_jit::Failure;
use serde_json::Value as Json;

use super::alone::{Alone, Decisions};
pub use super::machine::Tier;
use super::machine::{Machine, MachineLimits, Slice};
use super::surroundings::Pause;
use super::{Capability, HeapObjects, OpCode, Value, VmErrorKind};

/// Brackets within brackets that a file may have. Parsing uses the native stack.
const NESTING_MAX: usize = 1000;

/// A V2 program with its limits and what it has to give.
#[derive(Clone, Debug)]
pub struct Vector {
    /// Its name.
    pub name: String,
    /// The constants.
    pub constants: Vec<Value>,
    /// The instructions.
    pub code: Vec<OpCode>,
    /// Steps that it may take.
    pub step_limit: u64,
    /// Bytes that it may hold.
    pub memory_limit: usize,
    /// Calls that may be open at once.
    pub max_depth: usize,
    /// Capabilities that the actor holds at the start.
    pub caps: Vec<Capability>,
    /// Labels of the vector.
    pub tags: Vec<String>,
    /// What is expected, as it stands in the file.
    pub expect: Json,
}

/// Why a text is no vector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VectorError {
    /// It is not JSON.
    #[error("not JSON: {0}")]
    Json(String),
    /// Brackets are nested deeper than the reader allows.
    #[error("more than {NESTING_MAX} brackets within each other")]
    Nesting,
    /// It is a list of several vectors, or of none, where one was asked for.
    #[error("{0} vectors where one was expected")]
    Count(usize),
    /// A field is missing or not what it has to be.
    #[error("vector {vector}: field `{field}`: {reason}")]
    Field {
        /// The name or position of the vector.
        vector: String,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// The vector in a text: an object, or an array of one.
///
/// # Errors
/// When the text is not exactly one vector.
pub fn parse(text: &str) -> Result<Vector, VectorError> {
    let mut vectors = parse_all(text)?;
    match vectors.pop() {
        Some(vector) if vectors.is_empty() => Ok(vector),
        last => Err(VectorError::Count(
            vectors.len() + usize::from(last.is_some()),
        )),
    }
}

/// The vectors in a text: an array of objects, or one object.
///
/// # Errors
/// When the text is anything else.
pub fn parse_all(text: &str) -> Result<Vec<Vector>, VectorError> {
    check_nesting(text)?;
    let mut input = serde_json::Deserializer::from_str(text);
    input.disable_recursion_limit();
    let json: Json = serde::Deserialize::deserialize(&mut input)
        .and_then(|json| input.end().map(|()| json))
        .map_err(|error| VectorError::Json(error.to_string()))?;
    let list = match json {
        Json::Array(list) => list,
        other => vec![other],
    };
    list.iter()
        .enumerate()
        .map(|(position, vector)| parse_vector(position, vector))
        .collect()
}

fn check_nesting(text: &str) -> Result<(), VectorError> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            return Err(VectorError::Nesting);
        }
    }
    Ok(())
}

fn parse_vector(position: usize, json: &Json) -> Result<Vector, VectorError> {
    let name = json["name"].as_str().unwrap_or_default().to_owned();
    let fault = |field: &'static str, reason: String| VectorError::Field {
        vector: if name.is_empty() {
            format!("#{position}")
        } else {
            name.clone()
        },
        field,
        reason,
    };
    let number = |field: &'static str| {
        json[field]
            .as_u64()
            .ok_or_else(|| fault(field, "not a whole number".to_owned()))
    };
    let list = |field: &'static str| match &json[field] {
        Json::Array(items) => Ok(items.as_slice()),
        Json::Null => Ok(&[][..]),
        _ => Err(fault(field, "not a list".to_owned())),
    };
    let constants = list("constants")?
        .iter()
        .map(value)
        .collect::<Result<_, _>>()
        .map_err(|reason| fault("constants", reason))?;
    if json["code"].is_null() {
        return Err(fault("code", "missing".to_owned()));
    }
    let code = code(list("code")?).map_err(|reason| fault("code", reason))?;
    let caps = list("caps")?
        .iter()
        .map(capability)
        .collect::<Result<_, _>>()
        .map_err(|reason| fault("caps", reason))?;
    Ok(Vector {
        constants,
        code,
        step_limit: number("step_limit")?,
        memory_limit: number("memory_limit")? as usize,
        max_depth: number("max_depth")? as usize,
        caps,
        tags: list("tags")?
            .iter()
            .filter_map(Json::as_str)
            .map(str::to_owned)
            .collect(),
        expect: json["expect"].clone(),
        name: name.clone(),
    })
}

/// A list of instructions.
fn code(list: &[Json]) -> Result<Vec<OpCode>, String> {
    list.iter().map(instruction).collect()
}

/// `["Name", operands…]`, or the tagged form that the instruction itself serializes to.
fn instruction(json: &Json) -> Result<OpCode, String> {
    let fault = || format!("not an instruction: {json}");
    let Json::Array(parts) = json else {
        return serde_json::from_value(json.clone()).map_err(|_| fault());
    };
    let texts: Vec<String> = parts
        .iter()
        .map(|part| match part {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (name, operands) = texts.split_first().ok_or_else(fault)?;
    OpCode::from_parts(name, operands).ok_or_else(fault)
}

fn capability(json: &Json) -> Result<Capability, String> {
    serde_json::from_value(json.clone()).map_err(|_| format!("not a capability: {json}"))
}

/// A value without parts.
fn value(json: &Json) -> Result<Value, String> {
    let fault = || format!("not a value: {json}");
    if json == "Nil" {
        return Ok(Value::Nil);
    }
    let object = json.as_object().ok_or_else(fault)?;
    let (tag, content) = object.iter().next().ok_or_else(fault)?;
    match tag.as_str() {
        "Float" => float(content).map(Value::Float).ok_or_else(fault),
        "Code" => code(content.as_array().ok_or_else(fault)?).map(Value::Code),
        "Pair" | "Closure" | "GcPtr" => Err(fault()),
        _ => serde_json::from_value(json.clone()).map_err(|_| fault()),
    }
}

fn float(json: &Json) -> Option<f64> {
    match json.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("inf") => Some(f64::INFINITY),
        Some("-inf") => Some(f64::NEG_INFINITY),
        Some(_) => None,
        None => json.as_f64(),
    }
}

/// What a program gave.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The result, or the kind of the error.
    pub result: Result<Value, &'static str>,
    /// The objects that the result and the messages point to.
    pub objects: HeapObjects,
    /// Steps charged.
    pub steps: u64,
    /// How often it yielded.
    pub yields: u64,
    /// Messages that it sent, in order.
    pub messages: Vec<(u32, Value)>,
    /// The result in Jue's notation.
    pub notation: String,
    /// The error in full.
    pub failure: Option<Box<Failure>>,
}

/// The address of the actor that runs a vector.
const ACTOR: u32 = 1;

/// Parses the vector in a text and runs it.
///
/// # Errors
/// When the text is not exactly one vector.
pub fn run_vector(text: &str) -> Result<Outcome, VectorError> {
    Ok(run(&parse(text)?))
}

/// Runs a vector: actor 1, alone in its world, resumed at once without messages when it yields.
pub fn run(vector: &Vector) -> Outcome {
    run_in(vector, Tier::default(), u64::MAX)
}

/// Runs a vector like [`run`], by a tier and in slices of at most this many steps.
pub fn run_in(vector: &Vector, tier: Tier, slice: u64) -> Outcome {
    let mut outcome = Outcome {
        result: Err(VmErrorKind::MemoryLimitExceeded.name()),
        objects: HeapObjects::new(),
        steps: 0,
        yields: 0,
        messages: Vec::new(),
        notation: String::new(),
        failure: None,
    };
    let limits = MachineLimits {
        steps: vector.step_limit,
        memory_bytes: vector.memory_limit,
        depth: vector.max_depth,
    };
    let Ok(mut machine) = Machine::new(&vector.code, &vector.constants, limits, false) else {
        return outcome;
    };
    machine.tier = tier;
    let mut alone = Alone::new(ACTOR, vector.caps.iter().cloned(), Decisions::ByRules);
    outcome.result = loop {
        match machine.run(slice, &mut Vec::new(), &mut alone) {
            Slice::Preempted => {}
            Slice::Paused(pause) => {
                outcome.yields += u64::from(pause == Pause::Yield);
                machine.resume(false, &mut alone);
            }
            Slice::Finished(value) => {
                outcome.notation = machine.notation(value);
                break Ok(machine.export(value, &mut outcome.objects));
            }
            Slice::Failed(failure) => {
                let kind = VmErrorKind::from(failure.kind).name();
                outcome.failure = Some(failure);
                break Err(kind);
            }
        }
    };
    // A limit of 2 stops a tail call, which takes 2 steps, with 1 step left: that one is used too.
    let out_of_steps = outcome.result == Err(VmErrorKind::CpuLimitExceeded.name());
    outcome.steps = if out_of_steps {
        vector.step_limit
    } else {
        machine.steps()
    };
    for (target, message) in alone.sent {
        let value = outcome.objects.absorb(&message.value, &message.objects);
        outcome.messages.push((target, value));
    }
    outcome
}

impl Outcome {
    /// What differs from what the vector expects, if anything. Steps are compared with `steps_sane`
    /// where that is given.
    pub fn difference(&self, vector: &Vector) -> Option<String> {
        let expect = &vector.expect;
        let agrees = match (&self.result, &expect["result"], expect["error"].as_str()) {
            (Err(kind), _, Some(expected)) => *kind == expected,
            (Ok(value), result, None) => self.matches(value, result),
            _ => false,
        };
        if !agrees {
            return Some(format!("gave {} instead of {expect}", self.to_json()));
        }
        let yields = expect["yields"].as_u64().unwrap_or(0);
        if self.yields != yields {
            return Some(format!("yielded {} times instead of {yields}", self.yields));
        }
        let steps = expect["steps_sane"].as_u64().or(expect["steps"].as_u64());
        if let Some(steps) = steps.filter(|steps| *steps != self.steps) {
            return Some(format!("took {} steps instead of {steps}", self.steps));
        }
        let messages = expect["messages_sent_sane"].as_array()?;
        let sent_all = messages.len() == self.messages.len()
            && messages.iter().zip(&self.messages).all(|(expected, sent)| {
                expected[0] == sent.0 && self.matches(&sent.1, &expected[1])
            });
        (!sent_all).then(|| format!("sent {:?} instead of {messages:?}", self.messages))
    }

    /// Whether a value is what the JSON says. Errors agree whatever their messages.
    fn matches(&self, value: &Value, json: &Json) -> bool {
        let mut open = vec![(value, json)];
        while let Some((actual, expected)) = open.pop() {
            let agrees = match actual {
                Value::Pair(_) => match (self.objects.pair(actual), expected["Pair"].as_array()) {
                    (Some((car, cdr)), Some(parts)) if parts.len() == 2 => {
                        open.push((car, &parts[0]));
                        open.push((cdr, &parts[1]));
                        true
                    }
                    _ => false,
                },
                Value::Closure(_) => expected == "Closure",
                Value::Error(_) => expected.get("Error").is_some(),
                Value::Float(actual) => float(&expected["Float"]).is_some_and(|expected| {
                    actual.to_bits() == expected.to_bits() || actual.is_nan() && expected.is_nan()
                }),
                other => super::vector::value(expected).is_ok_and(|expected| expected == *other),
            };
            if !agrees {
                return false;
            }
        }
        true
    }

    /// The outcome as one line of JSON: `result` or `error`, then [`Outcome::counts_json`].
    pub fn to_json(&self) -> String {
        let mut out = String::from("{");
        match &self.result {
            Ok(value) => {
                out.push_str("\"result\":");
                self.write_value(value, &mut out);
            }
            Err(kind) => out.push_str(&format!("\"error\":\"{kind}\"")),
        }
        out.push(',');
        out.push_str(&self.counts_json());
        out.push('}');
        out
    }

    /// Steps (also under their name everywhere else, gas), yields and messages, as fields of JSON.
    pub fn counts_json(&self) -> String {
        let (steps, yields) = (self.steps, self.yields);
        let mut out =
            format!("\"steps\":{steps},\"gas\":{steps},\"yields\":{yields},\"messages_sent\":[");
        for (index, (target, message)) in self.messages.iter().enumerate() {
            out.push_str(if index > 0 { ",[" } else { "[" });
            out.push_str(&format!("{target},"));
            self.write_value(message, &mut out);
            out.push(']');
        }
        out.push(']');
        out
    }

    fn write_value(&self, value: &Value, out: &mut String) {
        enum Part<'a> {
            Value(&'a Value),
            Text(&'static str),
        }
        let mut open = vec![Part::Value(value)];
        while let Some(part) = open.pop() {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(Value::Closure(_)) => out.push_str("\"Closure\""),
                Part::Value(Value::Float(float)) if !float.is_finite() => {
                    out.push_str(&format!("{{\"Float\":\"{float}\"}}"));
                }
                Part::Value(value) => match self.objects.pair(value) {
                    Some((car, cdr)) => {
                        out.push_str("{\"Pair\":[");
                        open.push(Part::Text("]}"));
                        open.push(Part::Value(cdr));
                        open.push(Part::Text(","));
                        open.push(Part::Value(car));
                    }
                    None => match serde_json::to_string(value) {
                        Ok(text) => out.push_str(&text),
                        Err(error) => unreachable!("a value has a JSON form: {error}"),
                    },
                },
            }
        }
    }
}
