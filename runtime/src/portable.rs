//! State as bytes and back: one trait for images, journals and state hashes.
//!
//! What is equal has equal bytes, in every process. Reading trusts nothing: bytes that nothing wrote are refused, in time
//! and memory that are proportional to their number. What single values cannot show (that they fit to each other)
//! is for the reader of the whole to check.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use pw_isa::ErrorKind;
use pw_isa::wire::{Decoded, Reader, Writer};
use pw_jit::failure::{Failure, Place};
use pw_jit::fiber::parcel::Parcel;
use pw_jit::fiber::start::Start;
use pw_jit::fiber::upgrade::{NotMapped, Upgrade};
use pw_jit::host::CapabilityName;
use pw_jit::{CodeSpace, Fiber, Limits};

use crate::actor::ActorId;
use crate::capability::Holdings;

/// Where state is written.
#[derive(Debug)]
pub(crate) struct Out<'a> {
    /// The programs that it refers to.
    pub(crate) code: &'a CodeSpace,
    pub(crate) to: &'a mut Writer,
}

/// Where state is read.
#[derive(Debug)]
pub(crate) struct In<'a> {
    /// The programs that it refers to.
    pub(crate) code: &'a CodeSpace,
    pub(crate) from: Reader<'a>,
    /// What was of its old program is read as of its new one.
    pub(crate) upgrade: Option<&'a Upgrade>,
    pub(crate) shared: &'a mut Shared,
}

/// What is the same for all that is read.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// The most that the stack of a fiber may take.
    pub(crate) stack_bytes_max: u64,
    /// Tenants so far.
    pub(crate) tenants: u32,
    /// How deep what is read lies within something else.
    nesting: u32,
    /// Lists of capabilities that were read, by their bytes: many actors hold the same.
    pub(crate) holdings: BTreeMap<Vec<u8>, Holdings>,
    /// The one that was read last: the next actor often holds the same.
    pub(crate) last_holdings: Option<(Vec<u8>, Holdings)>,
}

/// Levels of boxes and lists within each other beyond which bytes are refused: the stack of the thread that reads is not theirs.
const NESTING_MAX: u32 = 1_000;

impl In<'_> {
    /// Reads something within something else.
    fn within<T>(&mut self, read: impl FnOnce(&mut Self) -> Decoded<T>) -> Decoded<T> {
        if self.shared.nesting == NESTING_MAX {
            return Err(self.from.error(format!("more than {NESTING_MAX} levels")));
        }
        self.shared.nesting += 1;
        let read = read(self);
        self.shared.nesting -= 1;
        read
    }
}

impl Shared {
    /// Nothing was read yet.
    pub(crate) fn new(stack_bytes_max: u64) -> Shared {
        Shared {
            stack_bytes_max,
            tenants: 0,
            nesting: 0,
            holdings: BTreeMap::new(),
            last_holdings: None,
        }
    }
}

/// What can be written and read.
pub(crate) trait Portable: Sized {
    /// Writes it.
    fn put(&self, out: &mut Out<'_>);

    /// Reads it.
    fn get(input: &mut In<'_>) -> Decoded<Self>;
}

/// The bytes of something.
pub(crate) fn bytes_of(code: &CodeSpace, of: &impl Portable) -> Vec<u8> {
    written(code, |out| of.put(out))
}

/// The bytes of what is written.
pub(crate) fn written(code: &CodeSpace, put: impl FnOnce(&mut Out<'_>)) -> Vec<u8> {
    let mut to = Writer::default();
    put(&mut Out { code, to: &mut to });
    to.bytes
}

/// Reads something from bytes that hold nothing else.
pub(crate) fn read_with<T>(
    code: &CodeSpace,
    bytes: &[u8],
    shared: &mut Shared,
    read: impl FnOnce(&mut In<'_>) -> Decoded<T>,
) -> Decoded<T> {
    let input = In {
        code,
        from: Reader::new(bytes),
        upgrade: None,
        shared,
    };
    read_all(input, read)
}

/// Reads something like [`read_with`], with what was of an old program as of a new one.
pub(crate) fn read_upgraded<T>(
    code: &CodeSpace,
    bytes: &[u8],
    shared: &mut Shared,
    upgrade: &Upgrade,
    read: impl FnOnce(&mut In<'_>) -> Decoded<T>,
) -> Decoded<T> {
    let input = In {
        code,
        from: Reader::new(bytes),
        upgrade: Some(upgrade),
        shared,
    };
    read_all(input, read)
}

fn read_all<'a, T>(mut input: In<'a>, read: impl FnOnce(&mut In<'a>) -> Decoded<T>) -> Decoded<T> {
    let read = read(&mut input)?;
    input.from.finish()?;
    Ok(read)
}

impl In<'_> {
    /// What was read, or, where there is an upgrade, what becomes of it.
    fn upgraded<T>(
        &self,
        read: T,
        change: impl FnOnce(&T, &Upgrade) -> Result<T, NotMapped>,
    ) -> Decoded<T> {
        match self.upgrade {
            None => Ok(read),
            Some(upgrade) => {
                change(&read, upgrade).map_err(|refused| self.from.error(refused.to_string()))
            }
        }
    }
}

/// Implements [`Portable`] for a structure, a number with a name, or an enumeration: all fields in the order given here; none can
/// be left out without the compiler saying so. The number of a variant is its first byte.
macro_rules! portable {
    (struct $name:ty { $($field:ident),* $(,)? }) => {
        impl $crate::portable::Portable for $name {
            fn put(&self, out: &mut $crate::portable::Out<'_>) {
                let Self { $($field),* } = self;
                $( $crate::portable::Portable::put($field, out); )*
            }

            fn get(input: &mut $crate::portable::In<'_>) -> pw_isa::wire::Decoded<Self> {
                Ok(Self { $($field: $crate::portable::Portable::get(input)?),* })
            }
        }
    };
    (number $name:ident) => {
        impl $crate::portable::Portable for $name {
            fn put(&self, out: &mut $crate::portable::Out<'_>) {
                $crate::portable::Portable::put(&self.0, out);
            }

            fn get(input: &mut $crate::portable::In<'_>) -> pw_isa::wire::Decoded<Self> {
                $crate::portable::Portable::get(input).map($name)
            }
        }
    };
    (enum $name:ty {
        $($number:literal => $variant:ident
            $( ( $($place:ident),* ) )?
            $( { $($field:ident),* } )? ),* $(,)?
    }) => {
        impl $crate::portable::Portable for $name {
            fn put(&self, out: &mut $crate::portable::Out<'_>) {
                match self {
                    $( Self::$variant $( ( $($place),* ) )? $( { $($field),* } )? => {
                        out.to.u8($number);
                        $( $( $crate::portable::Portable::put($place, out); )* )?
                        $( $( $crate::portable::Portable::put($field, out); )* )?
                    } )*
                }
            }

            fn get(input: &mut $crate::portable::In<'_>) -> pw_isa::wire::Decoded<Self> {
                match input.from.u8()? {
                    $( $number => {
                        $( $( let $place = $crate::portable::Portable::get(input)?; )* )?
                        $( $( let $field = $crate::portable::Portable::get(input)?; )* )?
                        Ok(Self::$variant $( ( $($place),* ) )? $( { $($field),* } )?)
                    } )*
                    other => Err(input.from.error(format!(
                        "no {} has the number {other}",
                        stringify!($name)
                    ))),
                }
            }
        }
    };
}
pub(crate) use portable;

/// The numbers that are written as varints.
macro_rules! portable_numbers {
    ($($number:ty),*) => { $(
        impl Portable for $number {
            fn put(&self, out: &mut Out<'_>) {
                out.to.varint(*self as u64);
            }

            fn get(input: &mut In<'_>) -> Decoded<$number> {
                let number = input.from.varint()?;
                <$number>::try_from(number).map_err(|_| input.from.error(format!(
                    "{number} is no {}",
                    stringify!($number)
                )))
            }
        }
    )* };
}

portable_numbers!(u8, u16, u32, u64, usize);

impl Portable for i64 {
    fn put(&self, out: &mut Out<'_>) {
        out.to.signed(*self);
    }

    fn get(input: &mut In<'_>) -> Decoded<i64> {
        input.from.signed()
    }
}

impl Portable for f64 {
    fn put(&self, out: &mut Out<'_>) {
        out.to.u64(self.to_bits());
    }

    fn get(input: &mut In<'_>) -> Decoded<f64> {
        Ok(f64::from_bits(input.from.u64()?))
    }
}

impl Portable for bool {
    fn put(&self, out: &mut Out<'_>) {
        out.to.u8(u8::from(*self));
    }

    fn get(input: &mut In<'_>) -> Decoded<bool> {
        input.from.flag()
    }
}

impl Portable for String {
    fn put(&self, out: &mut Out<'_>) {
        out.to.text(self);
    }

    fn get(input: &mut In<'_>) -> Decoded<String> {
        Ok(input.from.text()?.to_owned())
    }
}

impl Portable for [u8; 32] {
    fn put(&self, out: &mut Out<'_>) {
        out.to.bytes.extend_from_slice(self);
    }

    fn get(input: &mut In<'_>) -> Decoded<[u8; 32]> {
        input.from.hash()
    }
}

impl<T: Portable> Portable for Option<T> {
    fn put(&self, out: &mut Out<'_>) {
        self.is_some().put(out);
        if let Some(some) = self {
            some.put(out);
        }
    }

    fn get(input: &mut In<'_>) -> Decoded<Option<T>> {
        bool::get(input)?.then(|| T::get(input)).transpose()
    }
}

impl<T: Portable> Portable for Box<T> {
    fn put(&self, out: &mut Out<'_>) {
        (**self).put(out);
    }

    fn get(input: &mut In<'_>) -> Decoded<Box<T>> {
        input.within(T::get).map(Box::new)
    }
}

impl<T: Portable, E: Portable> Portable for Result<T, E> {
    fn put(&self, out: &mut Out<'_>) {
        self.is_err().put(out);
        match self {
            Ok(done) => done.put(out),
            Err(error) => error.put(out),
        }
    }

    fn get(input: &mut In<'_>) -> Decoded<Result<T, E>> {
        Ok(if bool::get(input)? {
            Err(E::get(input)?)
        } else {
            Ok(T::get(input)?)
        })
    }
}

impl<A: Portable, B: Portable> Portable for (A, B) {
    fn put(&self, out: &mut Out<'_>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn get(input: &mut In<'_>) -> Decoded<(A, B)> {
        Ok((A::get(input)?, B::get(input)?))
    }
}

impl<A: Portable, B: Portable, C: Portable> Portable for (A, B, C) {
    fn put(&self, out: &mut Out<'_>) {
        self.0.put(out);
        self.1.put(out);
        self.2.put(out);
    }

    fn get(input: &mut In<'_>) -> Decoded<(A, B, C)> {
        Ok((A::get(input)?, B::get(input)?, C::get(input)?))
    }
}

/// Writes how many there are, then each.
fn put_all<'a, T: Portable + 'a>(parts: impl ExactSizeIterator<Item = &'a T>, out: &mut Out<'_>) {
    out.to.varint(parts.len() as u64);
    parts.for_each(|part| part.put(out));
}

/// Reads what [`put_all`] wrote. Each part takes a byte at least, so their number is bounded by the input.
fn get_all<T: Portable, C: FromIterator<T>>(input: &mut In<'_>) -> Decoded<C> {
    let count = input.from.count(1)?;
    input.within(|input| (0..count).map(|_| T::get(input)).collect())
}

impl<T: Portable> Portable for Vec<T> {
    fn put(&self, out: &mut Out<'_>) {
        put_all(self.iter(), out);
    }

    fn get(input: &mut In<'_>) -> Decoded<Vec<T>> {
        get_all(input)
    }
}

impl<T: Portable> Portable for VecDeque<T> {
    fn put(&self, out: &mut Out<'_>) {
        put_all(self.iter(), out);
    }

    fn get(input: &mut In<'_>) -> Decoded<VecDeque<T>> {
        get_all(input)
    }
}

impl<T: Portable + Ord> Portable for BTreeSet<T> {
    fn put(&self, out: &mut Out<'_>) {
        put_all(self.iter(), out);
    }

    fn get(input: &mut In<'_>) -> Decoded<BTreeSet<T>> {
        get_all(input)
    }
}

impl<K: Portable + Ord, V: Portable> Portable for BTreeMap<K, V> {
    fn put(&self, out: &mut Out<'_>) {
        out.to.varint(self.len() as u64);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn get(input: &mut In<'_>) -> Decoded<BTreeMap<K, V>> {
        get_all::<(K, V), _>(input)
    }
}

impl<T: Portable> Portable for Arc<Vec<T>> {
    fn put(&self, out: &mut Out<'_>) {
        (**self).put(out);
    }

    fn get(input: &mut In<'_>) -> Decoded<Arc<Vec<T>>> {
        Vec::get(input).map(Arc::new)
    }
}

impl Portable for Parcel {
    fn put(&self, out: &mut Out<'_>) {
        self.write(out.code, out.to);
    }

    fn get(input: &mut In<'_>) -> Decoded<Parcel> {
        let parcel = Parcel::read(input.code, &mut input.from)?;
        input.upgraded(parcel, |parcel, upgrade| {
            parcel.upgraded(input.code, upgrade)
        })
    }
}

impl Portable for CapabilityName {
    fn put(&self, out: &mut Out<'_>) {
        self.write(out.code, out.to);
    }

    fn get(input: &mut In<'_>) -> Decoded<CapabilityName> {
        CapabilityName::read(input.code, &mut input.from)
    }
}

impl Portable for Start {
    fn put(&self, out: &mut Out<'_>) {
        self.write(out.code, out.to);
    }

    fn get(input: &mut In<'_>) -> Decoded<Start> {
        let start = Start::read(input.code, &mut input.from)?;
        input.upgraded(start, |start, upgrade| start.upgraded(input.code, upgrade))
    }
}

impl Portable for Fiber {
    fn put(&self, out: &mut Out<'_>) {
        self.write(out.code, out.to);
    }

    fn get(input: &mut In<'_>) -> Decoded<Fiber> {
        let stack_bytes_max = input.shared.stack_bytes_max;
        let fiber = Fiber::read(input.code, &mut input.from, stack_bytes_max)?;
        input.upgraded(fiber, |fiber, upgrade| {
            fiber.upgraded(input.code, upgrade, stack_bytes_max)
        })
    }
}

impl Portable for ErrorKind {
    fn put(&self, out: &mut Out<'_>) {
        out.to.u8(*self as u8);
    }

    fn get(input: &mut In<'_>) -> Decoded<ErrorKind> {
        let number = input.from.u8()?;
        let kind = ErrorKind::from_tag(number);
        kind.ok_or_else(|| {
            input
                .from
                .error(format!("no kind of error has the number {number}"))
        })
    }
}

portable!(number ActorId);
portable!(struct Limits { gas, memory_bytes, depth, stack_bytes, collections_cost_gas });
portable!(struct Place { function, pc, file, line });
portable!(struct Failure {
    kind, message, value, place, gas, instruction, operands, backtrace, backtrace_omitted
});
