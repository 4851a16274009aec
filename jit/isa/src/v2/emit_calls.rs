//! Instructions of V2 that leave the function for a while: calls, closures, capabilities, the host.

use super::emit::{Emitter, tag};
use super::lower::StackPlace;
use super::resolve::Resolved;
use super::{Capability, constant};
use crate::error_kind::ErrorKind;
use crate::op::{Capability as CapabilityOp, Data, Function, V2};
use crate::operand::{ClosureFrame, Def, Flag, Frame, Index, Span, Use};
use crate::program;

impl Emitter<'_> {
    /// The window of a call with `args` arguments; `None` when the stack is too low for it, in which
    /// case control ends here. `enters` tells that the callee gets a frame of its own.
    fn window(&mut self, args: u16, enters: bool) -> Option<ClosureFrame> {
        let first = self.first();
        let top = self.height.checked_sub(1).map(|top| first + top);
        let Some(callee) = top else {
            self.fail(ErrorKind::StackUnderflow);
            return None;
        };
        if self.height - 1 < args {
            self.emit(V2::CheckCallee {
                callee: Use(callee),
                enters: Flag(enters),
            });
            self.fail(ErrorKind::StackUnderflow);
            return None;
        }
        self.height -= args + 1;
        Some(ClosureFrame {
            base: first + self.height,
            args,
        })
    }

    pub(super) fn call(&mut self, args: u16) {
        let base = match *self.stack {
            StackPlace::Registers { .. } => {
                let Some(window) = self.window(args, true) else {
                    return;
                };
                self.emit(V2::Call { window });
                window.base
            }
            StackPlace::Vector { register } => {
                let base = self.results(1);
                self.emit(V2::StackCall {
                    window: Frame { base, args: 0 },
                    stack: Use(register),
                    args: Index(u32::from(args)),
                });
                base
            }
        };
        self.push(base);
    }

    pub(super) fn tail_call(&mut self, args: u16) {
        match *self.stack {
            StackPlace::Registers { .. } => {
                if let Some(window) = self.window(args, false) {
                    self.emit(V2::TailCall { window });
                }
            }
            StackPlace::Vector { register } => {
                let base = self.results(1);
                self.emit(V2::StackTailCall {
                    window: Frame { base, args: 0 },
                    stack: Use(register),
                    args: Index(u32::from(args)),
                });
            }
        }
    }

    /// Captured values travel as one Vector, so that a body is one function whatever its closures capture.
    pub(super) fn make_closure(&mut self, body: Result<usize, ErrorKind>, captures: usize) {
        let Some(values) = self.captured(captures) else {
            return;
        };
        let body = match body {
            Ok(body) => body,
            Err(kind) => return self.fail(kind),
        };
        let function = self.bodies.number((body, captures > 0));
        let function = self.out.link_function(function);
        self.value(|dst| {
            Function::Closure {
                dst,
                function,
                captures: values,
            }
            .into()
        });
    }

    /// Takes captured values away and puts them into one Vector.
    fn captured(&mut self, count: usize) -> Option<Span> {
        let enough = match *self.stack {
            StackPlace::Registers { .. } => count <= usize::from(self.height),
            // No stack holds more than this.
            StackPlace::Vector { .. } => u32::try_from(count).is_ok(),
        };
        if !enough {
            self.fail(ErrorKind::StackUnderflow);
            return None;
        }
        let first = self.results(1);
        if count == 0 {
            return Some(Span { first, count: 0 });
        }
        let first = match *self.stack {
            StackPlace::Registers { .. } => {
                let first = self.pop(count as u16)?;
                let values = Span {
                    first,
                    count: count as u16,
                };
                self.emit(V2::Pack {
                    dst: Def(first),
                    values,
                });
                first
            }
            StackPlace::Vector { register } => {
                self.emit(V2::Take {
                    dst: Def(first),
                    stack: Use(register),
                    count: Index(count as u32),
                });
                first
            }
        };
        Some(Span { first, count: 1 })
    }

    fn load_capability(&mut self, dst: u16, capability: &Capability) -> Use {
        let constant = constant::define(capability, &mut self.out);
        self.emit(Data::Const {
            dst: Def(dst),
            constant,
        });
        Use(dst)
    }

    pub(super) fn capability(&mut self, resolved: &Resolved<'_>) {
        let dst = self.results(2);
        let (second, result) = (dst + 1, Def(dst));
        match *resolved {
            Resolved::HasCapability(capability) => {
                let capability = self.load_capability(dst, capability);
                self.emit(CapabilityOp::HasCapability {
                    dst: result,
                    capability,
                });
                return self.push(dst);
            }
            Resolved::RequestCapability(capability, reason) => {
                let capability = self.load_capability(dst, capability);
                let reason = reason.to_reason();
                let constant = self.out.constant(program::Constant::String(reason));
                self.emit(Data::Const {
                    dst: Def(second),
                    constant,
                });
                self.emit(CapabilityOp::RequestCapability {
                    dst: result,
                    capability,
                    reason: Use(second),
                });
            }
            Resolved::GrantCapability(to, capability) => {
                let capability = self.load_capability(dst, capability);
                let to = self.load_actor(second, to);
                self.emit(CapabilityOp::GrantCapability {
                    dst: result,
                    to,
                    capability,
                });
            }
            Resolved::RevokeCapability(from, capability) => {
                let capability = self.load_capability(dst, capability);
                let to = self.load_actor(second, from);
                self.emit(CapabilityOp::RevokeCapability {
                    dst: result,
                    to,
                    capability,
                });
            }
            _ => unreachable!("the instruction names no capability"),
        }
        self.require(dst);
    }

    fn load_actor(&mut self, dst: u16, actor: u32) -> Use {
        let constant = self
            .out
            .constant(program::Constant::ActorId(u64::from(actor)));
        self.emit(Data::Const {
            dst: Def(dst),
            constant,
        });
        Use(dst)
    }

    /// Fails unless the register holds true.
    fn require(&mut self, test: u16) {
        self.emit(V2::Require {
            test: Use(test),
            kind: tag(ErrorKind::CapabilityDenied),
        });
    }

    pub(super) fn host_call(&mut self, function: u16, capability: &Capability, args: u16) {
        let test = self.results(1);
        let held = self.load_capability(test, capability);
        self.emit(CapabilityOp::HasCapability {
            dst: Def(test),
            capability: held,
        });
        self.require(test);
        let Some(first) = self.pop(args) else { return };
        self.value(|dst| {
            V2::HostCall {
                dst,
                function: Index(u32::from(function)),
                arguments: Span { first, count: args },
            }
            .into()
        });
    }
}
