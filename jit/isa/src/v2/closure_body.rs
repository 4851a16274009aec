//! Function bodies in string constants: `closure_body:` followed by the `Debug` form of a
//! `Vec<OpCode>`, plain or pretty-printed.
//!
//! ```text
//! closure_body:[GetLocal(0), Int(1), Add, HostCall { cap_idx: 0, func_id: 9, args: 2 }, Ret]
//! ```
//!
//! The parser reads every instruction once from left to right; what it does not understand makes
//! the whole constant no function body.

use super::OpCode;

/// What such a constant begins with.
pub const PREFIX: &str = "closure_body:";

/// Operands of one instruction at most.
const OPERANDS_MAX: usize = 3;

/// The function body in a string constant; `None` when the string is not one.
pub fn parse(constant: &str) -> Option<Vec<OpCode>> {
    let mut text = Text {
        rest: constant.strip_prefix(PREFIX)?,
    };
    text.take("[")?;
    let mut code = Vec::new();
    while text.take("]").is_none() {
        code.push(instruction(&mut text)?);
        if text.take(",").is_none() {
            text.take("]")?;
            break;
        }
    }
    text.rest.trim().is_empty().then_some(code)
}

/// The string constant that holds a function body.
pub fn print(code: &[OpCode]) -> String {
    format!("{PREFIX}{code:?}")
}

fn instruction(text: &mut Text<'_>) -> Option<OpCode> {
    const FIELDS: [&str; OPERANDS_MAX] = ["cap_idx", "func_id", "args"];
    let name = text.word()?;
    let mut operands = [""; OPERANDS_MAX];
    let mut count = 0;
    let (close, named) = if text.take("(").is_some() {
        (")", false)
    } else if text.take("{").is_some() {
        ("}", true)
    } else {
        return OpCode::from_parts(name, &[]);
    };
    while text.take(close).is_none() {
        let place = operands.get_mut(count)?;
        if named {
            text.take(FIELDS[count])?;
            text.take(":")?;
        }
        *place = text.word()?;
        count += 1;
        if text.take(",").is_none() {
            text.take(close)?;
            break;
        }
    }
    // Only HostCall prints its operands with names, and it always does.
    if named != (name == "HostCall") {
        return None;
    }
    OpCode::from_parts(name, &operands[..count])
}

struct Text<'a> {
    rest: &'a str,
}

impl<'a> Text<'a> {
    fn take(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(token)?;
        Some(())
    }

    /// A name or a number.
    fn word(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '.')))
            .unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        self.rest = behind;
        (!word.is_empty()).then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_instruction() -> Vec<OpCode> {
        use OpCode::*;
        vec![
            Nil,
            Bool(true),
            Bool(false),
            Int(i64::MIN),
            Int(-1),
            Float(0.1),
            Float(-0.0),
            Float(1e300),
            Float(1e-300),
            Float(f64::INFINITY),
            Float(f64::NEG_INFINITY),
            Symbol(1),
            GetConst(2),
            LoadString(usize::MAX),
            StrLen,
            StrConcat,
            StrIndex,
            Swap,
            Dup,
            Pop,
            GetLocal(u16::MAX),
            SetLocal(0),
            Cons,
            Car,
            Cdr,
            Call(3),
            TailCall(4),
            Ret,
            Jmp(i16::MIN),
            JmpIfFalse(-7),
            Yield,
            Send,
            MakeClosure(1, 2),
            CheckStepLimit,
            Add,
            Sub,
            Mul,
            Div,
            Mod,
            FAdd,
            FSub,
            FMul,
            FDiv,
            Eq,
            Lt,
            Gt,
            Lte,
            Gte,
            Ne,
            HasCap(5),
            RequestCap(6, 7),
            GrantCap(8, 9),
            RevokeCap(u32::MAX, 10),
            HostCall {
                cap_idx: 11,
                func_id: 12,
                args: 255,
            },
            InitSandbox,
            IsolateCapabilities,
            SetErrorHandler(-5),
            LogSandboxViolation,
            CleanupSandbox,
        ]
    }

    #[test]
    fn every_instruction_survives_printing() {
        let code = every_instruction();
        assert_eq!(parse(&print(&code)), Some(code.clone()));
        assert_eq!(parse(&format!("{PREFIX}{code:#?}")), Some(code));
        assert_eq!(parse("closure_body:[]"), Some(vec![]));
        let nan = parse("closure_body:[Float(NaN)]").unwrap();
        assert!(matches!(nan[..], [OpCode::Float(value)] if value.is_nan()));
    }

    #[test]
    fn every_instruction_survives_json() {
        for op in every_instruction() {
            let text = serde_json::to_string(&op).unwrap();
            if !matches!(op, OpCode::Float(value) if value.is_infinite()) {
                assert_eq!(serde_json::from_str::<OpCode>(&text).unwrap(), op, "{text}");
            }
        }
    }

    #[test]
    fn anything_else_is_no_body() {
        for text in [
            "",
            "closure_body",
            "closure_body:",
            "closure_body:[",
            "closure_body:[Ret",
            "closure_body:[Ret Ret]",
            "closure_body:[Ret]]",
            "closure_body:[Unknown]",
            "closure_body:[Int]",
            "closure_body:[Int()]",
            "closure_body:[Int(1, 2)]",
            "closure_body:[Int(99999999999999999999)]",
            "closure_body:[Bool(1)]",
            "closure_body:[MakeClosure(1)]",
            "closure_body:[MakeClosure(1, 2, 3, 4)]",
            "closure_body:[HostCall(0, 9, 2)]",
            "closure_body:[HostCall { func_id: 9, cap_idx: 0, args: 2 }]",
            "closure_body:[HostCall { cap_idx: 0, func_id: 9, args: 256 }]",
            "closure_body:[Ret] and more",
            "xclosure_body:[Ret]",
            "closure_body:[é]",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
