//! The generator.

use super::code::Code;

/// What a name is where code is generated.
#[derive(Clone)]
pub(crate) enum Known {
    Int(String),
    /// A function of so many integers, the first of which counts down where it calls itself.
    Function(String, usize),
}

pub(crate) struct Generator {
    pub(crate) state: u64,
    pub(crate) names: u32,
}

impl Generator {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
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

    pub(crate) fn code(&mut self, known: &[Known], size: usize) -> Code {
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
