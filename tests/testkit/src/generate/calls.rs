//! Calls in every way there is, functions as values, and what they capture.

use pw_isa::op::{Arith, Data, Function};
use pw_isa::operand::{ClosureFrame, Def, Frame, Index, Span, Use};

use super::body::{Body, FUEL};
use super::kinds::Want;
use super::{Callee, Plan};

/// How a function is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Link,
    Value,
    List,
}

impl<'t> Body<'t, '_> {
    /// A call, its result kept.
    pub(super) fn call(&mut self) {
        let plan: &'t Plan = self.plan;
        if self.calls_left == 0 || plan.callees.is_empty() {
            return self.instruction();
        }
        self.calls_left -= 1;
        let chosen = self.tape.below(plan.callees.len());
        let base = self.enter(&plan.callees[chosen], false);
        let target = self.target(plan.signature(&plan.callees[chosen]).gives);
        self.copy(target, base);
    }

    /// Ends the function with a call in its place; false when no function gives what is wanted.
    pub(super) fn tail_call(&mut self, gives: Want) -> bool {
        let plan: &'t Plan = self.plan;
        let fitting = plan
            .callees
            .iter()
            .filter(|callee| plan.signature(callee).gives == gives);
        let fitting: Vec<&Callee> = fitting.collect();
        if fitting.is_empty() {
            return false;
        }
        let callee = self.tape.pick(&fitting);
        self.enter(callee, true);
        true
    }

    /// Fills a window and calls; the window's base.
    fn enter(&mut self, callee: &Callee, tail: bool) -> u16 {
        let linked = callee.captures.is_empty() && !self.tape.one_in(3);
        let way = if linked {
            Way::Link
        } else if self.tape.one_in(3) {
            Way::List
        } else {
            Way::Value
        };
        let function = (!linked).then(|| self.operand(Want::Function(callee.signature)));
        let arguments = self.arguments(callee, linked);
        let count = arguments.len() as u16;
        let base = self.take(1 + count);
        for (index, register) in arguments.into_iter().enumerate() {
            self.copy(base + 1 + index as u16, register);
        }
        if let Some(function) = function {
            self.copy(base, function);
        }
        if way == Way::List {
            self.list_of_window(base, count);
        }
        let args = if way == Way::List { 1 } else { count };
        let (window, by_value) = (Frame { base, args }, ClosureFrame { base, args });
        let link = self.code.link_function(callee.number);
        self.emit(match (way, tail) {
            (Way::Link, false) => Function::Call {
                window,
                function: link,
            },
            (Way::Link, true) => Function::TailCall {
                window,
                function: link,
            },
            (Way::Value, false) => Function::CallClosure { window: by_value },
            (Way::Value, true) => Function::TailCallClosure { window: by_value },
            (Way::List, false) => Function::Apply { window: by_value },
            (Way::List, true) => Function::TailApply { window: by_value },
        });
        base
    }

    /// Registers with the arguments: fuel, what the signature says, and more when there is a rest parameter.
    fn arguments(&mut self, callee: &Callee, known: bool) -> Vec<u16> {
        let fuel = self.fuel();
        let mut arguments = vec![fuel];
        let plan: &'t Plan = self.plan;
        for want in &plan.signatures[usize::from(callee.signature)].params {
            arguments.push(self.operand(*want));
        }
        if known && callee.rest {
            for _ in 0..self.tape.below(4) {
                arguments.push(self.operand(Want::Int));
            }
        }
        arguments
    }

    /// What the callee may use: all calls below it together.
    fn fuel(&mut self) -> u16 {
        let [fuel, by] = [self.take(1), self.take(1)];
        let Some(callee) = self.callee else {
            let most = self.tape.pick(&[3, 8, 20, 60, 1, 300]);
            self.int(fuel, (most / self.times as i64).max(1));
            return fuel;
        };
        let divisor = i64::from(callee.calls) * self.times as i64;
        self.int(by, divisor);
        let (dst, a, b) = (Def(fuel), Use(FUEL), Use(by));
        self.emit(if divisor == 1 {
            Arith::Sub { dst, a, b }
        } else {
            Arith::Quot { dst, a, b }
        });
        fuel
    }

    /// Makes one list of the arguments in a window.
    fn list_of_window(&mut self, base: u16, count: u16) {
        let list = self.take(1);
        self.emit(Data::Nil { dst: Def(list) });
        for index in (1..=count).rev() {
            self.emit(Data::Cons {
                dst: Def(list),
                car: Use(base + index),
                cdr: Use(list),
            });
        }
        self.copy(base + 1, list);
    }

    /// A function of this signature as a value: this one, a constant or a new closure.
    pub(super) fn function_of(&mut self, signature: u8, register: u16) {
        let plan: &'t Plan = self.plan;
        let fitting = plan
            .callees
            .iter()
            .filter(|callee| callee.signature == signature);
        let fitting: Vec<&'t Callee> = fitting.collect();
        let callee = self.tape.pick(&fitting);
        let own = self.callee.filter(|own| own.number == callee.number);
        match self.closure_register() {
            Some((closure, _)) if own.is_some() => self.copy(register, closure),
            _ if callee.captures.is_empty() && !self.tape.one_in(4) => {
                let constant = self.code.function_constant(callee.number);
                self.emit(Data::Const {
                    dst: Def(register),
                    constant,
                });
            }
            _ => self.closure(callee, register),
        }
    }

    fn closure(&mut self, callee: &Callee, register: u16) {
        let values: Vec<u16> = callee
            .captures
            .iter()
            .map(|want| self.operand(*want))
            .collect();
        let count = values.len() as u16;
        let captures = Span {
            first: self.take(count),
            count,
        };
        for (index, value) in values.into_iter().enumerate() {
            self.copy(captures.first + index as u16, value);
        }
        let function = self.code.link_function(callee.number);
        self.emit(Function::Closure {
            dst: Def(register),
            function,
            captures,
        });
    }

    /// Reads or writes a captured value.
    pub(super) fn use_capture(&mut self) {
        let Some((closure, captures)) = self.closure_register() else {
            return self.instruction();
        };
        let number = self.tape.below(captures.len());
        let (closure, index) = (Use(closure), Index(number as u32));
        if self.tape.one_in(3) {
            let value = Use(self.operand(captures[number]));
            return self.emit(Function::CaptureSet {
                closure,
                index,
                value,
            });
        }
        let dst = Def(self.target(captures[number]));
        self.emit(Function::Capture {
            dst,
            closure,
            index,
        });
    }
}
