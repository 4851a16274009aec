;; The number below the limit whose way to 1 is longest: integer arithmetic in a loop of unknown length.
(module
  (func $steps (param $n i64) (result i64)
    (local $count i64)
    (block $done
      (loop $again
        (br_if $done (i64.eq (local.get $n) (i64.const 1)))
        (if (i64.eqz (i64.rem_s (local.get $n) (i64.const 2)))
          (then (local.set $n (i64.div_s (local.get $n) (i64.const 2))))
          (else (local.set $n (i64.add (i64.mul (local.get $n) (i64.const 3)) (i64.const 1)))))
        (local.set $count (i64.add (local.get $count) (i64.const 1)))
        (br $again)))
    (local.get $count))

  (func (export "main") (result i64)
    (local $n i64) (local $best i64) (local $most i64) (local $count i64)
    (local.set $n (i64.const 1))
    (local.set $best (i64.const 1))
    (loop $again
      (local.set $count (call $steps (local.get $n)))
      (if (i64.gt_s (local.get $count) (local.get $most))
        (then
          (local.set $best (local.get $n))
          (local.set $most (local.get $count))))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $again (i64.lt_s (local.get $n) (i64.const 250000))))
    (i64.add (i64.mul (i64.const 1000) (local.get $best)) (local.get $most))))
