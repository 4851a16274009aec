//! Arbitrary programs: well-formed, so that files and texts can express them, but not verified. Most
//! refer to functions, constants and registers that do not exist.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use pw_isa::operand::OperandKind;
use pw_isa::program::{Debug, FunctionDebug, Handler, Variable};
use pw_isa::{Constant, ErrorKind, Function, KindSet, Link, Op, Opcode, Program};

/// Any well-formed program.
pub fn any_program() -> impl Strategy<Value = Program> {
    let parts = vec(
        (any_function(), vec(any_link(), 0..5), any_function_debug()),
        0..5,
    );
    let globals = prop_oneof![
        small().prop_map(|count| (count, Vec::new())),
        vec(any_name(), 0..4).prop_map(|names| (names.len() as u32, names)),
    ];
    (parts, globals, small(), any_name(), any::<bool>()).prop_map(
        |(parts, (globals, global_names), entry, file, described)| {
            let mut program = Program {
                globals,
                entry,
                debug: Debug {
                    file,
                    globals: global_names,
                    ..Debug::default()
                },
                ..Program::default()
            };
            for (function, links, debug) in parts {
                program.functions.push(function);
                program.links.push(links);
                if described {
                    program.debug.functions.push(debug);
                }
            }
            program
        },
    )
}

/// Any instruction, with operands in the range of their kinds.
pub fn any_op() -> impl Strategy<Value = Op> {
    let rows: Vec<Opcode> = Opcode::all().map(|(opcode, _)| opcode).collect();
    select(rows).prop_flat_map(|opcode| {
        let operands = opcode.info().map_or(&[][..], |info| info.operands);
        let raw: Vec<_> = operands
            .iter()
            .map(|(_, kind)| any_operand(*kind))
            .collect();
        raw.prop_filter_map("operands out of range", move |raw| {
            Op::from_raw(opcode, &raw)
        })
    })
}

fn any_operand(kind: OperandKind) -> BoxedStrategy<u64> {
    match kind {
        OperandKind::Def | OperandKind::Use => any_register().prop_map(u64::from).boxed(),
        OperandKind::Span | OperandKind::Frame | OperandKind::ClosureFrame => {
            (any_register(), prop_oneof![4 => 0u16..4, 1 => any::<u16>()])
                .prop_map(|(first, count)| u64::from(first) | u64::from(count) << 16)
                .boxed()
        }
        OperandKind::Imm => any::<i64>().prop_map(|value| value as u64).boxed(),
        OperandKind::FloatBits => any_float().boxed(),
        OperandKind::Flag => (0..2u64).boxed(),
        OperandKind::Const
        | OperandKind::FuncLink
        | OperandKind::GlobalLink
        | OperandKind::Label
        | OperandKind::Index => small().prop_map(u64::from).boxed(),
        OperandKind::Kinds => (0..=u64::from(KindSet::ANY.0)).boxed(),
    }
}

fn any_register() -> impl Strategy<Value = u16> {
    prop_oneof![6 => 0u16..8, 1 => any::<u16>()]
}

/// Small numbers often, any number at times.
fn small() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0u32..6, 1 => any::<u32>()]
}

fn any_float() -> impl Strategy<Value = u64> {
    let special = select(vec![
        0.0f64.to_bits(),
        (-0.0f64).to_bits(),
        f64::INFINITY.to_bits(),
        f64::NEG_INFINITY.to_bits(),
        f64::NAN.to_bits(),
        0x7ff8_0000_0000_0000,
        0xfff8_0000_0000_0000,
        0x7ff0_0000_0000_0001,
        1.0f64.to_bits(),
        1e300f64.to_bits(),
        f64::MIN_POSITIVE.to_bits(),
        1,
    ]);
    prop_oneof![special, any::<u64>()]
}

/// Names that have been trouble somewhere, and any others.
pub fn any_name() -> impl Strategy<Value = String> {
    let known = select(vec![
        "", "f", "g", "main", "func", "r1", "r70000", "end", "loop", ".", "...", "..", "nil",
        "true", "inf", "-inf", "nan", "-", "->", "-5", "1e5", "0x10", "a b", "a;b", "a\"b", "a'b",
        "a\\b", "a\nb", "a\r", "\u{0}", "\u{301}", "\u{202e}", "#3", "@f", "$g", "%3", "L3", "λ",
        "a:", "x=1", "any", "none", "#actor",
    ]);
    prop_oneof![
        4 => known.prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "[a-z]{1,3}",
        1 => "[a-z]{90,110}",
    ]
}

fn any_constant() -> impl Strategy<Value = Constant> {
    let kind = select(ErrorKind::ALL.to_vec());
    prop_oneof![
        Just(Constant::Nil),
        any::<bool>().prop_map(Constant::Bool),
        prop_oneof![0..3i64, any::<i64>()].prop_map(Constant::Int),
        any_float().prop_map(Constant::Float),
        any_name().prop_map(Constant::Symbol),
        prop_oneof![3 => any_name(), 1 => ".{200,300}"].prop_map(Constant::String),
        (small(), small()).prop_map(|(car, cdr)| Constant::Pair(car, cdr)),
        small().prop_map(Constant::Function),
        any::<u64>().prop_map(Constant::ActorId),
        (any_name(), option::of(small()))
            .prop_map(|(name, parameter)| Constant::Capability { name, parameter }),
        (kind, any_name()).prop_map(|(kind, message)| Constant::Error { kind, message }),
    ]
}

/// Constants in the order in which a reader of text numbers them, or in any order.
fn any_constants() -> impl Strategy<Value = Vec<Constant>> {
    let nested = vec(any_constant(), 1..6).prop_map(|mut constants| {
        for index in 0..constants.len() as u32 {
            let before = index.saturating_sub(1);
            match &mut constants[index as usize] {
                Constant::Pair(car, cdr) => (*car, *cdr) = (*car % (before + 1), before),
                Constant::Capability {
                    parameter: Some(parameter),
                    ..
                } => *parameter = before,
                _ => {}
            }
        }
        constants
    });
    prop_oneof![nested, vec(any_constant(), 0..6)]
}

fn any_link() -> impl Strategy<Value = Link> {
    prop_oneof![
        small().prop_map(Link::Function),
        small().prop_map(Link::Global),
    ]
}

fn any_handlers(code: u32) -> impl Strategy<Value = Vec<Handler>> {
    let place = move || prop_oneof![8 => 0..code + 2, 1 => any::<u32>()];
    let raw = (place(), place(), place(), any_register());
    vec(raw, 0..4).prop_flat_map(|raw| {
        let handlers: Vec<Handler> = raw
            .into_iter()
            .map(|(start, end, target, dst)| Handler {
                start,
                end,
                target,
                dst,
            })
            .collect();
        any::<bool>().prop_map(move |nested| {
            let mut handlers = handlers.clone();
            if nested {
                for handler in &mut handlers {
                    (handler.start, handler.end) = (
                        handler.start.min(handler.end),
                        handler.start.max(handler.end),
                    );
                }
                handlers.sort_by_key(|handler| (handler.end, u32::MAX - handler.start));
            }
            handlers
        })
    })
}

fn any_function() -> impl Strategy<Value = Function> {
    let code = vec(any_op(), 0..12).prop_flat_map(|code| {
        let length = code.len();
        let gas = vec(option::of(0..9u16), length);
        (Just(code), gas, any::<bool>(), any_handlers(length as u32))
    });
    let head = (
        prop_oneof![8 => 0..4u16, 1 => any::<u16>()],
        any::<bool>(),
        prop_oneof![4 => Just(0), 1 => any::<u16>()],
        option::of(any::<u16>()),
    );
    (head, code, any_constants()).prop_map(
        |((params, rest, captures, registers), (code, gas, with_gas, handlers), constants)| {
            let table: Vec<u16> = code.iter().map(|op| u16::from(op.info().gas)).collect();
            let given = gas
                .iter()
                .zip(table)
                .map(|(gas, table)| gas.unwrap_or(table));
            let mut function = Function {
                params,
                rest,
                captures,
                registers: 0,
                gas: if with_gas {
                    given.collect()
                } else {
                    Vec::new()
                },
                code,
                constants,
                handlers,
            };
            function.registers = registers.unwrap_or_else(|| function.registers_needed());
            function
        },
    )
}

fn any_function_debug() -> impl Strategy<Value = FunctionDebug> {
    let lines = (vec((small(), small()), 0..5), any::<bool>()).prop_map(|(mut lines, sorted)| {
        if sorted {
            lines.sort_by_key(|(pc, _)| *pc);
        }
        lines
    });
    let variable =
        (any_name(), any_register(), 0..2u32, 0..13u32).prop_map(|(name, register, start, end)| {
            Variable {
                name,
                register,
                start,
                end,
            }
        });
    let variables = vec(variable, 0..5);
    let annotations = vec(any_name(), 0..3);
    (any_name(), lines, variables, annotations).prop_map(|(name, lines, variables, annotations)| {
        FunctionDebug {
            name,
            lines,
            variables,
            annotations,
        }
    })
}

/// A text with every notation in it; its program is well-formed and verifies.
pub const SAMPLE: &str = include_str!("sample.pwa");

/// The program of [`SAMPLE`].
///
/// # Panics
/// When the sample does not assemble.
pub fn sample() -> Program {
    match pw_isa::text::parse(SAMPLE) {
        Ok(program) => program,
        Err(errors) => panic!("{errors}"),
    }
}
