//! Programs, and how they are spelled.

use std::fmt;

/// A program; every value is an integer or a function of integers.
#[derive(Clone, Debug)]
pub(crate) enum Code {
    Int(i64),
    Name(String),
    Operation(&'static str, Vec<Code>),
    If(Box<[Code; 3]>),
    /// `(if (and|or test…) a b)`
    Test(&'static str, Vec<Code>, Box<[Code; 2]>),
    Begin(Vec<Code>),
    Set(String, Box<Code>),
    Let(&'static str, Vec<(String, Code)>, Box<Code>),
    Functions(Vec<(String, Vec<String>, Code)>, Box<Code>),
    Loop(String, Vec<(String, Code)>, Box<Code>),
    Lambda(Vec<String>, Box<Code>),
    Call(Box<Code>, Vec<Code>),
    Try(Box<Code>, String, Box<Code>),
    Raise(Box<Code>),
    /// `(let ((name n)) (while (> name 0) (set! name (- name 1)) body) value)`
    While(String, i64, Box<Code>, Box<Code>),
    /// A library function over a list: its name, the parameters and text of the function it gets,
    /// the initial value, the elements.
    Each(&'static str, Vec<String>, Box<[Code; 2]>, Vec<Code>),
}

struct List<'a>(&'a [Code]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|code| write!(f, " {code}"))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Code::Int(value) => write!(f, "{value}"),
            Code::Name(name) => write!(f, "{name}"),
            Code::Operation(name, operands) => write!(f, "({name}{})", List(operands)),
            Code::If(parts) => write!(f, "(if (< {} 0) {} {})", parts[0], parts[1], parts[2]),
            Code::Test(name, tests, parts) => {
                write!(f, "(if ({name}")?;
                tests
                    .iter()
                    .try_for_each(|test| write!(f, " (< {test} 0)"))?;
                write!(f, ") {} {})", parts[0], parts[1])
            }
            Code::Begin(parts) => write!(f, "(begin{})", List(parts)),
            Code::Set(name, value) => write!(f, "(begin (set! {name} {value}) {name})"),
            Code::Each(name, parameters, parts, elements) => {
                let (list, body, initial) = (List(elements), &parts[0], &parts[1]);
                let function = format!("(lambda ({}) {body})", parameters.join(" "));
                match *name {
                    "fold" => write!(f, "(fold {function} {initial} (list{list}))"),
                    "map" => write!(f, "(fold wrap+ {initial} (map {function} (list{list})))"),
                    "for-each" => write!(f, "(begin (for-each {function} (list{list})) {initial})"),
                    _ => {
                        let test = format!("(lambda ({}) (< {body} 0))", parameters.join(" "));
                        write!(f, "(wrap+ (length (filter {test} (list{list}))) {initial})")
                    }
                }
            }
            Code::Let(form, bindings, body) => {
                write!(f, "({form} (")?;
                bindings
                    .iter()
                    .try_for_each(|(name, value)| write!(f, "({name} {value})"))?;
                write!(f, ") {body})")
            }
            Code::Functions(functions, body) => {
                write!(f, "(let ()")?;
                for (name, parameters, body) in functions {
                    write!(f, " (define ({name} {}) {body})", parameters.join(" "))?;
                }
                write!(f, " {body})")
            }
            Code::Loop(name, bindings, body) => {
                write!(f, "(let {name} (")?;
                bindings
                    .iter()
                    .try_for_each(|(name, value)| write!(f, "({name} {value})"))?;
                write!(f, ") {body})")
            }
            Code::Lambda(parameters, body) => {
                write!(f, "(lambda ({}) {body})", parameters.join(" "))
            }
            Code::Call(callee, arguments) => write!(f, "({callee}{})", List(arguments)),
            Code::Try(body, name, handler) => write!(f, "(try {body} (catch {name} {handler}))"),
            Code::Raise(value) => write!(f, "(raise {value})"),
            Code::While(name, count, body, value) => {
                write!(
                    f,
                    "(let (({name} {count})) (while (> {name} 0) (set! {name} (- {name} 1)) {body}) {value})"
                )
            }
        }
    }
}
