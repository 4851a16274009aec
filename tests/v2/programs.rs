//! Random V2 programs: snippets that mostly work, with instructions strewn in that mostly do not.

use physics_world::v2::vector::Vector;
use physics_world::v2::{Capability, OpCode, Value};
use proptest::collection::vec;
use proptest::prelude::*;

/// Constants that hold function bodies, behind the others.
const BODIES: usize = 3;
/// Steps after which a program that does not end is cut off.
pub(crate) const STEP_LIMIT: u64 = 1500;

fn plain_constants() -> Vec<Value> {
    vec![
        Value::Int(7),
        Value::String("abc".into()),
        Value::Nil,
        Value::Float(2.5),
        Value::Symbol(3),
        Value::ActorId(9),
        Value::Capability(Capability::SysClock),
        Value::Capability(Capability::IoReadSensor),
        Value::Error("made".into()),
        Value::String("né🌍z".into()),
        Value::Capability(Capability::ResourceExtraMemory(1024)),
        Value::String("closure_body:[GetLocal(0), Dup, Add, Ret]".into()),
        Value::ActorId(1),
    ]
}

fn first_body() -> usize {
    plain_constants().len()
}

fn int() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => -3i64..8,
        1 => Just(i64::MAX),
        1 => Just(i64::MIN),
        1 => any::<i64>(),
    ]
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => (-4i32..4).prop_map(|value| f64::from(value) / 2.0),
        1 => Just(-0.0),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(1e300),
    ]
}

fn constant() -> impl Strategy<Value = usize> {
    0..first_body() + BODIES + 1
}

fn body() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => first_body()..first_body() + BODIES,
        1 => Just(11usize),
        1 => constant(),
    ]
}

fn push() -> impl Strategy<Value = OpCode> {
    prop_oneof![
        6 => int().prop_map(OpCode::Int),
        2 => float().prop_map(OpCode::Float),
        1 => any::<bool>().prop_map(OpCode::Bool),
        1 => Just(OpCode::Nil),
        2 => constant().prop_map(OpCode::GetConst),
        1 => constant().prop_map(OpCode::Symbol),
        1 => prop_oneof![Just(1usize), Just(9), constant()].prop_map(OpCode::LoadString),
        3 => (0u16..4).prop_map(OpCode::GetLocal),
        1 => (body(), 0usize..3).prop_map(|(body, captures)| OpCode::MakeClosure(body, captures)),
    ]
}

fn binary() -> impl Strategy<Value = OpCode> {
    use OpCode::*;
    prop_oneof![
        8 => prop::sample::select(vec![Add, Sub, Mul, Div, Mod, Lt, Gt, Lte, Gte, Eq, Ne]),
        2 => prop::sample::select(vec![FAdd, FSub, FMul, FDiv]),
        2 => prop::sample::select(vec![Cons, StrConcat, StrIndex, Swap, Send]),
        2 => (9u16..26, prop_oneof![9 => Just(2u8), 1 => 0u8..4]).prop_map(|(func_id, args)| HostCall {
            cap_idx: 0,
            func_id,
            args,
        }),
    ]
}

fn other() -> impl Strategy<Value = OpCode> {
    use OpCode::*;
    prop_oneof![
        2 => prop::sample::select(vec![Car, Cdr, StrLen, Dup, Pop]),
        2 => (0u16..5).prop_map(SetLocal),
        2 => (-9i16..6).prop_map(Jmp),
        2 => (-9i16..6).prop_map(JmpIfFalse),
        2 => (0u16..4).prop_map(Call),
        1 => (0u16..3).prop_map(TailCall),
        2 => prop::sample::select(vec![Ret, Yield, CheckStepLimit, InitSandbox]),
        1 => constant().prop_map(HasCap),
        1 => (constant(), constant()).prop_map(|(index, reason)| RequestCap(index, reason)),
        1 => (0u32..3, constant()).prop_map(|(to, index)| GrantCap(to, index)),
        1 => (0u32..3, constant()).prop_map(|(from, index)| RevokeCap(from, index)),
        2 => (constant(), 0u16..30, 0u8..3).prop_map(|(cap_idx, func_id, args)| HostCall {
            cap_idx,
            func_id,
            args,
        }),
    ]
}

/// A few instructions that belong together.
fn snippet() -> impl Strategy<Value = Vec<OpCode>> {
    use OpCode::*;
    prop_oneof![
        6 => (push(), push(), binary()).prop_map(|(a, b, op)| vec![a, b, op]),
        4 => (push(), binary()).prop_map(|(a, op)| vec![a, op]),
        4 => push().prop_map(|op| vec![op]),
        3 => other().prop_map(|op| vec![op]),
        2 => (push(), 0u16..4).prop_map(|(a, local)| vec![a, SetLocal(local)]),
        3 => (vec(push(), 0..3), body(), 0usize..2, 0u16..3).prop_map(|(mut code, body, captures, args)| {
            code.extend([MakeClosure(body, captures), Call(args)]);
            code
        }),
        1 => (vec(push(), 0..2), body(), 0u16..2).prop_map(|(mut code, body, args)| {
            code.extend([MakeClosure(body, 0), TailCall(args)]);
            code
        }),
        2 => (push(), push(), push()).prop_map(|(test, then, otherwise)| {
            vec![test, JmpIfFalse(2), then, Jmp(1), otherwise]
        }),
        // Counts local 3 down; what is in the loop may change the height of the stack.
        2 => (1i64..5, vec(prop_oneof![push(), other()], 0..3)).prop_map(|(count, inner)| {
            let length = inner.len() as i16;
            let mut code = vec![Int(count), SetLocal(3)];
            code.extend(inner);
            code.extend([GetLocal(3), Int(1), Sub, Dup, SetLocal(3), JmpIfFalse(1), Jmp(-(length + 7))]);
            code
        }),
        1 => Just(vec![GetConst(6), Pop, HostCall { cap_idx: 6, func_id: 2, args: 0 }]),
    ]
}

fn code(snippets: usize) -> impl Strategy<Value = Vec<OpCode>> {
    vec(snippet(), 0..snippets).prop_map(|snippets| snippets.concat())
}

/// A program with its constants and capabilities.
pub(crate) fn program() -> impl Strategy<Value = Vector> {
    let caps = prop::sample::subsequence(
        vec![
            Capability::SysClock,
            Capability::IoReadSensor,
            Capability::ResourceExtraMemory(1024),
        ],
        0..=3,
    );
    let depth = prop_oneof![4 => Just(100usize), 1 => 0usize..4];
    (code(9), vec(code(5), BODIES), caps, depth).prop_map(|(code, bodies, caps, max_depth)| {
        let mut constants = plain_constants();
        constants.extend(bodies.into_iter().map(Value::Code));
        Vector {
            name: "random".into(),
            constants,
            code,
            step_limit: STEP_LIMIT,
            memory_limit: 1 << 26,
            max_depth,
            caps,
            tags: Vec::new(),
            expect: serde_json::Value::Null,
        }
    })
}
