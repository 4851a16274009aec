//! What native code knows about its actor without asking: who it is, and which capabilities it can use.
//!
//! An answer to `has-capability?` holds as long as the host says that nothing has changed, by a number of its own
//! ([`Host::powers`](crate::host::Host::powers)), and as the actor is in the same sandbox. So answers are kept by
//! both; native code that is entered is given those that are there, as bits, and leaves at a question that has none:
//! the reference interpreter asks, and the answer is kept.

use crate::code_space::{CodeSpace, LoadedProgram};
use crate::fiber::Fiber;
use crate::host::{Host, Kept};

/// Questions of a program that have a bit.
pub(crate) const QUESTIONS_MAX: usize = 63;
/// The bit that says whether the actor's address is known.
pub(crate) const KNOWS_ACTOR: u64 = 1 << QUESTIONS_MAX;

/// Answers are kept for so many programs and states of actors at once.
const KEPT: usize = 64;

/// For what answers hold: a program's numbers of its questions, and a state of an actor's powers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Key {
    program: u32,
    powers: u64,
    /// The sandbox, 0 outside of any.
    sandbox: u64,
}

impl Key {
    /// Nothing when the host cannot say what holds.
    fn of(fiber: &Fiber, host: &dyn Host) -> Option<Key> {
        Some(Key {
            program: fiber.program,
            powers: host.powers()?,
            sandbox: fiber.kept().map_or(0, Kept::number),
        })
    }

    fn place(self) -> usize {
        let mixed = (self.powers ^ self.sandbox.rotate_left(32)).wrapping_add(self.program.into());
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize
    }
}

/// What is known when native code is entered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// Which bits of `answers` say something; with [`KNOWS_ACTOR`], `actor` does.
    pub(super) questions: u64,
    pub(super) answers: u64,
    pub(super) actor: u64,
}

/// Answers, by a hash of what they hold for.
#[derive(Debug)]
pub(super) struct Powers {
    kept: Box<[(Option<Key>, Known); KEPT]>,
}

impl Powers {
    pub(super) fn new() -> Powers {
        Powers {
            kept: Box::new([(None, Known::default()); KEPT]),
        }
    }

    /// What is known of a fiber's actor.
    pub(super) fn known(&self, fiber: &Fiber, space: &CodeSpace, host: &dyn Host) -> Known {
        let asks = !space.program(fiber.program).internal().questions.is_empty();
        let mut known = match asks {
            true => self.answers(fiber, host),
            false => Known::default(),
        };
        if let Some(actor) = host.actor() {
            known.questions |= KNOWS_ACTOR;
            known.actor = actor;
        }
        known
    }

    /// The answers that are known.
    fn answers(&self, fiber: &Fiber, host: &dyn Host) -> Known {
        let key = Key::of(fiber, host);
        let kept = key.map(|key| self.kept[key.place()]);
        match kept {
            Some((of, known)) if of == key => known,
            _ => Known::default(),
        }
    }

    fn keep(&mut self, key: Key, question: u32, answer: bool) {
        let (of, known) = &mut self.kept[key.place()];
        if *of != Some(key) {
            (*of, *known) = (Some(key), Known::default());
        }
        known.questions |= 1 << question;
        known.answers = known.answers & !(1 << question) | u64::from(answer) << question;
    }
}

/// A question that the reference interpreter is about to ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    key: Key,
    question: u32,
    /// Where the answer will be.
    slot: usize,
}

impl Asked {
    /// The question of the instruction before which a fiber stands, if it has a number.
    #[inline(always)]
    pub(crate) fn of(fiber: &Fiber, code: &CodeSpace, host: &dyn Host) -> Option<Asked> {
        let loaded = code.program(fiber.program);
        if loaded.internal().questions.is_empty() {
            return None;
        }
        Asked::in_program(fiber, loaded, host)
    }

    #[inline(never)]
    fn in_program(fiber: &Fiber, loaded: &LoadedProgram, host: &dyn Host) -> Option<Asked> {
        let (_, function, pc) = fiber.position();
        let op = &loaded.function(function).code[pc as usize];
        let pw_isa::Op::Capability(pw_isa::op::Capability::HasCapability { dst, .. }) = op else {
            return None;
        };
        Some(Asked {
            key: Key::of(fiber, host)?,
            question: loaded.internal().question_at(function, pc)?,
            slot: fiber.base + usize::from(dst.0),
        })
    }
}

impl super::Jit {
    /// Keeps the answer that the instruction has written which was the next one then.
    pub(crate) fn learn(&mut self, asked: Asked, fiber: &Fiber, host: &dyn Host) {
        let answer = fiber.stack[asked.slot];
        // A sandbox that has ended there leaves no answer.
        if Key::of(fiber, host) == Some(asked.key) && answer.kind() == pw_isa::Kind::Bool {
            self.powers
                .keep(asked.key, asked.question, answer.is_true());
        }
    }
}
