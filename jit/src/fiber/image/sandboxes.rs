//! Open sandboxes in an image: behind everything else, and nothing where there are none.

use pw_isa::op::Op;
use pw_isa::wire::{Decoded, Reader, Writer};

use super::{Newest, read_place};
use crate::code_space::CodeSpace;
use crate::fiber::State;
use crate::fiber::graph::{Encoder, Reading};
use crate::fiber::sandbox::{KEPT_BYTES_MAX, KEPT_MAX, SANDBOXES_MAX, Sandbox};
use crate::fiber::upgrade::refused_in;
use crate::host::{CapabilityName, Kept};

/// Nothing where there are none.
pub(super) fn write_sandboxes(
    out: &mut Writer,
    encoder: &mut Encoder<'_>,
    code: &CodeSpace,
    sandboxes: &[Sandbox],
) {
    if !sandboxes.is_empty() {
        out.varint(sandboxes.len() as u64);
    }
    for sandbox in sandboxes {
        out.varint(u64::from(sandbox.depth));
        let program = encoder.program(sandbox.program);
        out.varint(program);
        out.varint(u64::from(sandbox.function));
        out.varint(u64::from(sandbox.pc));
        out.varint(sandbox.gas);
        out.varint(sandbox.memory_bytes);
        out.varint(sandbox.gas_end);
        out.varint(sandbox.memory_end);
        out.varint(sandbox.kept.iter().len() as u64);
        for capability in sandbox.kept.iter() {
            capability.write(code, out);
        }
    }
}

pub(super) fn read_sandboxes(
    reading: Reading<'_>,
    input: &mut Reader<'_>,
    newest: &Newest,
    state: State,
) -> Decoded<Vec<Sandbox>> {
    let mut sandboxes: Vec<Sandbox> = Vec::new();
    if input.remaining() == 0 {
        return Ok(sandboxes);
    }
    let count = input.count(9)?;
    if count == 0 {
        return Err(input.error("no sandbox, but something behind the end"));
    }
    if count > SANDBOXES_MAX || matches!(state, State::Done(_)) {
        return Err(input.error(format!("{count} open sandboxes")));
    }
    for _ in 0..count {
        let sandbox = read_sandbox(reading, input)?;
        let opener = &reading
            .code
            .program(sandbox.program)
            .function(sandbox.function)
            .code;
        let is_opened = matches!(
            opener[sandbox.pc as usize],
            Op::Sandbox(pw_isa::op::Sandbox::SandboxOpen { .. })
        );
        let fits = sandboxes.last().is_none_or(|around| {
            around.depth <= sandbox.depth
                && around.gas_end >= sandbox.gas_end
                && around.memory_end >= sandbox.memory_end
        });
        if !is_opened || !fits || !(1..=newest.depth).contains(&sandbox.depth) {
            return Err(input.error("a sandbox that cannot be open there"));
        }
        sandboxes.push(sandbox);
    }
    Ok(sandboxes)
}

fn read_sandbox(reading: Reading<'_>, input: &mut Reader<'_>) -> Decoded<Sandbox> {
    let code = reading.code;
    let depth = input.varint32()?;
    let opener = read_place(reading, input)?;
    let (program, function, pc) = match reading.upgrade {
        Some(upgrade) => refused_in(input, upgrade.opener(code, opener))?,
        None => opener,
    };
    let gas = input.varint()?;
    let memory_bytes = input.varint()?;
    let gas_end = input.varint()?;
    let memory_end = input.varint()?;
    let count = input.count(2)?;
    if count > KEPT_MAX {
        return Err(input.error(format!("{count} capabilities of a sandbox")));
    }
    let kept: Vec<CapabilityName> = (0..count)
        .map(|_| CapabilityName::read(code, input))
        .collect::<Decoded<_>>()?;
    let bytes: u64 = kept.iter().map(CapabilityName::size_bytes).sum();
    if bytes > KEPT_BYTES_MAX {
        return Err(input.error(format!("capabilities of a sandbox of {bytes} bytes")));
    }
    Ok(Sandbox {
        depth,
        program,
        function,
        pc,
        gas,
        memory_bytes,
        gas_end,
        memory_end,
        kept: Kept::new(kept.into()),
    })
}
