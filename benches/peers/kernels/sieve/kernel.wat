;; The sieve of Eratosthenes over bytes: how many primes are below two million.
(module
  (memory 31)

  (func $count_primes (param $n i32) (result i64)
    (local $i i32) (local $multiple i32) (local $count i64)
    (memory.fill (i32.const 0) (i32.const 0) (local.get $n))
    (local.set $i (i32.const 2))
    (loop $next
      (if (i32.eqz (i32.load8_u (local.get $i)))
        (then
          (local.set $count (i64.add (local.get $count) (i64.const 1)))
          ;; The square of a large i is beyond 32 bits, and nothing is left to mark there.
          (if (i32.lt_u (local.get $i) (i32.const 1415))
            (then
              (local.set $multiple (i32.mul (local.get $i) (local.get $i)))
              (block $marked
                (loop $mark
                  (br_if $marked (i32.ge_u (local.get $multiple) (local.get $n)))
                  (i32.store8 (local.get $multiple) (i32.const 1))
                  (local.set $multiple (i32.add (local.get $multiple) (local.get $i)))
                  (br $mark)))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $count))

  (func (export "main") (result i64)
    (local $round i32) (local $sum i64)
    (loop $again
      (local.set $sum (i64.add (local.get $sum) (call $count_primes (i32.const 2000000))))
      (local.set $round (i32.add (local.get $round) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $round) (i32.const 3))))
    (local.get $sum)))
