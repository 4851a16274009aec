//! Renders `docs/ISA.md`, the reference of the instruction set, from the opcode table. A test compares
//! the file with [`render`]; `PW_BLESS=1 cargo test` rewrites it.

use crate::cost;
use crate::error_kind::ErrorKind;
use crate::kind::{Kind, KindSet};
use crate::op::{MODULES, ModuleInfo, Opcode, OpcodeInfo, Work};
use crate::operand::OperandKind;

/// The text of `docs/ISA.md`.
pub fn render() -> String {
    let mut out = String::from(HEAD);
    out.push_str("\n## Instructions\n\n");
    out.push_str(INSTRUCTIONS);
    for (number, module) in MODULES.iter().enumerate() {
        render_module(&mut out, number as u16, module);
    }
    render_operands(&mut out);
    render_kinds(&mut out);
    render_errors(&mut out);
    render_costs(&mut out);
    out
}

const HEAD: &str = "\
# The instruction set

Generated from the opcode table (`jit/isa/src/opcode_table.rs`) by `PW_BLESS=1 cargo test -p pw-isa`; do
not edit. How programs are written as text is told in `jit/isa/src/text/mod.rs`, how they are filed in
`jit/isa/src/codec.rs`, what the verifier demands in `jit/isa/src/verify/mod.rs`.
";

const INSTRUCTIONS: &str = "\
`number` is the instruction's number in program files. `gas` is charged before the instruction runs, also
when it fails; `+bytes`, `+elements` and `+nodes` are work of variable size, charged on top (see Costs).
`result` lists the kinds that the written register can have.

Effects: `trap` may raise an error; `safepoint` a place where a fiber may be stopped, saved and moved;
`allocate` may cause a collection; `suspend` may wait for the host; `call` enters another function; `end`
control does not go on at the next instruction; `read` and `write` touch what other instructions can
change or read; `host` is delivered to the host.
";

fn render_module(out: &mut String, number: u16, module: &ModuleInfo) {
    out.push_str(&format!(
        "\n### {}\n\n{}\n\n",
        module.name,
        joined(module.doc)
    ));
    out.push_str("| number | instruction | gas | effects | result | what it does |\n");
    out.push_str("|---|---|---|---|---|---|\n");
    for (row, info) in module.rows.iter().enumerate() {
        let opcode = Opcode(number << 8 | row as u16);
        let effects: Vec<&str> = info.effects.names().collect();
        out.push_str(&format!(
            "| {:#06x} | {} | {} | {} | {} | {} |\n",
            opcode.0,
            form(info),
            gas(info),
            effects.join(" "),
            result(info),
            joined(info.doc).replace('|', "\\|"),
        ));
    }
}

/// The mnemonic with the names of its operands.
fn form(info: &OpcodeInfo) -> String {
    let mut form = format!("`{}", info.mnemonic);
    for (name, kind) in info.operands {
        form.push_str(&format!(" {name}:{}", kind_name(*kind)));
    }
    form.push('`');
    form
}

fn gas(info: &OpcodeInfo) -> String {
    match work_name(info.work) {
        None => info.gas.to_string(),
        Some(work) => format!("{} +{work}", info.gas),
    }
}

fn work_name(work: Work) -> Option<&'static str> {
    match work {
        Work::None => None,
        Work::Bytes => Some("bytes"),
        Work::Elements => Some("elements"),
        Work::Nodes => Some("nodes"),
    }
}

fn result(info: &OpcodeInfo) -> String {
    let writes = info.operands.iter().any(|(_, kind)| {
        matches!(
            kind,
            OperandKind::Def | OperandKind::Frame | OperandKind::ClosureFrame
        )
    });
    if !writes || info.effects.has(crate::op::Effects::END) {
        return String::new();
    }
    if info.result == KindSet::ANY {
        return "any".to_owned();
    }
    let kinds: Vec<&str> = info.result.iter().map(Kind::name).collect();
    kinds.join(" ")
}

/// Doc comments keep the space behind `///` and have no line ends.
fn joined(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

const OPERANDS: [(OperandKind, &str); 14] = [
    (OperandKind::Def, "a register that is written"),
    (OperandKind::Use, "a register that is read"),
    (
        OperandKind::Span,
        "consecutive registers that are read: the first and how many",
    ),
    (
        OperandKind::Frame,
        "a call window: arguments stand behind its base, the base receives the result, every register \
         above the base is dead afterwards",
    ),
    (
        OperandKind::ClosureFrame,
        "a call window whose base also holds the function to call",
    ),
    (OperandKind::Imm, "a signed 64-bit number"),
    (OperandKind::FloatBits, "a float, bit by bit"),
    (OperandKind::Flag, "`true` or `false`"),
    (OperandKind::Const, "a constant of the function"),
    (OperandKind::FuncLink, "a function of the program"),
    (OperandKind::GlobalLink, "a global of the program"),
    (
        OperandKind::Label,
        "a place in the code; behind this one, or a `loop`",
    ),
    (OperandKind::Index, "a plain number"),
    (OperandKind::Kinds, "a set of kinds"),
];

fn kind_name(kind: OperandKind) -> &'static str {
    match kind {
        OperandKind::Def => "def",
        OperandKind::Use => "use",
        OperandKind::Span => "span",
        OperandKind::Frame => "window",
        OperandKind::ClosureFrame => "closure-window",
        OperandKind::Imm => "int",
        OperandKind::FloatBits => "float",
        OperandKind::Flag => "flag",
        OperandKind::Const => "constant",
        OperandKind::FuncLink => "function",
        OperandKind::GlobalLink => "global",
        OperandKind::Label => "label",
        OperandKind::Index => "index",
        OperandKind::Kinds => "kinds",
    }
}

fn render_operands(out: &mut String) {
    out.push_str("\n## Operands\n\n| kind | meaning |\n|---|---|\n");
    for (kind, meaning) in OPERANDS {
        out.push_str(&format!("| `{}` | {meaning} |\n", kind_name(kind)));
    }
}

fn render_kinds(out: &mut String) {
    out.push_str(
        "\n## Kinds of value\n\n| tag | kind | in the heap | what it is |\n|---|---|---|---|\n",
    );
    for kind in Kind::ALL {
        let heap = if kind.is_heap() { "yes" } else { "" };
        let row = format!(
            "| {} | {} | {heap} | {} |\n",
            kind as u8,
            kind.name(),
            kind.doc()
        );
        out.push_str(&row);
    }
}

fn render_errors(out: &mut String) {
    out.push_str(
        "\n## Kinds of error\n\n| tag | kind | can be caught | when |\n|---|---|---|---|\n",
    );
    for kind in ErrorKind::ALL {
        let catchable = if kind.is_catchable() { "yes" } else { "no" };
        let (tag, name) = (*kind as u8, kind.name());
        out.push_str(&format!(
            "| {tag} | {name} | {catchable} | {} |\n",
            kind.doc()
        ));
    }
}

fn render_costs(out: &mut String) {
    out.push_str(
        "\n## Costs\n\n\
         Part of the language: every tier charges the same, so that a limit trips at the same instruction\n\
         everywhere. Divisions round down. Sizes are logical bytes, whatever memory really holds.\n\n\
         | gas for | formula |\n|---|---|\n",
    );
    for work in [Work::Bytes, Work::Elements, Work::Nodes] {
        let Some(name) = work_name(work) else {
            continue;
        };
        out.push_str(&format!(
            "| {name} | n / {} |\n",
            divisor(|n| cost::work_gas(work, n))
        ));
    }
    out.push_str(&format!(
        "| a collection, charged to the instruction that causes it | live bytes / {} |\n",
        divisor(cost::collection_gas)
    ));
    out.push_str(&format!(
        "\nA collection happens when more was allocated since the last one than were live after it, but not\n\
         before {} bytes. ",
        cost::COLLECTION_MIN_BYTES
    ));
    out.push_str(&format!(
        "A full vector or map grows from {} to {} to {} places and so on; the\n\
         buffer of an appended string to {} times the length it must hold. A vector, map, string or Bytes has at\n\
         most {} elements or bytes.\n",
        cost::grown_capacity(0),
        cost::grown_capacity(4),
        cost::grown_capacity(8),
        cost::grown_text_capacity(1),
        cost::LENGTH_MAX
    ));
    render_sizes(out);
}

fn render_sizes(out: &mut String) {
    out.push_str("\n| object | bytes |\n|---|---|\n");
    let buffer = cost::BUFFER_BYTES;
    let rows = [
        (
            "a frame of n registers",
            format!("{} * (n + {})", cost::SLOT_BYTES, cost::frame_slots(0)),
        ),
        ("a pair", cost::PAIR_BYTES.to_string()),
        ("a cell", cost::CELL_BYTES.to_string()),
        (
            "a function with n captured values",
            format!("{} + {} * n", cost::closure_bytes(0), cost::SLOT_BYTES),
        ),
        (
            "an error, its message and values apart",
            cost::ERROR_BYTES.to_string(),
        ),
        (
            "a capability, its name and parameter apart",
            cost::CAPABILITY_BYTES.to_string(),
        ),
        (
            "a vector",
            format!("{}, and its buffer", cost::VECTOR_BYTES),
        ),
        (
            "the buffer of a flat vector with room for n",
            format!("{buffer} + 8 * n; none for n = 0"),
        ),
        (
            "the buffer of another vector with room for n",
            format!("{buffer} + 16 * n; none for n = 0"),
        ),
        ("a map", format!("{}, and its buffer", cost::MAP_BYTES)),
        (
            "the buffer of a map with room for n",
            format!("{buffer} + {} * n; none for n = 0", cost::MAP_ENTRY_BYTES),
        ),
        (
            "bytes",
            format!("{}, and a buffer of {buffer} + n", cost::BYTES_BYTES),
        ),
        (
            "a string or symbol of n bytes",
            format!(
                "{} + n rounded up to 8, up to {} bytes; else {} + n",
                cost::short_text_bytes(0),
                cost::TEXT_INLINE_MAX,
                cost::LONG_TEXT_BYTES + buffer
            ),
        ),
    ];
    for (object, bytes) in rows {
        out.push_str(&format!("| {object} | {bytes} |\n"));
    }
}

/// The `d` of a cost `n / d`, asked from the cost function so that the page cannot go stale.
fn divisor(cost: impl Fn(u64) -> u64) -> u64 {
    const MANY: u64 = 1 << 32;
    MANY / cost(MANY)
}
