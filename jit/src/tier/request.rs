//! What a worker asks the compiler.

use super::loops;
use crate::code_space::CodeSpace;
use crate::compile::Request;
use crate::compile::feedback::{Feedback, FunctionFeedback};
use crate::interp::profile::Profile;

/// A request for a function, with what is known about it and all that it could hold.
pub(super) fn request<'a>(
    space: &CodeSpace,
    profile: &Profile,
    (program, function): (u32, u32),
    loops: Vec<u32>,
    generic: impl Fn(u32) -> &'a [u32],
) -> Request {
    let loaded = space.shared(program);
    let feedback = Feedback::gather(&loaded, program, function, loops, |number| {
        let sites = profile.function(program, number);
        let is_apart = profile.is_held(space, program, number);
        FunctionFeedback::new(sites, generic(number), is_apart)
    });
    Request {
        program: loaded,
        number: program,
        function,
        feedback,
    }
}

/// The loops that code of a function is to be entered at, in ascending order: with those that it was asked to be before, and
/// those that are lacking.
pub(super) fn loops_to_ask(
    space: &CodeSpace,
    profile: &Profile,
    threshold: u64,
    (program, function): (u32, u32),
    asked: &[u32],
    lacking: &[u32],
) -> Vec<u32> {
    let code = &space.program(program).function(function).code;
    let passes = profile.passes(space, program, function);
    let mut loops = loops::to_enter(code, &passes, threshold);
    loops.extend(asked.iter().chain(lacking));
    loops.sort_unstable();
    loops.dedup();
    loops
}

/// A request for a function, with all that a profile knows, when so many rounds make a function hot.
pub(super) fn request_by(
    space: &CodeSpace,
    profile: &Profile,
    threshold: u64,
    (program, function): (u32, u32),
) -> Request {
    let jit = profile.native();
    let state = jit.and_then(|jit| jit.programs.get(program));
    let asked = state.map_or(&[][..], |state| {
        &state.functions[function as usize].asked_loops
    });
    let loops = loops_to_ask(space, profile, threshold, (program, function), asked, &[]);
    request(space, profile, (program, function), loops, |number| {
        jit.map_or(&[], |jit| jit.generic(program, number))
    })
}
