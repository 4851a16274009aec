//! The opcode table: the one declaration of every instruction.
//!
//! ```text
//! /// what it does
//! Name "mnemonic" { operand: Kind, … } [EFFECTS] -> result kinds, gas fixed, work unit;
//! ```
//!
//! Omitted columns mean: any result kind, gas 1, no size-proportional work. Operand kinds are the
//! types of [`crate::operand`], effects the constants of [`Effects`]. Rows and modules are only ever
//! appended: their positions are the numbers in program files.

use crate::kind::{Kind, KindSet};
use crate::op::{
    Accesses, Effects, ModuleInfo, Opcode, OpcodeInfo, RawOperands, Work, declare_opcodes,
};
use crate::operand::{
    ClosureFrame, Const, Def, Flag, FloatBits, Frame, FuncLink, GlobalLink, Imm, Index, Kinds,
    Label, Operand, Span, Use,
};

declare_opcodes! {
    /// Where execution goes on. Only `false` and `nil` count as false.
    module "control" Control {
        /// Heads a loop: the only instruction that may be the target of a backward jump.
        Loop "loop" {} [SAFEPOINT];
        /// Goes on at `to`.
        Jump "jump" { to: Label } [END];
        /// Goes on at `to` when `test` is neither false nor nil.
        BranchIf "branch-if" { test: Use, to: Label } [];
        /// Goes on at `to` when `test` is false or nil.
        BranchUnless "branch-unless" { test: Use, to: Label } [];
        /// Leaves the function with a value.
        Return "return" { value: Use } [END];
        /// Raises a value: the innermost handler around this place, here or in a caller, receives it.
        Raise "raise" { value: Use } [TRAP END];
    }

    /// Constants, pairs, vectors, maps, bytes and errors.
    module "data" Data {
        /// `dst <- src`.
        Move "move" { dst: Def, src: Use } [];
        /// `dst <- nil`.
        Nil "nil" { dst: Def } [] -> Nil;
        /// `dst <- value`.
        Bool "bool" { dst: Def, value: Flag } [] -> Bool;
        /// `dst <- value`.
        Int "int" { dst: Def, value: Imm } [] -> Int;
        /// `dst <- value`.
        Float "float" { dst: Def, value: FloatBits } [] -> Float;
        /// `dst <-` a constant of the function.
        Const "const" { dst: Def, constant: Const } [];
        /// A new pair.
        Cons "cons" { dst: Def, car: Use, cdr: Use } [ALLOCATE] -> Pair;
        /// The first value of a pair.
        Car "car" { dst: Def, pair: Use } [TRAP];
        /// The second value of a pair.
        Cdr "cdr" { dst: Def, pair: Use } [TRAP];
        /// A new vector of these values; flat when all are Int or all Float.
        Vector "vector" { dst: Def, values: Span } [ALLOCATE] -> Vector, work Elements;
        /// A new vector of `length` times `value`. OutOfRange for a length below 0 or above 2^32 - 1.
        MakeVector "make-vector" { dst: Def, length: Use, value: Use } [TRAP ALLOCATE] -> Vector, work Elements;
        /// The element at `index`, from 0.
        VectorRef "vector-ref" { dst: Def, vector: Use, index: Use } [TRAP READ];
        /// Replaces the element at `index`; a flat vector widens when the kind does not fit.
        VectorSet "vector-set" { vector: Use, index: Use, value: Use } [TRAP ALLOCATE WRITE], work Elements;
        /// The number of elements.
        VectorLength "vector-length" { dst: Def, vector: Use } [TRAP READ] -> Int;
        /// Appends an element; the work is the elements copied when the buffer grows or widens.
        VectorPush "vector-push" { vector: Use, value: Use } [TRAP ALLOCATE WRITE], work Elements;
        /// Removes and gives the last element; OutOfRange when there is none.
        VectorPop "vector-pop" { dst: Def, vector: Use } [TRAP WRITE];
        /// Sets every element.
        VectorFill "vector-fill" { vector: Use, value: Use } [TRAP ALLOCATE WRITE], work Elements;
        /// A new empty map.
        MakeMap "make-map" { dst: Def } [ALLOCATE] -> Map;
        /// The value under `key`, or `default`. The work is the bytes of the key.
        MapGet "map-get" { dst: Def, map: Use, key: Use, default: Use } [TRAP READ], work Bytes;
        /// Puts a value under a key; TypeMismatch for a mutable key.
        MapSet "map-set" { map: Use, key: Use, value: Use } [TRAP ALLOCATE WRITE], work Bytes;
        /// Whether there is a value under `key`.
        MapHas "map-has" { dst: Def, map: Use, key: Use } [TRAP READ] -> Bool, work Bytes;
        /// Removes a key; `dst` tells whether it was there.
        MapDelete "map-delete" { dst: Def, map: Use, key: Use } [TRAP WRITE] -> Bool, work Bytes;
        /// The number of keys.
        MapCount "map-count" { dst: Def, map: Use } [TRAP READ] -> Int;
        /// A list of the keys in the order in which they were first put.
        MapKeys "map-keys" { dst: Def, map: Use } [TRAP ALLOCATE READ] -> Nil Pair, work Elements;
        /// New bytes, each of value `fill` (0 to 255).
        MakeBytes "make-bytes" { dst: Def, length: Use, fill: Use } [TRAP ALLOCATE] -> Bytes, work Bytes;
        /// The byte at `index`.
        BytesRef "bytes-ref" { dst: Def, bytes: Use, index: Use } [TRAP READ] -> Int;
        /// Replaces the byte at `index`; OutOfRange for a value that is no byte.
        BytesSet "bytes-set" { bytes: Use, index: Use, value: Use } [TRAP WRITE];
        /// The number of bytes.
        BytesLength "bytes-length" { dst: Def, bytes: Use } [TRAP] -> Int;
        /// An Error of kind `Error` with a message (String) and a list of values.
        MakeError "make-error" { dst: Def, message: Use, values: Use } [TRAP ALLOCATE] -> Error;
        /// The kind of an Error as a Symbol.
        ErrorKind "error-kind" { dst: Def, error: Use } [TRAP ALLOCATE] -> Symbol;
        /// The message of an Error.
        ErrorMessage "error-message" { dst: Def, error: Use } [TRAP] -> String;
        /// The values of an Error as a list.
        ErrorValues "error-values" { dst: Def, error: Use } [TRAP];
    }

    /// Numbers: Int checked, Float by IEEE; mixed operands give a Float.
    module "arith" Arith {
        /// `a + b`.
        Add "add" { dst: Def, a: Use, b: Use } [TRAP] -> Number;
        /// `a - b`.
        Sub "sub" { dst: Def, a: Use, b: Use } [TRAP] -> Number;
        /// `a * b`.
        Mul "mul" { dst: Def, a: Use, b: Use } [TRAP] -> Number;
        /// `a / b`; Int truncates.
        Div "div" { dst: Def, a: Use, b: Use } [TRAP] -> Number;
        /// `a / b` truncated toward zero, also for Float.
        Quot "quot" { dst: Def, a: Use, b: Use } [TRAP] -> Number;
        /// The remainder of `quot`: sign of `a`.
        Rem "rem" { dst: Def, a: Use, b: Use } [TRAP] -> Number;
        /// The remainder of flooring division: sign of `b`.
        Mod "mod" { dst: Def, a: Use, b: Use } [TRAP] -> Number;
        /// `-a`.
        Neg "neg" { dst: Def, a: Use } [TRAP] -> Number;
        /// `|a|`.
        Abs "abs" { dst: Def, a: Use } [TRAP] -> Number;
        /// The smaller; NaN when either is.
        Min "min" { dst: Def, a: Use, b: Use } [TRAP] -> Number;
        /// The larger; NaN when either is.
        Max "max" { dst: Def, a: Use, b: Use } [TRAP] -> Number;
        /// `a + b` modulo 2^64, Int only.
        WrapAdd "wrap-add" { dst: Def, a: Use, b: Use } [TRAP] -> Int;
        /// `a - b` modulo 2^64, Int only.
        WrapSub "wrap-sub" { dst: Def, a: Use, b: Use } [TRAP] -> Int;
        /// `a * b` modulo 2^64, Int only.
        WrapMul "wrap-mul" { dst: Def, a: Use, b: Use } [TRAP] -> Int;
        /// Bitwise and, Int only.
        BitAnd "bit-and" { dst: Def, a: Use, b: Use } [TRAP] -> Int;
        /// Bitwise or, Int only.
        BitOr "bit-or" { dst: Def, a: Use, b: Use } [TRAP] -> Int;
        /// Bitwise exclusive or, Int only.
        BitXor "bit-xor" { dst: Def, a: Use, b: Use } [TRAP] -> Int;
        /// Bitwise complement, Int only.
        BitNot "bit-not" { dst: Def, a: Use } [TRAP] -> Int;
        /// `a` shifted left by `b` modulo 64.
        Shl "shl" { dst: Def, a: Use, b: Use } [TRAP] -> Int;
        /// `a` shifted right by `b` modulo 64, keeping the sign.
        Shr "shr" { dst: Def, a: Use, b: Use } [TRAP] -> Int;
        /// `a` shifted right by `b` modulo 64, filling with zeros.
        Ushr "ushr" { dst: Def, a: Use, b: Use } [TRAP] -> Int;
        /// The number truncated to an Int; ArithmeticOverflow when it does not fit.
        ToInt "to-int" { dst: Def, a: Use } [TRAP] -> Int;
    }

    /// Float functions; all take Ints too. Library functions are computed in software, the same bits everywhere.
    module "float" Float {
        /// The nearest Float.
        ToFloat "to-float" { dst: Def, a: Use } [TRAP] -> Float;
        /// Square root.
        Sqrt "sqrt" { dst: Def, a: Use } [TRAP] -> Float;
        /// Toward minus infinity.
        Floor "floor" { dst: Def, a: Use } [TRAP] -> Float;
        /// Toward plus infinity.
        Ceil "ceil" { dst: Def, a: Use } [TRAP] -> Float;
        /// To the nearest, ties away from zero.
        Round "round" { dst: Def, a: Use } [TRAP] -> Float;
        /// Toward zero.
        Trunc "trunc" { dst: Def, a: Use } [TRAP] -> Float;
        /// e to the power `a`.
        Exp "exp" { dst: Def, a: Use } [TRAP] -> Float, gas 4;
        /// Natural logarithm.
        Log "log" { dst: Def, a: Use } [TRAP] -> Float, gas 4;
        /// Sine.
        Sin "sin" { dst: Def, a: Use } [TRAP] -> Float, gas 4;
        /// Cosine.
        Cos "cos" { dst: Def, a: Use } [TRAP] -> Float, gas 4;
        /// Tangent.
        Tan "tan" { dst: Def, a: Use } [TRAP] -> Float, gas 4;
        /// Arc tangent.
        Atan "atan" { dst: Def, a: Use } [TRAP] -> Float, gas 4;
        /// The angle of the point (`b`, `a`).
        Atan2 "atan2" { dst: Def, a: Use, b: Use } [TRAP] -> Float, gas 4;
        /// `a` to the power `b`.
        Pow "pow" { dst: Def, a: Use, b: Use } [TRAP] -> Float, gas 4;
    }

    /// Comparisons. `lt le gt ge num-eq num-ne` take numbers and compare exact values across kinds.
    module "compare" Compare {
        /// Identity for pairs, vectors, maps, bytes and functions; value for everything else of the same kind.
        Eq "eq" { dst: Def, a: Use, b: Use } [] -> Bool, work Bytes;
        /// Equality of structure. The work is the objects compared, and one for every 16 bytes of text and bytes.
        Equal "equal" { dst: Def, a: Use, b: Use } [READ] -> Bool, work Nodes;
        /// `a < b`.
        Lt "lt" { dst: Def, a: Use, b: Use } [TRAP] -> Bool;
        /// `a <= b`.
        Le "le" { dst: Def, a: Use, b: Use } [TRAP] -> Bool;
        /// `a > b`.
        Gt "gt" { dst: Def, a: Use, b: Use } [TRAP] -> Bool;
        /// `a >= b`.
        Ge "ge" { dst: Def, a: Use, b: Use } [TRAP] -> Bool;
        /// Whether two numbers are equal.
        NumEq "num-eq" { dst: Def, a: Use, b: Use } [TRAP] -> Bool;
        /// Whether two numbers differ.
        NumNe "num-ne" { dst: Def, a: Use, b: Use } [TRAP] -> Bool;
        /// Whether `a` is false or nil.
        Not "not" { dst: Def, a: Use } [] -> Bool;
        /// Whether the kind of `a` is one of `kinds`.
        Is "is" { dst: Def, a: Use, kinds: Kinds } [] -> Bool;
    }

    /// Calls, closures and variables that outlive a frame.
    module "function" Function {
        /// Calls a function of the program.
        Call "call" { window: Frame, function: FuncLink } [TRAP SAFEPOINT ALLOCATE CALL];
        /// Calls the function in the window's base.
        CallClosure "call-closure" { window: ClosureFrame } [TRAP SAFEPOINT ALLOCATE CALL];
        /// Calls a function of the program in place of this frame.
        TailCall "tail-call" { window: Frame, function: FuncLink } [TRAP SAFEPOINT ALLOCATE CALL END];
        /// Calls the function in the window's base in place of this frame.
        TailCallClosure "tail-call-closure" { window: ClosureFrame } [TRAP SAFEPOINT ALLOCATE CALL END];
        /// Calls the function in the window's base with the elements of the list in its one argument.
        Apply "apply" { window: ClosureFrame } [TRAP SAFEPOINT ALLOCATE CALL], work Elements;
        /// Like `apply`, in place of this frame.
        TailApply "tail-apply" { window: ClosureFrame } [TRAP SAFEPOINT ALLOCATE CALL END], work Elements;
        /// A new function with captured values.
        Closure "closure" { dst: Def, function: FuncLink, captures: Span } [ALLOCATE] -> Closure;
        /// A captured value of a closure; in a function with captures, its own closure stands in the
        /// register after the parameters.
        Capture "capture" { dst: Def, closure: Use, index: Index } [TRAP READ];
        /// Replaces a captured value, so that closures can know each other.
        CaptureSet "capture-set" { closure: Use, index: Index, value: Use } [TRAP WRITE];
        /// A new cell.
        Cell "cell" { dst: Def, value: Use } [ALLOCATE] -> Cell;
        /// The value in a cell.
        CellGet "cell-get" { dst: Def, cell: Use } [TRAP READ];
        /// Replaces the value in a cell.
        CellSet "cell-set" { cell: Use, value: Use } [TRAP WRITE];
        /// The value of a global of the actor; raises Error when it was never set.
        GlobalGet "global-get" { dst: Def, global: GlobalLink } [TRAP READ];
        /// Sets a global of the actor.
        GlobalSet "global-set" { global: GlobalLink, value: Use } [WRITE];
    }

    /// Strings and symbols. Positions count characters; the work is the bytes touched.
    module "text" Text {
        /// The number of characters.
        StringLength "string-length" { dst: Def, string: Use } [TRAP] -> Int;
        /// `a` followed by `b`. Appending to the newest end of a growing string copies only `b`.
        StringAppend "string-append" { dst: Def, a: Use, b: Use } [TRAP ALLOCATE WRITE] -> String, work Bytes;
        /// The character at `index`, as a string.
        StringRef "string-ref" { dst: Def, string: Use, index: Use } [TRAP ALLOCATE] -> String, work Bytes;
        /// The characters from `from` to before `to`; `to` may be nil for the end.
        Substring "substring" { dst: Def, string: Use, from: Use, to: Use } [TRAP ALLOCATE] -> String, work Bytes;
        /// The position of the first `part` in `string`, or nil.
        StringIndex "string-index" { dst: Def, string: Use, part: Use } [TRAP] -> Nil Int, work Bytes;
        /// Whether two strings are equal.
        StringEq "string-eq" { dst: Def, a: Use, b: Use } [TRAP] -> Bool, work Bytes;
        /// Whether `a` comes before `b` by code points.
        StringLt "string-lt" { dst: Def, a: Use, b: Use } [TRAP] -> Bool, work Bytes;
        /// A number as text.
        NumberToString "number-to-string" { dst: Def, number: Use } [TRAP ALLOCATE] -> String;
        /// The number that a text spells, or nil.
        StringToNumber "string-to-number" { dst: Def, string: Use } [TRAP] -> Nil Int Float, work Bytes;
        /// The text of a symbol.
        SymbolToString "symbol-to-string" { dst: Def, symbol: Use } [TRAP ALLOCATE] -> String, work Bytes;
        /// The symbol with this text.
        StringToSymbol "string-to-symbol" { dst: Def, string: Use } [TRAP ALLOCATE] -> Symbol, work Bytes;
        /// The UTF-8 bytes of a string.
        StringToBytes "string-to-bytes" { dst: Def, string: Use } [TRAP ALLOCATE] -> Bytes, work Bytes;
        /// The string with these UTF-8 bytes, or nil when they are not UTF-8.
        BytesToString "bytes-to-string" { dst: Def, bytes: Use } [TRAP ALLOCATE READ] -> Nil String, work Bytes;
    }

    /// Actors: their lives and how they depend on each other. Delivered to the host.
    module "actor" Actor {
        /// The address of this actor.
        SelfId "self" { dst: Def } [HOST] -> ActorId;
        /// Starts an actor with a function (the first value) and its arguments.
        Spawn "spawn" { dst: Def, values: Span } [TRAP SAFEPOINT SUSPEND HOST ALLOCATE] -> ActorId, work Bytes;
        /// Ends this actor's turn.
        Yield "yield" {} [SAFEPOINT SUSPEND HOST];
        /// Asks for a message when an actor ends.
        Monitor "monitor" { actor: Use } [TRAP HOST];
        /// Ties the ends of two actors to each other.
        Link "link" { actor: Use } [TRAP HOST];
        /// Whether ends of linked actors arrive as messages.
        TrapExits "trap-exits" { on: Use } [HOST];
        /// Ends this actor with a value.
        Exit "exit" { value: Use } [HOST SAFEPOINT END], work Bytes;
        /// Ends another actor.
        Kill "kill" { actor: Use } [TRAP HOST];
        /// Starts a supervised actor; `options` is a list of alternating keys and values.
        Supervise "supervise" { dst: Def, function: Use, options: Use } [TRAP SAFEPOINT SUSPEND HOST ALLOCATE] -> ActorId, work Bytes;
        /// Changes the mailbox; `options` is a list of alternating keys and values.
        SetMailbox "set-mailbox" { options: Use } [TRAP HOST], work Bytes;
    }

    /// Messages between actors. Values are copied; the work is the bytes copied. Delivered to the host.
    module "message" Message {
        /// Sends a value; `priority` from 0 (highest) to 7.
        Send "send" { to: Use, value: Use, priority: Use } [TRAP HOST], work Bytes;
        /// Waits for the next message.
        Receive "receive" { dst: Def } [TRAP SAFEPOINT SUSPEND HOST ALLOCATE], work Bytes;
        /// Waits for the next message at most `timeout` milliseconds; nil when time is up.
        ReceiveTimeout "receive-timeout" { dst: Def, timeout: Use } [TRAP SAFEPOINT SUSPEND HOST ALLOCATE], work Bytes;
        /// The sender of the message last received, or nil.
        Sender "sender" { dst: Def } [HOST] -> Nil ActorId;
        /// Sends a request and waits for its reply.
        Request "request" { dst: Def, to: Use, value: Use } [TRAP SAFEPOINT SUSPEND HOST ALLOCATE], work Bytes;
        /// Like `request`, at most `timeout` milliseconds; then raises Timeout.
        RequestTimeout "request-timeout" { dst: Def, to: Use, value: Use, timeout: Use } [TRAP SAFEPOINT SUSPEND HOST ALLOCATE], work Bytes;
        /// Answers the request last received.
        Reply "reply" { value: Use } [TRAP HOST], work Bytes;
        /// Sends a value to every actor of a list.
        Broadcast "broadcast" { actors: Use, value: Use } [TRAP HOST], work Bytes;
        /// Asks for the events of a topic (a Symbol).
        Subscribe "subscribe" { topic: Use } [TRAP HOST], work Bytes;
        /// Ends a subscription.
        Unsubscribe "unsubscribe" { topic: Use } [TRAP HOST], work Bytes;
        /// Sends a value to all subscribers of a topic.
        Publish "publish" { topic: Use, value: Use } [TRAP HOST], work Bytes;
    }

    /// Powers. A capability is named by a Symbol, a list of a Symbol and its parameter, or a Capability. The work is the bytes copied. Delivered to the host.
    module "capability" Capability {
        /// Whether this actor holds a capability.
        HasCapability "has-capability" { dst: Def, capability: Use } [TRAP HOST] -> Bool, work Bytes;
        /// Asks for a capability and waits for the decision.
        RequestCapability "request-capability" { dst: Def, capability: Use, reason: Use } [TRAP SAFEPOINT SUSPEND HOST] -> Bool, work Bytes;
        /// Gives a capability to another actor.
        GrantCapability "grant-capability" { dst: Def, to: Use, capability: Use } [TRAP SAFEPOINT SUSPEND HOST] -> Bool, work Bytes;
        /// Gives a capability with a budget of uses and an end in milliseconds, either of which may be nil.
        DelegateCapability "delegate-capability" { dst: Def, to: Use, capability: Use, budget: Use, expires: Use } [TRAP SAFEPOINT SUSPEND HOST] -> Bool, work Bytes;
        /// Takes a capability and all that was derived from it away.
        RevokeCapability "revoke-capability" { dst: Def, to: Use, capability: Use } [TRAP SAFEPOINT SUSPEND HOST] -> Bool, work Bytes;
        /// Votes on a pending request.
        VoteCapability "vote-capability" { dst: Def, request: Use, approve: Use } [TRAP SAFEPOINT SUSPEND HOST] -> Bool, work Bytes;
    }

    /// The way out of the world.
    module "host" Host {
        /// Calls a host function by name (a Symbol); CapabilityDenied without its capability.
        HostCall "host-call" { dst: Def, name: Use, arguments: Span } [TRAP SAFEPOINT SUSPEND HOST ALLOCATE], work Bytes;
    }

    /// A sandbox within an actor: own limits, fewer capabilities.
    module "sandbox" Sandbox {
        /// Opens a sandbox that may use this much gas and memory and keeps only these capabilities (a list). It ends with the frame.
        SandboxOpen "sandbox-open" { gas: Use, memory: Use, capabilities: Use } [TRAP SAFEPOINT HOST], work Bytes;
        /// Closes the innermost sandbox; Error when this function has not opened it.
        SandboxClose "sandbox-close" {} [TRAP SAFEPOINT HOST];
    }

    /// What V2 code needs and the other modules cannot say exactly. None of it charges for size: V2 counts
    /// steps only. A function of V2 has one parameter, the Vector of its local variables; its operand
    /// stack is in registers, or in a Vector where its height is not known beforehand.
    module "v2" V2 {
        /// Does nothing.
        Step "v2-step" {} [];
        /// Raises the error whose kind has this tag.
        Fail "v2-fail" { kind: Index } [TRAP END];
        /// Raises the error whose kind has this tag unless `test` is true.
        Require "v2-require" { test: Use, kind: Index } [TRAP];
        /// Raises GasLimitExceeded when no gas is left.
        CheckStepLimit "v2-check-step-limit" {} [TRAP];
        /// `low <- b` and `high <- a`, at once.
        Swap "v2-swap" { low: Def, high: Def, a: Use, b: Use } [];
        /// Goes on at `to` when `test` is false or the Int 0.
        BranchFalse "v2-branch-false" { test: Use, to: Label } [];
        /// A local variable; StackUnderflow beyond the last one.
        GetLocal "v2-get-local" { dst: Def, locals: Use, index: Index } [TRAP READ];
        /// Sets a local variable; missing ones below it become nil.
        SetLocal "v2-set-local" { locals: Use, index: Index, value: Use } [TRAP ALLOCATE WRITE];
        /// `a + b`, Int only, checked.
        Add "v2-add" { dst: Def, a: Use, b: Use } [TRAP] -> Int;
        /// `a - b`, Int only, checked.
        Sub "v2-sub" { dst: Def, a: Use, b: Use } [TRAP] -> Int;
        /// `a * b`, Int only, checked.
        Mul "v2-mul" { dst: Def, a: Use, b: Use } [TRAP] -> Int;
        /// `a / b` toward zero, Int only, checked.
        Div "v2-div" { dst: Def, a: Use, b: Use } [TRAP] -> Int;
        /// The remainder of `v2-div`: sign of `a`.
        Mod "v2-mod" { dst: Def, a: Use, b: Use } [TRAP] -> Int;
        /// `a + b`, Float only.
        FloatAdd "v2-float-add" { dst: Def, a: Use, b: Use } [TRAP] -> Float;
        /// `a - b`, Float only.
        FloatSub "v2-float-sub" { dst: Def, a: Use, b: Use } [TRAP] -> Float;
        /// `a * b`, Float only.
        FloatMul "v2-float-mul" { dst: Def, a: Use, b: Use } [TRAP] -> Float;
        /// `a / b`, Float only; DivisionByZero for a divisor of 0.0 or -0.0.
        FloatDiv "v2-float-div" { dst: Def, a: Use, b: Use } [TRAP] -> Float;
        /// Whether kinds and values are the same: pairs and functions by identity, errors by message, floats by IEEE.
        Eq "v2-eq" { dst: Def, a: Use, b: Use } [] -> Bool;
        /// The opposite of `v2-eq`.
        Ne "v2-ne" { dst: Def, a: Use, b: Use } [] -> Bool;
        /// `a < b`, Int only.
        Lt "v2-lt" { dst: Def, a: Use, b: Use } [TRAP] -> Bool;
        /// `a > b`, Int only.
        Gt "v2-gt" { dst: Def, a: Use, b: Use } [TRAP] -> Bool;
        /// `a <= b`, Int only.
        Le "v2-le" { dst: Def, a: Use, b: Use } [TRAP] -> Bool;
        /// `a >= b`, Int only.
        Ge "v2-ge" { dst: Def, a: Use, b: Use } [TRAP] -> Bool;
        /// The number of bytes of a string.
        StringLength "v2-string-length" { dst: Def, string: Use } [TRAP] -> Int;
        /// `a` followed by `b`.
        StringConcat "v2-string-concat" { dst: Def, a: Use, b: Use } [TRAP ALLOCATE WRITE] -> String;
        /// The character at `index` as a string, or nil when there is none.
        StringIndex "v2-string-index" { dst: Def, string: Use, index: Use } [TRAP ALLOCATE] -> Nil String;
        /// A host function of arithmetic on one value; a value that it does not take gives an Error.
        HostUnary "v2-host-unary" { dst: Def, function: Index, a: Use } [TRAP ALLOCATE] -> Int Float Error;
        /// A host function of arithmetic on two values; what cannot be computed gives an Error.
        HostBinary "v2-host-binary" { dst: Def, function: Index, a: Use, b: Use } [TRAP ALLOCATE] -> Int Float Error;
        /// A host function that reaches outside. Delivered to the host.
        HostCall "v2-host-call" { dst: Def, function: Index, arguments: Span } [TRAP SAFEPOINT SUSPEND HOST ALLOCATE];
        /// Sends a value; TypeMismatch when `to` is no actor. Delivered to the host.
        Send "v2-send" { to: Use, value: Use } [TRAP HOST];
        /// Raises TypeMismatch unless `callee` is a function; before that, when it is to get a frame of its
        /// own and there is none left, RecursionLimitExceeded.
        CheckCallee "v2-check-callee" { callee: Use, enters: Flag } [TRAP];
        /// Calls the function behind the arguments, the last value of the window: RecursionLimitExceeded,
        /// then TypeMismatch. The arguments become the callee's local variables.
        Call "v2-call" { window: ClosureFrame } [TRAP SAFEPOINT ALLOCATE CALL];
        /// Calls the function behind the arguments in place of this frame.
        TailCall "v2-tail-call" { window: ClosureFrame } [TRAP SAFEPOINT ALLOCATE CALL END];
        /// A new Vector of captured values.
        Pack "v2-pack" { dst: Def, values: Span } [ALLOCATE] -> Vector;
        /// A new empty Vector: local variables or an operand stack.
        Stack "v2-stack" { dst: Def } [ALLOCATE] -> Vector;
        /// Pushes a value.
        Push "v2-push" { stack: Use, value: Use } [TRAP ALLOCATE WRITE];
        /// Pops a value; StackUnderflow when there is none.
        Pop "v2-pop" { dst: Def, stack: Use } [TRAP WRITE];
        /// Pops a value, or gives nil when there is none.
        PopOrNil "v2-pop-or-nil" { dst: Def, stack: Use } [TRAP WRITE];
        /// Pops `count` values into a new Vector; StackUnderflow when there are fewer.
        Take "v2-take" { dst: Def, stack: Use, count: Index } [TRAP ALLOCATE WRITE] -> Vector;
        /// Pops a function and calls it with the `args` values below it: StackUnderflow without a function,
        /// RecursionLimitExceeded, TypeMismatch, StackUnderflow without the arguments.
        StackCall "v2-stack-call" { window: Frame, stack: Use, args: Index } [TRAP SAFEPOINT ALLOCATE WRITE CALL];
        /// Like `v2-stack-call`, in place of this frame.
        StackTailCall "v2-stack-tail-call" { window: Frame, stack: Use, args: Index } [TRAP SAFEPOINT ALLOCATE WRITE CALL END];
        /// Pushes the messages that have arrived, the last one on top. Delivered to the host.
        Deliver "v2-deliver" { stack: Use } [TRAP HOST ALLOCATE WRITE];
    }
}
