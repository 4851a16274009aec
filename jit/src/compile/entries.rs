//! Where a body is entered: at the function's beginning, and at its loops.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{self, InstBuilder};

use super::lower::{Lowering, SLOT};
use super::ranges::Ranges;
use super::state::{BY_TAIL_CALL, EXIT, ExitReason, FIRST_LOOP, NOT_ENTERED, NativeState};
use super::types::Type;
use super::ways::return_constant;

impl Lowering<'_, '_> {
    /// The beginning, and the ways into loops.
    pub(super) fn entries(&mut self, way: ir::Value) -> Vec<u32> {
        let headers: Vec<usize> = (0..self.scope.part.place.blocks.all.len())
            .filter(|number| self.scope.evidence.is_way_in(*number))
            .filter(|number| self.scope.part.types.at_start[*number].is_some())
            .collect();
        self.gas_is_told();
        let way = self.b.ins().ireduce(I32, way);
        for (entry, header) in headers.iter().enumerate() {
            let (into, other) = (self.b.create_block(), self.b.create_block());
            let number = i64::from(FIRST_LOOP) + entry as i64;
            // The beginning first: what it leads to is put in order then, and not as it is come to from inside of loops.
            let is_other = self.b.ins().icmp_imm_s(IntCC::NotEqual, way, number);
            self.b.ins().brif(is_other, other, &[], into, &[]);
            self.switch_to_sealed(into);
            self.b.set_cold_block(into);
            self.enter_loop(*header);
            self.switch_to_sealed(other);
        }
        self.begin(way);
        let starts = headers
            .iter()
            .map(|header| self.scope.part.place.blocks.all[*header].start);
        starts.collect()
    }

    /// The beginning of the function: its arguments stand in the frame.
    fn begin(&mut self, way: ir::Value) {
        let (go_on, refuse) = (self.b.create_block(), self.b.create_block());
        let beyond = self.is_beyond_stack();
        self.refuse_if(beyond, refuse);
        let sp = self.b.ins().get_stack_pointer(I64);
        let native_end = self.load_state(offset_of!(NativeState<'_>, native_end));
        let too_deep = self.b.ins().icmp(IntCC::UnsignedLessThan, sp, native_end);
        self.refuse_if(too_deep, refuse);
        let need = self.scope.part.payments.need(0) as i64;
        let gas = self.b.use_var(self.gas);
        let poor = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, gas, need);
        self.b.ins().brif(poor, refuse, &[], go_on, &[]);
        self.refuse(refuse, way);
        self.switch_to_sealed(go_on);
        self.pc = 0;
        self.now = vec![Type::Any; self.scope.registers.len()];
        self.ranges = Ranges::default();
        self.load_frame(0);
        self.come_in(0);
    }

    /// Whether the frames of all parts do not fit into the stack.
    fn is_beyond_stack(&mut self) -> ir::Value {
        // How much they take is known once all parts are lowered.
        let bytes = self.b.ins().iconst(I64, 0);
        let test = self.b.func.dfg.value_def(bytes).unwrap_inst();
        self.tests_of_reach.push(test);
        let end = self.b.ins().iadd(self.fp, bytes);
        let stack_end = self.load_state(offset_of!(NativeState<'_>, stack_end));
        self.b
            .ins()
            .icmp(IntCC::UnsignedGreaterThan, end, stack_end)
    }

    pub(super) fn set_reach(&mut self) {
        let bytes = i64::from(self.reach) * i64::from(SLOT);
        for test in &self.tests_of_reach {
            self.b.func.dfg.insts[*test] = ir::InstructionData::UnaryImm {
                opcode: ir::Opcode::Iconst,
                imm: bytes.into(),
            };
        }
    }

    fn refuse_if(&mut self, test: ir::Value, refuse: ir::Block) {
        let go_on = self.b.create_block();
        self.b.ins().brif(test, refuse, &[], go_on, &[]);
        self.switch_to_sealed(go_on);
    }

    /// Does not begin: says so to a caller, and leaves at the beginning when a tail call has come here.
    fn refuse(&mut self, refuse: ir::Block, way: ir::Value) {
        self.switch_to_sealed(refuse);
        self.b.set_cold_block(refuse);
        let (by_tail_call, by_call) = (self.b.create_block(), self.b.create_block());
        let is_tail_call = self
            .b
            .ins()
            .icmp_imm_s(IntCC::Equal, way, i64::from(BY_TAIL_CALL));
        self.b
            .ins()
            .brif(is_tail_call, by_tail_call, &[], by_call, &[]);
        self.switch_to_sealed(by_call);
        return_constant(&mut self.b, NOT_ENTERED);
        self.switch_to_sealed(by_tail_call);
        self.say_place(0, ExitReason::NotEntered, 0);
        self.store_state(offset_of!(NativeState<'_>, exit_fp), self.fp);
        return_constant(&mut self.b, EXIT);
    }

    /// On-stack replacement: the registers that are live at a loop come from the frame.
    fn enter_loop(&mut self, header: usize) {
        let start = self.scope.part.place.blocks.all[header].start;
        self.pc = start;
        self.now = vec![Type::Any; self.scope.registers.len()];
        self.ranges = Ranges::default();
        self.load_frame(start);
        self.here.clear();
        self.is_way_in = true;
        let beyond = self.is_beyond_stack();
        self.exit_if(beyond, ExitReason::NotEntered);
        self.come_in(header);
    }

    /// Goes to the first block: an exit on the way leaves the frame as it is, and nothing has been charged.
    fn come_in(&mut self, number: usize) {
        self.before = self.now.clone();
        self.refund = 0;
        self.here.clear();
        self.is_way_in = true;
        self.go_to(number, false);
        self.is_way_in = false;
    }

    fn load_frame(&mut self, pc: u32) {
        let live = self.scope.live;
        for register in live.at(pc) {
            let tag = self.load_slot(register, 0);
            let bits = self.load_slot(register, 8);
            self.set_any(register, tag, bits);
        }
    }
}
