//! What calls of pure functions have returned and cost, as far as it is kept.

use lru::LruCache;
use pw_isa::cost;

use crate::fiber::Limits;
use crate::fiber::arena::Counters;
use crate::value::{CONSTANT, Value, canonical_bits};
use pw_isa::Kind;

/// The most arguments of a call whose result is kept.
pub const ARGUMENTS_MAX: usize = 4;

/// A call of a pure function: which one, and with which values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ExecutionPattern {
    program: u32,
    function: u32,
    count: u8,
    arguments: [(u64, u64); ARGUMENTS_MAX],
}

impl ExecutionPattern {
    /// The pattern of a call; `None` when it has more than [`ARGUMENTS_MAX`] arguments, or one that can
    /// change or has an identity.
    pub fn new(program: u32, function: u32, arguments: &[Value]) -> Option<ExecutionPattern> {
        let mut words = [(0, 0); ARGUMENTS_MAX];
        for (place, argument) in arguments.iter().enumerate() {
            let argument = plain(*argument)?;
            *words.get_mut(place)? = (argument.tag, argument.bits);
        }
        Some(ExecutionPattern {
            program,
            function,
            count: arguments.len() as u8,
            arguments: words,
        })
    }

    /// The program's number and the function's.
    pub fn function(&self) -> (u32, u32) {
        (self.program, self.function)
    }
}

/// A value that is nothing but itself: two of equal words cannot be told apart, now or later. Texts are so
/// where they are a program's constants; those in an arena count as memory and may be shared.
pub(super) fn plain(value: Value) -> Option<Value> {
    match value.kind() {
        Kind::Nil | Kind::Bool | Kind::Int | Kind::ActorId => Some(value),
        Kind::Float => Some(Value {
            bits: canonical_bits(value.bits),
            ..value
        }),
        Kind::String | Kind::Symbol if value.tag & CONSTANT != 0 => Some(value),
        _ => None,
    }
}

/// What a call returned, and all that it cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CachedResult {
    /// The value.
    pub value: Value,
    /// Gas, from the function's first instruction to its return.
    pub gas: u64,
    /// Frames within the function's own, at most: never fewer than there were.
    pub depth: u32,
    /// Logical bytes of stack from the function's frame on, at most: never fewer than there were.
    pub stack_bytes: u64,
    /// Logical bytes of objects.
    pub allocated_bytes: u64,
}

/// Where a call is made, as far as it decides whether a result can stand for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    /// Gas to the end of the slice or to the limit, whichever comes first.
    pub(crate) gas: u64,
    pub(crate) limits: Limits,
    pub(crate) counters: Counters,
    /// Frames, the function's included; at least as many as there are.
    pub(crate) depth: u32,
    /// Logical bytes of stack below the function's frame.
    pub(crate) stack_bytes: u64,
}

impl CachedResult {
    /// Whether the call would come to its end here without a stop, a collection or a limit. When in doubt
    /// it would not, and the call is run.
    pub(crate) fn fits(&self, place: &Situation) -> bool {
        let Situation {
            gas,
            limits,
            counters,
            depth,
            stack_bytes,
        } = *place;
        let stack_max = stack_bytes.saturating_add(self.stack_bytes);
        let stack_counted = if limits.stack_bytes.is_some() {
            0
        } else {
            stack_max
        };
        let allocated = counters.allocated.saturating_add(self.allocated_bytes);
        let used = counters.live.saturating_add(allocated);
        // The threshold rises with the stack, which is never lower within the call.
        let threshold = cost::collection_threshold(counters.live.saturating_add(stack_bytes));
        self.gas <= gas
            && u64::from(depth) + u64::from(self.depth) <= u64::from(limits.depth)
            && limits.stack_bytes.is_none_or(|limit| stack_max <= limit)
            && allocated <= threshold
            && used.saturating_add(stack_counted) <= limits.memory_bytes
    }
}

/// Results of calls, the least recently used going first.
#[derive(Debug)]
pub struct ExecutionCache {
    pattern_cache: LruCache<ExecutionPattern, CachedResult>,
    max_cache_size: usize,
    lookups: u64,
    hits: u64,
}

impl ExecutionCache {
    /// An empty cache of at most so many results.
    pub fn new(max_cache_size: usize) -> ExecutionCache {
        ExecutionCache {
            pattern_cache: LruCache::unbounded(),
            max_cache_size,
            lookups: 0,
            hits: 0,
        }
    }

    /// Keeps the result of a call; what was used least recently makes room.
    pub fn cache_result(&mut self, pattern: ExecutionPattern, result: CachedResult) {
        if self.max_cache_size == 0 {
            return;
        }
        self.pattern_cache.put(pattern, result);
        if self.pattern_cache.len() > self.max_cache_size {
            self.pattern_cache.pop_lru();
        }
    }

    /// The result of a call, if it is kept. Counts for the rate of hits.
    pub fn lookup_cached_result(&mut self, pattern: &ExecutionPattern) -> Option<CachedResult> {
        self.lookups += 1;
        let found = self.pattern_cache.get(pattern).copied();
        self.hits += u64::from(found.is_some());
        found
    }

    /// Whether the result of a call is kept, whatever comes of it.
    pub(super) fn holds(&self, pattern: &ExecutionPattern) -> bool {
        self.pattern_cache.contains(pattern)
    }

    /// The share of lookups that found something; 0 before the first.
    pub fn cache_hit_rate(&self) -> f32 {
        if self.lookups == 0 {
            return 0.0;
        }
        (self.hits as f64 / self.lookups as f64) as f32
    }

    /// How many results are kept at most.
    pub fn max_cache_size(&self) -> usize {
        self.max_cache_size
    }

    /// How many results are kept.
    pub fn len(&self) -> usize {
        self.pattern_cache.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.pattern_cache.is_empty()
    }

    /// Forgets all results.
    pub(super) fn clear(&mut self) {
        self.pattern_cache.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(argument: i64) -> ExecutionPattern {
        ExecutionPattern::new(0, 3, &[Value::int(argument)]).expect("an Int is plain")
    }

    fn result(value: i64) -> CachedResult {
        CachedResult {
            value: Value::int(value),
            gas: 100,
            depth: 5,
            stack_bytes: 400,
            allocated_bytes: 48,
        }
    }

    #[test]
    fn what_was_used_least_recently_goes_first_and_hits_are_counted() {
        let mut cache = ExecutionCache::new(2);
        assert_eq!(cache.cache_hit_rate(), 0.0);
        cache.cache_result(pattern(1), result(10));
        cache.cache_result(pattern(2), result(20));
        assert_eq!(cache.lookup_cached_result(&pattern(1)), Some(result(10)));
        cache.cache_result(pattern(3), result(30));
        assert_eq!((cache.len(), cache.max_cache_size()), (2, 2));
        assert_eq!(cache.lookup_cached_result(&pattern(2)), None);
        assert_eq!(cache.lookup_cached_result(&pattern(1)), Some(result(10)));
        assert_eq!(cache.lookup_cached_result(&pattern(3)), Some(result(30)));
        assert_eq!(cache.cache_hit_rate(), 0.75);
        let mut none = ExecutionCache::new(0);
        none.cache_result(pattern(1), result(10));
        assert!(none.is_empty());
    }

    #[test]
    fn only_values_without_identity_make_a_pattern() {
        let of = |value| ExecutionPattern::new(0, 0, &[value]);
        let nan = f64::from_bits(0x7ff8_0000_0000_0001);
        assert_eq!(of(Value::float(nan)), of(Value::float(f64::NAN)));
        assert_ne!(of(Value::float(0.0)), of(Value::float(-0.0)));
        assert_ne!(of(Value::int(1)), of(Value::float(1.0)));
        assert!(of(Value::constant(Kind::String, 0, 8)).is_some());
        assert!(of(Value::object(Kind::String, 8)).is_none());
        assert!(of(Value::object(Kind::Pair, 8)).is_none());
        assert!(of(Value::constant(Kind::Pair, 0, 8)).is_none());
        assert!(ExecutionPattern::new(0, 0, &[Value::NIL; ARGUMENTS_MAX + 1]).is_none());
        assert_ne!(
            ExecutionPattern::new(0, 0, &[]),
            ExecutionPattern::new(0, 0, &[Value::object(Kind::Nil, 0)])
        );
    }

    #[test]
    fn a_result_fits_up_to_each_limit_and_not_beyond() {
        let place = Situation {
            gas: 100,
            limits: Limits {
                depth: 15,
                memory_bytes: 1_000_000,
                ..Limits::default()
            },
            counters: Counters {
                live: 1_000,
                allocated: 2_000,
            },
            depth: 10,
            stack_bytes: 160,
        };
        let fits = |change: fn(&mut Situation)| {
            let mut place = place;
            change(&mut place);
            result(0).fits(&place)
        };
        assert!(fits(|_| {}));
        assert!(!fits(|place| place.gas -= 1));
        assert!(!fits(|place| place.depth += 1));
        let all = 1_000 + 2_000 + 48 + 160 + 400;
        assert!(fits(|place| place.limits.memory_bytes = 3_608));
        assert_eq!(all, 3_608);
        assert!(!fits(|place| place.limits.memory_bytes = 3_607));
        assert!(fits(|place| place.limits.stack_bytes = Some(560)));
        assert!(!fits(|place| place.limits.stack_bytes = Some(559)));
        let least = cost::COLLECTION_MIN_BYTES;
        assert_eq!(least, 262_144);
        assert!(fits(|place| place.counters.allocated = 262_144 - 48));
        assert!(!fits(|place| place.counters.allocated = 262_144 - 47));
    }
}
