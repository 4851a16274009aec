//! The ways between the engine and bodies: their signatures, the way in, the way to the interpreter, and how
//! a body is left.

use std::mem::offset_of;

use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{self, AbiParam, InstBuilder, Signature};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

use super::lower::MEMORY;
use super::state::NativeState;

/// The signature of bodies.
pub(super) fn body_signature() -> Signature {
    let mut signature = Signature::new(CallConv::Tail);
    signature.params = vec![AbiParam::new(I64), AbiParam::new(I64), AbiParam::new(I64)];
    signature.returns = vec![AbiParam::new(I64), AbiParam::new(I64)];
    signature
}

/// The way in from the engine.
pub(super) fn entrance(
    into: &mut ir::Function,
    frontend: &mut FunctionBuilderContext,
    config: TargetFrontendConfig,
) {
    into.signature = Signature::new(CallConv::SystemV);
    into.signature.params = vec![AbiParam::new(I64); 4];
    let mut b = FunctionBuilder::new(into, frontend);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let params = b.block_params(entry).to_vec();
    let body = b.import_signature(body_signature());
    let call = b.ins().call_indirect(body, params[3], &params[..3]);
    let (tag, bits) = (b.inst_results(call)[0], b.inst_results(call)[1]);
    b.ins().store(
        MEMORY,
        tag,
        params[0],
        offset_of!(NativeState<'_>, result_tag) as i32,
    );
    b.ins().store(
        MEMORY,
        bits,
        params[0],
        offset_of!(NativeState<'_>, result_bits) as i32,
    );
    b.ins().return_(&[]);
    b.seal_all_blocks();
    b.finalize(config);
}

/// What stands in the code table for a function without native code: the interpreter runs it.
pub(super) fn interpreted(
    into: &mut ir::Function,
    frontend: &mut FunctionBuilderContext,
    config: TargetFrontendConfig,
) {
    into.signature = body_signature();
    let mut b = FunctionBuilder::new(into, frontend);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let params = b.block_params(entry).to_vec();
    let signature = b.import_signature(helper_signature());
    let offset = offset_of!(NativeState<'_>, interpret) as i32;
    let helper = b.ins().load(I64, MEMORY, params[0], offset);
    let call = b.ins().call_indirect(signature, helper, &params);
    let tag = b.inst_results(call)[0];
    let offset = offset_of!(NativeState<'_>, result_bits) as i32;
    let bits = b.ins().load(I64, MEMORY, params[0], offset);
    b.ins().return_(&[tag, bits]);
    b.seal_all_blocks();
    b.finalize(config);
}

/// The most words that each of the ways to call the engine sparingly passes on.
pub(super) const SPARING: [usize; 2] = [6, 8];

/// A way to call the engine that leaves all machine registers as they are: it calls what the state says, and what
/// that gives is in the state. Where it stands on a path that is seldom taken, values need not leave
/// machine registers for it on the others.
pub(super) fn sparing(
    into: &mut ir::Function,
    frontend: &mut FunctionBuilderContext,
    config: TargetFrontendConfig,
    words: usize,
) {
    into.signature = sparing_signature(words);
    let mut b = FunctionBuilder::new(into, frontend);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let params = b.block_params(entry).to_vec();
    let signature = b.import_signature(routine_signature(words));
    let offset = offset_of!(NativeState<'_>, called) as i32;
    let called = b.ins().load(I64, MEMORY, params[0], offset);
    let call = b.ins().call_indirect(signature, called, &params);
    let (tag, bits) = (b.inst_results(call)[0], b.inst_results(call)[1]);
    let (of_tag, of_bits) = (
        offset_of!(NativeState<'_>, result_tag) as i32,
        offset_of!(NativeState<'_>, result_bits) as i32,
    );
    b.ins().store(MEMORY, tag, params[0], of_tag);
    b.ins().store(MEMORY, bits, params[0], of_bits);
    b.ins().return_(&[]);
    b.seal_all_blocks();
    b.finalize(config);
}

/// The signature of a sparing call of so many words.
pub(super) fn sparing_signature(words: usize) -> Signature {
    let mut signature = Signature::new(CallConv::PreserveAll);
    signature.params = vec![AbiParam::new(I64); words];
    signature
}

/// The signature of routines of so many words.
pub(super) fn routine_signature(words: usize) -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params = vec![AbiParam::new(I64); words];
    signature.returns = vec![AbiParam::new(I64); 2];
    signature
}

/// The signature of what native code calls in the engine: state, frame, and a place or way.
pub(super) fn helper_signature() -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params = vec![AbiParam::new(I64); 3];
    signature.returns = vec![AbiParam::new(I64)];
    signature
}

/// Returns what stands in place of a value.
pub(super) fn return_constant(b: &mut FunctionBuilder<'_>, tag: i64) {
    let tag = b.ins().iconst(I64, tag);
    let bits = b.ins().iconst(I64, 0);
    b.ins().return_(&[tag, bits]);
}
