//! Questions that an actor asks about itself: who it is, and which capabilities it can use. Their answers cannot
//! change while native code runs, for nothing else does then, and stand in the state; where one is not known, the
//! reference interpreter asks.

use std::mem::offset_of;

use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::types::I64;
use pw_isa::Kind;
use pw_isa::operand::Def;

use super::lower::Lowering;
use super::state::{ExitReason, NativeState};
use super::types::{Evidence, Type};
use crate::tier::powers::KNOWS_ACTOR;

impl Evidence<'_> {
    /// The number of the capability that an instruction asks about, if it has one.
    pub(super) fn question(&self, pc: u32) -> Option<u32> {
        if !self.planner.optimizations.caches {
            return None;
        }
        let internal = self.planner.program.internal();
        internal.question_at(self.place.number(), pc)
    }
}

impl Lowering<'_, '_> {
    pub(super) fn own_address(&mut self, dst: Def) {
        self.go_on_if_known(KNOWS_ACTOR as i64);
        let actor = self.load_state(offset_of!(NativeState<'_>, actor));
        let tag = self.b.ins().iconst(I64, Kind::ActorId as i64);
        self.set_any(dst.0, tag, actor);
    }

    pub(super) fn has_capability(&mut self, dst: Def) {
        let Some(question) = self.scope.evidence.question(self.pc) else {
            unreachable!("planned for questions with a number");
        };
        self.go_on_if_known(1 << question);
        let answers = self.load_state(offset_of!(NativeState<'_>, answers));
        let answer = self.b.ins().ushr_imm_u(answers, i64::from(question));
        let answer = self.b.ins().band_imm_s(answer, 1);
        self.set_bits(dst.0, Type::Bool, answer);
    }

    fn go_on_if_known(&mut self, bit: i64) {
        let known = self.load_state(offset_of!(NativeState<'_>, known));
        let is_known = self.b.ins().band_imm_s(known, bit);
        self.exit_unless(is_known, ExitReason::Aside);
    }
}
