//! Why a program failed.

macro_rules! error_kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $tag:literal),* $(,)?) => {
        /// The kind of an error. The number is its form in images; the name is what programs see.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum ErrorKind { $($(#[doc = $doc])* $name = $tag),* }

        impl ErrorKind {
            /// All kinds, in tag order.
            pub const ALL: &'static [ErrorKind] = &[$(ErrorKind::$name),*];

            /// The name, as `(error-kind e)` and `--json` show it.
            pub const fn name(self) -> &'static str {
                match self { $(ErrorKind::$name => stringify!($name)),* }
            }

            /// When it is raised.
            pub fn doc(self) -> &'static str {
                match self { $(ErrorKind::$name => concat!($($doc),*).trim_ascii()),* }
            }
        }
    };
}

error_kinds! {
    /// An operand has a kind that the instruction does not take.
    TypeMismatch = 0,
    /// An Int result does not fit in 64 bits.
    ArithmeticOverflow = 1,
    /// An Int was divided by zero.
    DivisionByZero = 2,
    /// A position or size is outside what the object allows.
    OutOfRange = 3,
    /// A function was called with a number of arguments that it does not take.
    Arity = 4,
    /// The actor does not hold the capability that the operation needs.
    CapabilityDenied = 5,
    /// More frames than the actor's limit.
    RecursionLimitExceeded = 6,
    /// A message to oneself does not fit.
    MailboxFull = 7,
    /// A request was not answered in time.
    Timeout = 8,
    /// The receiver of a request is gone.
    ActorEnded = 9,
    /// The host that had to answer is gone.
    HostLost = 10,
    /// What `(error …)` makes.
    Error = 11,
    /// A raised value that is not an Error left the program.
    Raised = 12,
    /// The actor's gas is used up. Cannot be caught.
    GasLimitExceeded = 13,
    /// The actor's memory is used up after a collection. Cannot be caught.
    MemoryLimitExceeded = 14,
    /// V2: an operand is missing.
    StackUnderflow = 15,
    /// V2: a constant or pointer does not exist.
    InvalidHeapPtr = 16,
    /// V2: an instruction or jump target does not exist.
    UnknownOpCode = 17,
    /// What the actor, or the subtree that it belongs to, may do of something is used up.
    QuotaExceeded = 18,
    /// The gas of a sandbox that the actor has opened is used up. Caught outside of the sandbox only.
    SandboxGasExceeded = 19,
    /// The memory of a sandbox that the actor has opened is used up after a collection. Caught outside of the sandbox only.
    SandboxMemoryExceeded = 20,
}

impl ErrorKind {
    /// The kind with this tag, if there is one.
    pub fn from_tag(tag: u8) -> Option<ErrorKind> {
        ErrorKind::ALL.get(usize::from(tag)).copied()
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<ErrorKind> {
        ErrorKind::ALL
            .iter()
            .copied()
            .find(|kind| kind.name() == name)
    }

    /// Whether a `try` may see it: the actor's own gas and memory limits end it without appeal.
    pub const fn is_catchable(self) -> bool {
        !matches!(
            self,
            ErrorKind::GasLimitExceeded | ErrorKind::MemoryLimitExceeded
        )
    }
}
