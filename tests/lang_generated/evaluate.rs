//! The plain evaluator: walks through a program and does what it says.

use std::cell::RefCell;
use std::rc::Rc;

use super::code::Code;

#[derive(Clone)]
pub(crate) enum Value {
    Int(i64),
    Function(Rc<Closure>),
}

pub(crate) struct Closure {
    parameters: Vec<String>,
    body: Code,
    scope: RefCell<Scope>,
}

/// Names, the innermost first.
pub(crate) type Scope = Option<Rc<Entry>>;

pub(crate) struct Entry {
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

pub(crate) enum Stop {
    Raised(i64),
    TooLong,
}

pub(crate) struct Evaluator {
    pub(crate) steps_left: u32,
    pub(crate) depth: u32,
}

impl Evaluator {
    pub(crate) fn int(&mut self, code: &Code, scope: &Scope) -> Result<i64, Stop> {
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
