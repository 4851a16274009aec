//! Functions of the embedder: the only way out of a world.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | which functions there are, and their calls by programs |
//! | `datum` | values as an embedder sees them |

mod datum;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pw_isa::ErrorKind;
use pw_jit::CodeSpace;
use pw_jit::fiber::arena::Arena;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::heap::Heap;
use pw_jit::text::{Style, TEXT_MAX, value_text_within};

use crate::actor::ActorId;
use crate::portable::{bytes_of, portable};
pub use datum::Datum;

/// What a function of the embedder gives: a value, or an error that the call raises.
pub type HostResult = Result<Datum, HostError>;

/// An error that a call of a function of the embedder raises.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct HostError {
    /// Its kind.
    pub kind: ErrorKind,
    /// What happened.
    pub message: String,
}

impl HostError {
    /// An error of kind `Error`.
    pub fn new(message: impl Into<String>) -> HostError {
        HostError {
            kind: ErrorKind::Error,
            message: message.into(),
        }
    }
}

type Pure = dyn Fn(&[Datum]) -> HostResult + Send + Sync;
type Tell = dyn Fn(&HostCallView<'_>) + Send + Sync;
type Call = dyn Fn(ActorId, Vec<Datum>) -> HostResult + Send + Sync;

/// What a function does, and so when it runs.
#[derive(Clone)]
enum HostClass {
    Pure(Arc<Pure>),
    Output(Arc<Tell>),
    Call(Arc<Call>),
}

/// A function that programs call with `(host-call 'name …)`.
#[derive(Clone)]
pub struct HostFunction {
    name: String,
    capability: Option<String>,
    class: HostClass,
}

impl fmt::Debug for HostFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostFunction")
            .field("name", &self.name)
            .field("capability", &self.capability)
            .finish_non_exhaustive()
    }
}

impl HostFunction {
    /// A function whose result depends on its arguments alone: it runs at once, on the worker, and again in every
    /// replay. It should be quick.
    pub fn pure(
        name: &str,
        function: impl Fn(&[Datum]) -> HostResult + Send + Sync + 'static,
    ) -> HostFunction {
        HostFunction {
            name: name.to_owned(),
            capability: None,
            class: HostClass::Pure(Arc::new(function)),
        }
    }

    /// A function that tells the outside something and has no result: it runs after the tick, in the order of the
    /// calls, and the program goes on with nil.
    pub fn output(
        name: &str,
        function: impl Fn(&HostCallView<'_>) + Send + Sync + 'static,
    ) -> HostFunction {
        HostFunction {
            name: name.to_owned(),
            capability: None,
            class: HostClass::Output(Arc::new(function)),
        }
    }

    /// A function that asks the outside: it runs on a thread of its own after the tick, however long it takes;
    /// the actor waits, and its answer is an input. A panic is an error for its caller.
    pub fn call(
        name: &str,
        function: impl Fn(ActorId, Vec<Datum>) -> HostResult + Send + Sync + 'static,
    ) -> HostFunction {
        HostFunction {
            name: name.to_owned(),
            capability: None,
            class: HostClass::Call(Arc::new(function)),
        }
    }

    /// The same, and only for actors that hold a capability.
    #[must_use]
    pub fn needing(mut self, capability: &str) -> HostFunction {
        self.capability = Some(capability.to_owned());
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The capability that its callers must hold.
    pub fn capability(&self) -> Option<&str> {
        self.capability.as_deref()
    }
}

/// What of a function decides what programs do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HostSignature {
    capability: Option<String>,
    /// 0 pure, 1 output, 2 call.
    class: u8,
}

portable!(struct HostSignature { capability, class });

impl HostFunction {
    fn signature(&self) -> HostSignature {
        HostSignature {
            capability: self.capability.clone(),
            class: match self.class {
                HostClass::Pure(_) => 0,
                HostClass::Output(_) => 1,
                HostClass::Call(_) => 2,
            },
        }
    }
}

/// The functions that a world knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostFunctions {
    by_name: BTreeMap<String, HostFunction>,
}

impl HostFunctions {
    /// Adds a function, in place of one of the same name.
    pub(crate) fn register(&mut self, function: HostFunction) {
        self.by_name.insert(function.name.clone(), function);
    }

    /// The function of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&HostFunction> {
        self.by_name.get(name)
    }

    /// All functions, as far as programs can tell them apart.
    pub(crate) fn table(&self) -> Vec<(String, HostSignature)> {
        let all = self.by_name.iter();
        all.map(|(name, function)| (name.clone(), function.signature()))
            .collect()
    }

    /// The name of a function that a state knows and that is not here as it was, if there is one.
    pub(crate) fn differs(&self, table: &[(String, HostSignature)]) -> Option<String> {
        let here = |name: &String| self.by_name.get(name).map(HostFunction::signature);
        let other = table
            .iter()
            .find(|(name, then)| here(name).as_ref() != Some(then));
        other.map(|(name, _)| name.clone())
    }

    /// The names of all functions.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

/// A call that is to happen outside.
#[derive(Clone, Debug)]
pub(crate) struct HostRequest {
    /// The function's name.
    pub(crate) function: String,
    /// The capability that it needs.
    pub(crate) capability: Option<String>,
    pub(crate) arguments: Vec<Parcel>,
}

impl HostRequest {
    /// The hash of what is called, and with what.
    pub(crate) fn digest(&self, code: &CodeSpace) -> [u8; 32] {
        *blake3::hash(&bytes_of(code, self)).as_bytes()
    }
}

/// What becomes of a call by a program.
pub(crate) enum Called {
    /// It has happened.
    Done(Result<Parcel, HostError>),
    /// It happens after the tick; the program goes on.
    Output(HostRequest),
    /// It happens after the tick; the program waits.
    Outside(HostRequest),
}

impl HostFunction {
    /// A program calls the function.
    pub(crate) fn called(&self, code: &CodeSpace, arguments: Vec<Parcel>) -> Called {
        let outside = |arguments| HostRequest {
            function: self.name.clone(),
            capability: self.capability.clone(),
            arguments,
        };
        match &self.class {
            HostClass::Pure(function) => {
                let data: Vec<Datum> = arguments
                    .iter()
                    .map(|argument| Datum::unpack(code, argument))
                    .collect();
                let result = caught(&self.name, || function(&data));
                Called::Done(result.map(|datum| datum.pack(code)))
            }
            HostClass::Output(_) => Called::Output(outside(arguments)),
            HostClass::Call(_) => Called::Outside(outside(arguments)),
        }
    }
}

impl HostFunction {
    /// Tells the outside, if that is what the function does. A panic of the function ends here: its caller has
    /// gone on long ago.
    pub(crate) fn release(&self, code: &CodeSpace, output: &Output) {
        if let HostClass::Output(function) = &self.class {
            let view = HostCallView::new(code, output);
            let _span = span(&self.name);
            let told = catch_unwind(AssertUnwindSafe(|| function(&view)));
            drop(told);
        }
    }

    /// What asks the outside: to be run on any thread. Nothing if the function does not ask.
    pub(crate) fn question(
        &self,
        code: &CodeSpace,
        from: ActorId,
        arguments: &[Parcel],
    ) -> Option<impl FnOnce() -> HostResult + Send + 'static> {
        let HostClass::Call(function) = &self.class else {
            return None;
        };
        let (function, name) = (Arc::clone(function), self.name.clone());
        let arguments: Vec<Datum> = arguments
            .iter()
            .map(|argument| Datum::unpack(code, argument))
            .collect();
        Some(move || caught(&name, || function(from, arguments)))
    }
}

/// The span of a call, for who listens.
fn span(name: &str) -> tracing::span::EnteredSpan {
    tracing::trace_span!("host call", function = name).entered()
}

/// The result of a function of the embedder; a panic is an error.
fn caught(name: &str, function: impl FnOnce() -> HostResult) -> HostResult {
    let _span = span(name);
    catch_unwind(AssertUnwindSafe(function)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("it does not say why");
        Err(HostError {
            kind: ErrorKind::HostLost,
            message: format!("{name} panicked: {text}"),
        })
    })
}

/// A call as a function of the embedder sees it.
#[derive(Clone, Copy, Debug)]
pub struct HostCallView<'a> {
    code: &'a CodeSpace,
    output: &'a Output,
}

/// Something that leaves a world.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// Outputs of the world before it, and one: it has the same number when it leaves a second time, after a recovery.
    pub(crate) number: u64,
    /// The tick after which it left.
    pub(crate) tick: u64,
    /// Who called.
    pub(crate) from: ActorId,
    pub(crate) request: HostRequest,
}

/// The longest text of a value, in bytes, for each byte of the value.
const TEXT_BYTES_EACH: u64 = 64;
/// The longest text of any value, in bytes.
const TEXT_BYTES: u64 = 4096;

impl<'a> HostCallView<'a> {
    /// An output as a function of the embedder would see it.
    pub(crate) fn new(code: &'a CodeSpace, output: &'a Output) -> HostCallView<'a> {
        HostCallView { code, output }
    }

    /// The hash of what is called, and with what.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.output.request.digest(self.code)
    }

    /// The name of the function.
    pub(crate) fn function(&self) -> &str {
        &self.output.request.function
    }

    /// The actor that calls.
    pub fn from(&self) -> ActorId {
        self.output.from
    }

    /// The number of the output: outputs of a world are numbered from 1 in their order. One that leaves a second time, because a
    /// world was recovered that did not know that it had left, has the number that it had; so a receiver that remembers the
    /// highest number takes each once.
    pub fn number(&self) -> u64 {
        self.output.number
    }

    /// The tick after which it left.
    pub fn tick(&self) -> u64 {
        self.output.tick
    }

    /// The arguments.
    pub fn arguments(&self) -> Vec<Datum> {
        self.output
            .request
            .arguments
            .iter()
            .map(|argument| Datum::unpack(self.code, argument))
            .collect()
    }

    /// The arguments as text, one space between them: strings bare, everything else as Jue writes it. Parts that are
    /// shared are written each time, so a small value may have a long text: it ends at 64 times the size of the value
    /// and 4 KiB.
    pub fn text(&self) -> String {
        let texts: Vec<String> = self
            .output
            .request
            .arguments
            .iter()
            .map(|argument| {
                let mut arena = Arena::new();
                let value = argument.unpack(self.code, &mut arena);
                let heap = Heap {
                    arena: &arena,
                    code: self.code,
                };
                let reach = argument.reach_bytes(self.code);
                let bytes_max = reach.saturating_mul(TEXT_BYTES_EACH) + TEXT_BYTES;
                let bytes_max = bytes_max.min(TEXT_MAX as u64) as usize;
                value_text_within(heap, value, Style::Bare, bytes_max)
            })
            .collect();
        texts.join(" ")
    }
}

portable!(struct HostError { kind, message });
portable!(struct HostRequest { function, capability, arguments });
