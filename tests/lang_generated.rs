//! Generated programs mean the same to the compiler and to a plain evaluator.
//!
//! The generator favours what a compiler can get wrong: variables that are set while an expression
//! that reads them is half evaluated, loops that permute their variables, closures made in loops,
//! local functions that call each other in and out of tail position, values raised across all of it.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use physics_world::lang;
use pw_isa::verify::verify;
use pw_jit::host::{Answer, Effect, Host};
use pw_jit::reference::{self, Outcome};
use pw_jit::text::{Style, value_text};
use pw_jit::{CodeSpace, Fiber, Limits};

/// A program; every value is an integer or a function of integers.
#[derive(Clone, Debug)]
enum Code {
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

#[derive(Clone)]
enum Value {
    Int(i64),
    Function(Rc<Closure>),
}

struct Closure {
    parameters: Vec<String>,
    body: Code,
    scope: RefCell<Scope>,
}

/// Names, the innermost first.
type Scope = Option<Rc<Entry>>;

struct Entry {
    name: String,
    value: RefCell<Value>,
    next: Scope,
}

fn bind(scope: &Scope, name: &str, value: Value) -> Scope {
    Some(Rc::new(Entry {
        name: name.to_owned(),
        value: RefCell::new(value),
        next: scope.clone(),
    }))
}

fn find<'a>(mut scope: &'a Scope, name: &str) -> &'a RefCell<Value> {
    loop {
        let entry = scope.as_ref().expect("generated programs know their names");
        if entry.name == name {
            return &entry.value;
        }
        scope = &entry.next;
    }
}

enum Stop {
    Raised(i64),
    TooLong,
}

struct Evaluator {
    steps_left: u32,
    depth: u32,
}

impl Evaluator {
    fn int(&mut self, code: &Code, scope: &Scope) -> Result<i64, Stop> {
        match self.value(code, scope)? {
            Value::Int(value) => Ok(value),
            Value::Function(_) => unreachable!("functions are only called"),
        }
    }

    fn value(&mut self, code: &Code, scope: &Scope) -> Result<Value, Stop> {
        if self.steps_left == 0 || self.depth > 150 {
            return Err(Stop::TooLong);
        }
        self.steps_left -= 1;
        self.depth += 1;
        let value = self.step(code, scope);
        self.depth -= 1;
        value
    }

    fn step(&mut self, code: &Code, scope: &Scope) -> Result<Value, Stop> {
        let value = match code {
            Code::Int(value) => *value,
            Code::Name(name) => return Ok(find(scope, name).borrow().clone()),
            Code::Operation(name, operands) => {
                let mut values = Vec::new();
                for operand in operands {
                    values.push(self.int(operand, scope)?);
                }
                let op: fn(i64, i64) -> i64 = match *name {
                    "wrap+" => i64::wrapping_add,
                    "wrap-" => i64::wrapping_sub,
                    "wrap*" => i64::wrapping_mul,
                    "min" => i64::min,
                    _ => |a, b| a ^ b,
                };
                values.into_iter().reduce(op).unwrap_or(0)
            }
            Code::If(parts) => {
                let branch = if self.int(&parts[0], scope)? < 0 {
                    1
                } else {
                    2
                };
                return self.value(&parts[branch], scope);
            }
            Code::Test(name, tests, parts) => {
                let stops_at = *name == "or";
                let mut result = !stops_at;
                for test in tests {
                    if (self.int(test, scope)? < 0) == stops_at {
                        result = stops_at;
                        break;
                    }
                }
                return self.value(&parts[usize::from(!result)], scope);
            }
            Code::Begin(parts) => {
                let mut last = 0;
                for part in parts {
                    last = self.int(part, scope)?;
                }
                last
            }
            Code::Set(name, value) => {
                let value = self.int(value, scope)?;
                *find(scope, name).borrow_mut() = Value::Int(value);
                value
            }
            Code::Let(form, bindings, body) => {
                let mut inner = scope.clone();
                for (name, value) in bindings {
                    let around = if *form == "let" { scope } else { &inner };
                    let value = self.value(value, around)?;
                    inner = bind(&inner, name, value);
                }
                return self.value(body, &inner);
            }
            Code::Functions(functions, body) => {
                let mut inner = scope.clone();
                let mut closures = Vec::new();
                for (name, parameters, body) in functions {
                    let scope = RefCell::new(None);
                    let closure = Rc::new(Closure {
                        parameters: parameters.clone(),
                        body: body.clone(),
                        scope,
                    });
                    inner = bind(&inner, name, Value::Function(Rc::clone(&closure)));
                    closures.push(closure);
                }
                for closure in closures {
                    *closure.scope.borrow_mut() = inner.clone();
                }
                return self.value(body, &inner);
            }
            Code::Loop(name, bindings, body) => {
                let mut arguments = Vec::new();
                for (_, value) in bindings {
                    arguments.push(self.value(value, scope)?);
                }
                let parameters = bindings.iter().map(|(name, _)| name.clone()).collect();
                let closure = Rc::new(Closure {
                    parameters,
                    body: (**body).clone(),
                    scope: RefCell::new(None),
                });
                let inner = bind(scope, name, Value::Function(Rc::clone(&closure)));
                *closure.scope.borrow_mut() = inner;
                return self.call(&closure, arguments);
            }
            Code::Lambda(parameters, body) => {
                let (parameters, body) = (parameters.clone(), (**body).clone());
                let scope = RefCell::new(scope.clone());
                return Ok(Value::Function(Rc::new(Closure {
                    parameters,
                    body,
                    scope,
                })));
            }
            Code::Call(callee, arguments) => {
                let Value::Function(closure) = self.value(callee, scope)? else {
                    unreachable!("integers are not called")
                };
                let mut values = Vec::new();
                for argument in arguments {
                    values.push(self.value(argument, scope)?);
                }
                return self.call(&closure, values);
            }
            Code::Try(body, name, handler) => match self.value(body, scope) {
                Err(Stop::Raised(raised)) => {
                    return self.value(handler, &bind(scope, name, Value::Int(raised)));
                }
                other => return other,
            },
            Code::Raise(value) => return Err(Stop::Raised(self.int(value, scope)?)),
            Code::Each(name, parameters, parts, elements) => {
                self.each(name, parameters, parts, elements, scope)?
            }
            Code::While(name, count, body, value) => {
                let inner = bind(scope, name, Value::Int(*count));
                while self.int(&Code::Name(name.clone()), &inner)? > 0 {
                    let left = self.int(&Code::Name(name.clone()), &inner)?;
                    *find(&inner, name).borrow_mut() = Value::Int(left - 1);
                    self.value(body, &inner)?;
                }
                return self.value(value, &inner);
            }
        };
        Ok(Value::Int(value))
    }

    fn each(
        &mut self,
        name: &str,
        parameters: &[String],
        parts: &[Code; 2],
        elements: &[Code],
        scope: &Scope,
    ) -> Result<i64, Stop> {
        let mut result = if matches!(name, "fold" | "map") {
            self.int(&parts[1], scope)?
        } else {
            0
        };
        let mut values = Vec::new();
        for element in elements {
            values.push(self.int(element, scope)?);
        }
        let mut mapped = Vec::new();
        for value in values {
            let mut inner = scope.clone();
            if name == "fold" {
                inner = bind(&inner, &parameters[0], Value::Int(result));
            }
            inner = bind(&inner, &parameters[parameters.len() - 1], Value::Int(value));
            let value = self.int(&parts[0], &inner)?;
            match name {
                "fold" => result = value,
                "map" => mapped.push(value),
                "filter" if value < 0 => result += 1,
                _ => {}
            }
        }
        if matches!(name, "filter" | "for-each") {
            result = result.wrapping_add(self.int(&parts[1], scope)?);
        }
        Ok(mapped.into_iter().fold(result, i64::wrapping_add))
    }

    fn call(&mut self, closure: &Closure, arguments: Vec<Value>) -> Result<Value, Stop> {
        let mut scope = closure.scope.borrow().clone();
        for (name, value) in closure.parameters.iter().zip(arguments) {
            scope = bind(&scope, name, value);
        }
        self.value(&closure.body, &scope)
    }
}

/// What a name is where code is generated.
#[derive(Clone)]
enum Known {
    Int(String),
    /// A function of so many integers, the first of which counts down where it calls itself.
    Function(String, usize),
}

struct Generator {
    state: u64,
    names: u32,
}

impl Generator {
    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as usize % limit
    }

    /// Names repeat, so that scopes shadow each other.
    fn name(&mut self) -> String {
        self.names += 1;
        let letter = b'a' + self.below(6) as u8;
        match self.below(3) {
            0 => format!("{}{}", char::from(letter), self.names),
            _ => char::from(letter).to_string(),
        }
    }

    /// Takes names out that another kind of value now has.
    fn with(known: &[Known], new: Known) -> Vec<Known> {
        let text = |known: &Known| match known {
            Known::Int(name) | Known::Function(name, _) => name.clone(),
        };
        let mut all: Vec<Known> = known
            .iter()
            .filter(|old| text(old) != text(&new))
            .cloned()
            .collect();
        all.push(new);
        all
    }

    fn leaf(&mut self, known: &[Known]) -> Code {
        let names: Vec<&String> = known
            .iter()
            .filter_map(|known| match known {
                Known::Int(name) => Some(name),
                Known::Function(..) => None,
            })
            .collect();
        if names.is_empty() || self.below(4) == 0 {
            return Code::Int(self.below(9) as i64 - 4);
        }
        Code::Name(names[self.below(names.len())].clone())
    }

    fn many(&mut self, known: &[Known], size: usize, count: usize) -> Vec<Code> {
        (0..count)
            .map(|_| self.code(known, size / count.max(1)))
            .collect()
    }

    fn code(&mut self, known: &[Known], size: usize) -> Code {
        if size < 2 {
            return self.leaf(known);
        }
        let size = size - 1;
        match self.below(17) {
            0 | 1 => {
                const NAMES: [&str; 5] = ["wrap+", "wrap-", "wrap*", "min", "bit-xor"];
                let name = NAMES[self.below(NAMES.len())];
                let count = 2 + self.below(3);
                Code::Operation(name, self.many(known, size, count))
            }
            2 => Code::If(Box::new(std::array::from_fn(|_| {
                self.code(known, size / 3)
            }))),
            3 => {
                let name = ["and", "or"][self.below(2)];
                let count = 2 + self.below(2);
                let tests = self.many(known, size / 2, count);
                Code::Test(
                    name,
                    tests,
                    Box::new(std::array::from_fn(|_| self.code(known, size / 4))),
                )
            }
            4 => {
                let count = 2 + self.below(2);
                Code::Begin(self.many(known, size, count))
            }
            5 | 6 => match self.leaf(known) {
                Code::Name(name) => Code::Set(name, Box::new(self.code(known, size))),
                other => other,
            },
            7 => {
                let form = ["let", "let*"][self.below(2)];
                let mut inner = known.to_vec();
                let mut bindings: Vec<(String, Code)> = Vec::new();
                for _ in 0..1 + self.below(3) {
                    let name = self.name();
                    if form == "let" && bindings.iter().any(|(other, _)| *other == name) {
                        continue;
                    }
                    let around = if form == "let" { known } else { &inner };
                    bindings.push((name.clone(), self.code(around, size / 4)));
                    inner = Self::with(&inner, Known::Int(name));
                }
                let body = self.code(&inner, size / 2);
                Code::Let(form, bindings, Box::new(body))
            }
            8 | 9 => self.functions(known, size),
            10 | 11 => self.named_loop(known, size),
            12 => {
                let count = self.below(3);
                let mut inner = known.to_vec();
                let mut parameters: Vec<String> = Vec::new();
                for _ in 0..count {
                    let name = self.name();
                    if !parameters.contains(&name) {
                        inner = Self::with(&inner, Known::Int(name.clone()));
                        parameters.push(name);
                    }
                }
                let arguments = self.many(known, size / 2, parameters.len());
                let lambda =
                    Code::Lambda(parameters.clone(), Box::new(self.code(&inner, size / 2)));
                if self.below(2) == 0 {
                    return Code::Call(Box::new(lambda), arguments);
                }
                // Through a variable, so that it is a value. It does not call itself.
                self.names += 1;
                let name = format!("g{}", self.names);
                let known = Self::with(known, Known::Function(name.clone(), parameters.len()));
                let body = self.code(&known, size / 2);
                Code::Let("let*", vec![(name, lambda)], Box::new(body))
            }
            13 => {
                let name = self.name();
                let inner = Self::with(known, Known::Int(name.clone()));
                let body = if self.below(2) == 0 {
                    let raised = Code::Raise(Box::new(self.code(known, size / 4)));
                    Code::Begin(vec![self.code(known, size / 4), raised])
                } else {
                    self.code(known, size / 2)
                };
                Code::Try(Box::new(body), name, Box::new(self.code(&inner, size / 2)))
            }
            14 | 15 => {
                let name = ["fold", "map", "for-each", "filter"][self.below(4)];
                let (first, second) = (self.name(), self.name());
                let mut parameters = vec![first];
                if name == "fold" && parameters[0] != second {
                    parameters.push(second);
                } else if name == "fold" {
                    parameters.push(format!("{second}x"));
                }
                let mut inner = known.to_vec();
                for parameter in &parameters {
                    inner = Self::with(&inner, Known::Int(parameter.clone()));
                }
                let count = self.below(4);
                let elements = self.many(known, size / 4, count);
                let parts = [self.code(&inner, size / 2), self.code(known, size / 4)];
                Code::Each(name, parameters, Box::new(parts), elements)
            }
            _ => match self.below(3) {
                0 => {
                    let name = self.name();
                    let inner = Self::with(known, Known::Int(name.clone()));
                    let count = self.below(4) as i64;
                    let (body, value) = (self.code(&inner, size / 2), self.code(&inner, size / 2));
                    Code::While(name, count, Box::new(body), Box::new(value))
                }
                1 => Code::Raise(Box::new(self.code(known, size))),
                _ => self.call(known, size),
            },
        }
    }

    /// A call of some known function; its count starts small.
    fn call(&mut self, known: &[Known], size: usize) -> Code {
        let functions: Vec<(String, usize)> = known
            .iter()
            .filter_map(|known| match known {
                Known::Function(name, count) => Some((name.clone(), *count)),
                Known::Int(_) => None,
            })
            .collect();
        if functions.is_empty() {
            return self.code(known, size);
        }
        let (name, count) = functions[self.below(functions.len())].clone();
        let mut arguments = self.many(known, size, count);
        if let Some(first) = arguments.first_mut() {
            *first = Code::Int(self.below(4) as i64);
        }
        Code::Call(Box::new(Code::Name(name)), arguments)
    }

    /// `(if (< count 1) base (… (f (- count 1) …) …))`, where f is one of `targets`.
    fn counting_body(
        &mut self,
        known: &[Known],
        count: &str,
        targets: &[(String, usize)],
        size: usize,
    ) -> Code {
        let recur = |generator: &mut Self| {
            let (name, arity) = targets[generator.below(targets.len())].clone();
            let mut arguments = vec![Code::Operation(
                "wrap-",
                vec![Code::Name(count.to_owned()), Code::Int(1)],
            )];
            arguments.extend(generator.many(known, size / 2, arity - 1));
            Code::Call(Box::new(Code::Name(name)), arguments)
        };
        let again = match self.below(4) {
            0 => Code::Operation("wrap+", vec![self.code(known, size / 4), recur(self)]),
            1 => Code::If(Box::new([
                self.code(known, size / 4),
                recur(self),
                recur(self),
            ])),
            2 => {
                let name = self.name();
                let handler = Code::Name(name.clone());
                Code::Try(Box::new(recur(self)), name, Box::new(handler))
            }
            _ => recur(self),
        };
        let before = self.code(known, size / 4);
        let stop = Code::Operation("wrap-", vec![Code::Name(count.to_owned()), Code::Int(1)]);
        let base = self.code(known, size / 4);
        Code::If(Box::new([stop, base, Code::Begin(vec![before, again])]))
    }

    fn parameters(&mut self, count: &str) -> Vec<String> {
        let mut parameters = vec![count.to_owned()];
        for _ in 0..self.below(3) {
            let name = self.name();
            if !parameters.contains(&name) {
                parameters.push(name);
            }
        }
        parameters
    }

    /// Local functions that call themselves and each other. The counts keep their names to
    /// themselves, so that nothing sets them.
    fn functions(&mut self, known: &[Known], size: usize) -> Code {
        let mut targets: Vec<(String, usize)> = Vec::new();
        let mut signatures = Vec::new();
        let mut inner = known.to_vec();
        for _ in 0..1 + self.below(3) {
            self.names += 1;
            let name = format!("f{}", self.names);
            let count = format!("n{}", self.names);
            let parameters = self.parameters(&count);
            targets.push((name.clone(), parameters.len()));
            inner = Self::with(&inner, Known::Function(name.clone(), parameters.len()));
            signatures.push((name, parameters));
        }
        let mut functions = Vec::new();
        for (name, parameters) in signatures {
            // Calls of functions from within would not count down.
            let mut scope: Vec<Known> = known
                .iter()
                .filter(|known| matches!(known, Known::Int(_)))
                .cloned()
                .collect();
            for parameter in &parameters[1..] {
                scope = Self::with(&scope, Known::Int(parameter.clone()));
            }
            let body = self.counting_body(&scope, &parameters[0], &targets, size / 4);
            functions.push((name, parameters, body));
        }
        let body = match self.below(3) {
            0 => self.call(&inner, size / 4),
            1 => Code::Operation(
                "wrap+",
                vec![self.code(known, size / 4), self.call(&inner, size / 4)],
            ),
            _ => self.code(&inner, size / 2),
        };
        Code::Functions(functions, Box::new(body))
    }

    fn named_loop(&mut self, known: &[Known], size: usize) -> Code {
        self.names += 1;
        let name = format!("loop{}", self.names);
        let parameters = self.parameters(&format!("n{}", self.names));
        let mut inner: Vec<Known> = known
            .iter()
            .filter(|known| matches!(known, Known::Int(_)))
            .cloned()
            .collect();
        for parameter in &parameters[1..] {
            inner = Self::with(&inner, Known::Int(parameter.clone()));
        }
        let targets = [(name.clone(), parameters.len())];
        let body = self.counting_body(&inner, &parameters[0], &targets, size / 2);
        let bindings = parameters
            .into_iter()
            .enumerate()
            .map(|(position, parameter)| match position {
                0 => (parameter, Code::Int(self.below(5) as i64)),
                _ => (parameter, self.code(known, size / 4)),
            })
            .collect();
        Code::Loop(name, bindings, Box::new(body))
    }
}

struct NoHost;

impl Host for NoHost {
    fn effect(&mut self, _: &CodeSpace, _: Effect) -> Answer {
        Answer::error("there is no host")
    }
}

fn run(source: &str) -> String {
    let program = lang::compile("generated.jue", source)
        .unwrap_or_else(|errors| panic!("{source}\n{errors}"));
    let verified = verify(program).unwrap_or_else(|error| panic!("{source}\n{error}"));
    let mut code = CodeSpace::new([1, 2]);
    let program = code.load(verified);
    let mut fiber = Fiber::new(&code, program, Limits::default());
    match reference::run(&mut fiber, &code, &mut NoHost, 1_000_000) {
        Outcome::Done(value) => value_text(fiber.heap(&code), value, Style::Quoted),
        outcome => format!("{outcome:?}"),
    }
}

#[test]
fn generated_programs_agree_with_the_evaluator() {
    let mut compared = 0;
    for seed in 1..=6_000_u64 {
        let mut generator = Generator {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            names: 0,
        };
        let size = 10 + generator.below(70);
        let known = [Known::Int("a".to_owned()), Known::Int("b".to_owned())];
        let code = generator.code(&known, size);
        let whole = Code::Let(
            "let",
            vec![("a".into(), Code::Int(3)), ("b".into(), Code::Int(-2))],
            Box::new(code),
        );
        let mut evaluator = Evaluator {
            steps_left: 20_000,
            depth: 0,
        };
        let expected = match evaluator.int(&whole, &None) {
            Ok(value) => value.to_string(),
            Err(Stop::Raised(value)) => format!("(raised {value})"),
            Err(Stop::TooLong) => continue,
        };
        compared += 1;
        // At top level in one half, in a function in the other.
        let body = format!("(try {whole} (catch e (list 'raised e)))");
        let source = if seed % 2 == 0 {
            body
        } else {
            format!("(define (f) {body}) (f)")
        };
        assert_eq!(run(&source), expected, "seed {seed}:\n{source}");
    }
    assert!(compared > 4_000, "only {compared} programs ended in time");
}
