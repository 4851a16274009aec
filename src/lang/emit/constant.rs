//! Literals.

use pw_isa::Constant as Pooled;
use pw_isa::op::Data;
use pw_isa::operand::{Const, Def, Flag, FloatBits, Imm};

use super::code::Code;
use crate::lang::ir::{Constant, FunctionId};
use crate::lang::tree::{Node, NodeId};

/// What is left to do for a quoted datum.
enum Step {
    /// Number this datum.
    Visit(NodeId),
    /// Make a list of the last so many numbers and what follows them.
    List { count: usize, has_tail: bool },
    /// Make `(quote datum)` of the last number.
    Quote,
}

impl Code<'_> {
    /// Loads a literal.
    pub(super) fn load_constant(&mut self, constant: &Constant, register: u16) {
        let dst = Def(register);
        let constant = match constant {
            Constant::Nil => return self.emit(Data::Nil { dst }),
            Constant::Bool(value) => {
                return self.emit(Data::Bool {
                    dst,
                    value: Flag(*value),
                });
            }
            Constant::Int(value) => {
                return self.emit(Data::Int {
                    dst,
                    value: Imm(*value),
                });
            }
            Constant::Float(value) => {
                return self.emit(Data::Float {
                    dst,
                    value: FloatBits(value.to_bits()),
                });
            }
            Constant::String(text) => self.builder.constant(Pooled::String(text.to_string())),
            Constant::Symbol(name) => self.symbol(&self.context.tree.names.text(*name).clone()),
            Constant::Datum(datum) => self.datum(*datum),
        };
        self.emit(Data::Const { dst, constant });
    }

    /// Loads a function of the program as a value.
    pub(super) fn load_function(&mut self, function: FunctionId, register: u16) {
        let number = self.linker.function(function);
        let constant = self.builder.function_constant(number);
        self.emit(Data::Const {
            dst: Def(register),
            constant,
        });
    }

    fn symbol(&mut self, text: &str) -> Const {
        self.builder.constant(Pooled::Symbol(text.to_owned()))
    }

    /// Numbers a quoted datum of any depth.
    fn datum(&mut self, datum: NodeId) -> Const {
        let tree = self.context.tree;
        let mut steps = vec![Step::Visit(datum)];
        let mut done: Vec<Const> = Vec::new();
        while let Some(step) = steps.pop() {
            let number = match step {
                Step::Visit(node) => match tree.node(node) {
                    Node::Nil | Node::Damaged => self.builder.constant(Pooled::Nil),
                    Node::Bool(value) => self.builder.constant(Pooled::Bool(*value)),
                    Node::Int(value) => self.builder.constant(Pooled::Int(*value)),
                    Node::Float(value) => self.builder.constant(Pooled::Float(value.to_bits())),
                    Node::String(text) => self.builder.constant(Pooled::String(text.to_string())),
                    Node::Symbol(name) => self.symbol(&tree.names.text(*name).clone()),
                    Node::Quote(inner) => {
                        steps.push(Step::Quote);
                        steps.push(Step::Visit(*inner));
                        continue;
                    }
                    Node::List(items) => {
                        let elements = tree.elements(*items);
                        let count = elements.len();
                        steps.push(Step::List {
                            count,
                            has_tail: items.tail.is_some(),
                        });
                        steps.extend(items.tail.map(Step::Visit));
                        steps.extend(elements.iter().rev().map(|element| Step::Visit(*element)));
                        continue;
                    }
                },
                Step::List { count, has_tail } => {
                    let nil = self.builder.constant(Pooled::Nil);
                    let tail = if has_tail {
                        done.pop().unwrap_or(nil)
                    } else {
                        nil
                    };
                    let elements = done.split_off(done.len() - count);
                    elements
                        .into_iter()
                        .rev()
                        .fold(tail, |rest, element| self.pair(element, rest))
                }
                Step::Quote => {
                    let nil = self.builder.constant(Pooled::Nil);
                    let inner = done.pop().unwrap_or(nil);
                    let rest = self.pair(inner, nil);
                    let quote = self.symbol("quote");
                    self.pair(quote, rest)
                }
            };
            done.push(number);
        }
        done.pop().unwrap_or(Const(0))
    }

    fn pair(&mut self, car: Const, cdr: Const) -> Const {
        self.builder.constant(Pooled::Pair(car.0, cdr.0))
    }
}
