;; Ackermann's function: recursion some thousand calls deep.
(module
  (func $ackermann (param $m i64) (param $n i64) (result i64)
    (if (i64.eqz (local.get $m))
      (then (return (i64.add (local.get $n) (i64.const 1)))))
    (if (i64.eqz (local.get $n))
      (then (return (call $ackermann (i64.sub (local.get $m) (i64.const 1)) (i64.const 1)))))
    (call $ackermann
      (i64.sub (local.get $m) (i64.const 1))
      (call $ackermann (local.get $m) (i64.sub (local.get $n) (i64.const 1)))))

  (func (export "main") (result i64)
    (local $i i64) (local $sum i64)
    (loop $again
      (local.set $sum (i64.add (local.get $sum) (call $ackermann (i64.const 3) (i64.const 8))))
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $again (i64.lt_s (local.get $i) (i64.const 6))))
    (local.get $sum)))
