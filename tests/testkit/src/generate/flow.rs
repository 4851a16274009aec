//! Branches, loops and handlers.

use pw_isa::op::{Arith, Compare, Control, Data, Sandbox};
use pw_isa::operand::{Def, FloatBits, Kinds, Label, Use};
use pw_isa::program::Constant;
use pw_isa::{Kind, KindSet};

use super::body::Body;
use super::kinds::{Row, SAFE, Want};

/// How often at most a place runs in one call.
const TIMES_MAX: u64 = 200;

impl Body<'_, '_> {
    /// Emits a test; the register with its answer, which is a variable now and then and so outlives the
    /// branch.
    fn test(&mut self) -> u16 {
        let dst = if self.tape.one_in(6) {
            self.target(Want::Bool)
        } else {
            self.take(1)
        };
        match self.tape.below(5) {
            0 | 1 => {
                let mnemonic = self
                    .tape
                    .pick(&["lt", "le", "gt", "ge", "num-eq", "num-ne"]);
                let takes = self
                    .tape
                    .pick::<&[Want]>(&[&[Want::Int], &[Want::Num], &[Want::Big]]);
                self.test_with_number(mnemonic, takes[0], dst);
            }
            2 => return self.operand(Want::Any),
            _ => {
                let tests = SAFE.iter().filter(|row| row.gives == Some(Want::Bool));
                let tests: Vec<&Row> = tests.collect();
                let row = self.tape.pick(&tests);
                self.row(row, Some(dst));
            }
        }
        dst
    }

    fn test_with_number(&mut self, mnemonic: &str, want: Want, dst: u16) {
        let numbers = [0, 1, 10, -1, 32_767, -32_768, 32_768, -32_769, 1 << 40];
        let a = Use(self.operand(want));
        let number = self.take(1);
        let value = self.tape.pick(&numbers);
        self.int(number, value);
        let (dst, b) = (Def(dst), Use(number));
        self.emit(match mnemonic {
            "lt" => Compare::Lt { dst, a, b },
            "le" => Compare::Le { dst, a, b },
            "gt" => Compare::Gt { dst, a, b },
            "ge" => Compare::Ge { dst, a, b },
            "num-eq" => Compare::NumEq { dst, a, b },
            _ => Compare::NumNe { dst, a, b },
        });
    }

    /// A test, and a branch to the label that it gives.
    pub(super) fn branch_past(&mut self) -> Label {
        let test = Use(self.test());
        let to = self.code.label();
        if self.tape.one_in(2) {
            self.emit(Control::BranchIf { test, to });
        } else {
            self.emit(Control::BranchUnless { test, to });
        }
        to
    }

    /// One block or none; one block or the other.
    pub(super) fn branch(&mut self) {
        let other = self.branch_past();
        self.block(1, 4);
        if self.tape.one_in(2) {
            let end = self.code.label();
            self.emit(Control::Jump { to: end });
            self.code.bind(other);
            self.block(1, 4);
            self.code.bind(end);
        } else {
            self.code.bind(other);
        }
    }

    /// A loop that runs a known number of times at most.
    pub(super) fn counted_loop(&mut self) {
        if self.times * 2 > TIMES_MAX {
            return self.instruction();
        }
        let most = (TIMES_MAX / self.times).min(40) as usize;
        let trips = 1 + self.tape.below(most) as u64;
        let before = self.times;
        self.times *= trips;
        if self.tape.one_in(4) {
            self.loop_down(trips as i64);
        } else {
            self.loop_up(trips as i64);
        }
        self.times = before;
    }

    /// `for i in start..end`, with the test at its head.
    fn loop_up(&mut self, trips: i64) {
        let [counter, end, test] = [self.take(1), self.take(1), self.take(1)];
        let (first, last) = if self.tape.one_in(5) {
            (i64::MAX - trips, i64::MAX)
        } else {
            (0, trips)
        };
        let is_float = first == 0 && self.tape.one_in(4);
        if is_float {
            let value = FloatBits(0);
            self.emit(Data::Float {
                dst: Def(counter),
                value,
            });
        } else {
            self.int(counter, first);
        }
        let outside = self.tape.one_in(2);
        if outside {
            self.int(end, last);
        }
        let (head, exit) = (self.code.label(), self.code.label());
        self.code.bind(head);
        self.emit(Control::Loop {});
        if !outside {
            self.int(end, last);
        }
        let (dst, a, b) = (Def(test), Use(counter), Use(end));
        if self.tape.one_in(2) {
            self.emit(Compare::Lt { dst, a, b });
            self.emit(Control::BranchUnless {
                test: Use(test),
                to: exit,
            });
        } else {
            self.emit(Compare::NumEq { dst, a, b });
            self.emit(Control::BranchIf {
                test: Use(test),
                to: exit,
            });
        }
        self.block(1, 6);
        self.step(counter, test, 1);
        self.emit(Control::Jump { to: head });
        self.code.bind(exit);
    }

    /// `do … while --i > 0`.
    fn loop_down(&mut self, trips: i64) {
        let [counter, test, zero] = [self.take(1), self.take(1), self.take(1)];
        self.int(counter, trips);
        let head = self.code.label();
        self.code.bind(head);
        self.emit(Control::Loop {});
        self.block(1, 6);
        self.step(counter, test, -1);
        self.int(zero, 0);
        let (dst, a, b) = (Def(test), Use(counter), Use(zero));
        self.emit(Compare::Gt { dst, a, b });
        self.emit(Control::BranchIf {
            test: Use(test),
            to: head,
        });
    }

    fn step(&mut self, counter: u16, scratch: u16, by: i64) {
        self.int(scratch, by);
        let (dst, a, b) = (Def(counter), Use(counter), Use(scratch));
        self.emit(Arith::Add { dst, a, b });
    }

    /// A block whose errors a handler receives; it may be tried again. The handler is added when its
    /// range is complete, so that inner ones come first, as they must.
    pub(super) fn attempt(&mut self) {
        let caught = self.take(1);
        let [start, end, after] = [(); 3].map(|()| self.code.label());
        let again = (self.times * 3 <= TIMES_MAX && self.tape.one_in(3)).then(|| self.tries(after));
        let before = self.times;
        if again.is_some() {
            self.times *= 3;
        }
        self.trying += 1;
        self.code.bind(start);
        let is_sandbox = self.tape.one_in(4);
        if is_sandbox {
            self.open_sandbox();
        }
        self.block(2, 9);
        if is_sandbox && !self.tape.one_in(3) {
            self.emit(Sandbox::SandboxClose {});
        }
        self.emit(Control::Jump { to: after });
        self.code.bind(end);
        self.trying -= 1;
        self.times = before;
        match again {
            // Back to the head of the loop: what was raised is dead.
            Some(head) => self.code.handler(start, end, head, caught),
            None => {
                let target = self.code.label();
                self.code.bind(target);
                self.code.handler(start, end, target, caught);
                self.look_at(caught);
            }
        }
        self.code.bind(after);
    }

    /// Opens a sandbox. It is closed behind the statements that follow, or by whatever leaves the handler's range or the
    /// function; or it stays open.
    fn open_sandbox(&mut self) {
        let [gas, memory, capabilities] = [self.take(1), self.take(1), self.take(1)];
        let most = self.tape.pick(&[400, 60, 5_000, 1_500, 0, 20]);
        self.int(gas, most);
        let most = self.tape.pick(&[1 << 20, 3_000, 500, 30_000, 0]);
        self.int(memory, most);
        self.emit(Data::Nil {
            dst: Def(capabilities),
        });
        if self.tape.one_in(2) {
            let name = self
                .code
                .constant(Constant::Symbol("io-network".to_owned()));
            let first = self.take(1);
            self.emit(Data::Const {
                dst: Def(first),
                constant: name,
            });
            self.emit(Data::Cons {
                dst: Def(capabilities),
                car: Use(first),
                cdr: Use(capabilities),
            });
        }
        let (gas, memory, capabilities) = (Use(gas), Use(memory), Use(capabilities));
        self.emit(Sandbox::SandboxOpen {
            gas,
            memory,
            capabilities,
        });
    }

    /// The head of a loop that is entered three times at most.
    fn tries(&mut self, after: Label) -> Label {
        let [counter, test, limit] = [self.take(1), self.take(1), self.take(1)];
        self.int(counter, 0);
        let head = self.code.label();
        self.code.bind(head);
        self.emit(Control::Loop {});
        self.int(limit, 3);
        let (dst, a, b) = (Def(test), Use(counter), Use(limit));
        self.emit(Compare::Ge { dst, a, b });
        self.emit(Control::BranchIf {
            test: Use(test),
            to: after,
        });
        self.step(counter, limit, 1);
        head
    }

    /// What a handler does with what it caught: it keeps it, takes it apart, or raises it again.
    fn look_at(&mut self, caught: u16) {
        let kept = self.target(Want::Any);
        self.copy(kept, caught);
        if self.tape.one_in(2) {
            let skip = self.unless_kind(caught, &[Kind::Error]);
            let error = Use(caught);
            let dst = Def(self.target(Want::Symbol));
            self.emit(Data::ErrorKind { dst, error });
            let dst = Def(self.target(Want::Any));
            self.emit(Data::ErrorMessage { dst, error });
            let dst = Def(self.target(Want::Any));
            self.emit(Data::ErrorValues { dst, error });
            self.code.bind(skip);
        }
        if self.trying > 0 && self.tape.one_in(4) {
            let skip = self.branch_past();
            self.emit(Control::Raise { value: Use(caught) });
            self.code.bind(skip);
        }
        self.block(0, 3);
    }

    /// Goes on only with a value of these kinds; where it goes otherwise.
    fn unless_kind(&mut self, register: u16, kinds: &[Kind]) -> Label {
        let test = self.take(1);
        self.emit(Compare::Is {
            dst: Def(test),
            a: Use(register),
            kinds: Kinds(KindSet::of(kinds)),
        });
        let to = self.code.label();
        self.emit(Control::BranchUnless {
            test: Use(test),
            to,
        });
        to
    }

    /// Raises something, in handlers' ranges mostly, and not always.
    pub(super) fn raise_sometimes(&mut self) {
        if self.trying == 0 && !self.tape.one_in(10) {
            return self.instruction();
        }
        let skip = self.branch_past();
        let value = Use(self.operand(Want::Any));
        self.emit(Control::Raise { value });
        self.code.bind(skip);
    }

    /// What could be anything goes where only one kind is expected, after a look at it.
    pub(super) fn narrow(&mut self) {
        let (want, kind) = self.tape.pick(&[
            (Want::Float, Kind::Float),
            (Want::Bool, Kind::Bool),
            (Want::Big, Kind::Int),
            (Want::Map, Kind::Map),
            (Want::Error, Kind::Error),
        ]);
        let register = self.operand(Want::Any);
        let skip = self.unless_kind(register, &[kind]);
        let target = self.target(want);
        self.copy(target, register);
        self.code.bind(skip);
    }

    /// Sums a list.
    pub(super) fn walk_list(&mut self) {
        let list = self.operand(Want::List);
        let [rest, sum, first] = [self.take(1), self.take(1), self.take(1)];
        self.copy(rest, list);
        self.int(sum, 0);
        let head = self.code.label();
        self.code.bind(head);
        self.emit(Control::Loop {});
        let exit = self.unless_kind(rest, &[Kind::Pair]);
        let pair = Use(rest);
        self.emit(Data::Car {
            dst: Def(first),
            pair,
        });
        self.emit(Data::Cdr {
            dst: Def(rest),
            pair,
        });
        let (dst, a, b) = (Def(sum), Use(sum), Use(first));
        self.emit(Arith::Add { dst, a, b });
        self.emit(Control::Jump { to: head });
        self.code.bind(exit);
        let target = self.target(Want::Big);
        self.copy(target, sum);
    }

    /// A vector that is as long behind it as before.
    pub(super) fn push_and_pop(&mut self) {
        let (vector, element) = self.tape.pick(&[
            (Want::Ints, Want::Int),
            (Want::Floats, Want::Float),
            (Want::Vector, Want::Any),
        ]);
        let vector = Use(self.operand(vector));
        for _ in 0..1 + self.tape.below(3) {
            let value = Use(self.operand(element));
            self.emit(Data::VectorPush { vector, value });
        }
        let dst = Def(self.target(element));
        self.emit(Data::VectorPop { dst, vector });
    }
}
