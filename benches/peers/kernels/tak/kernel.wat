;; Takeuchi's function: calls whose arguments are calls.
(module
  (func $tak (param $x i64) (param $y i64) (param $z i64) (result i64)
    (if (result i64) (i64.ge_s (local.get $y) (local.get $x))
      (then (local.get $z))
      (else (call $tak
        (call $tak (i64.sub (local.get $x) (i64.const 1)) (local.get $y) (local.get $z))
        (call $tak (i64.sub (local.get $y) (i64.const 1)) (local.get $z) (local.get $x))
        (call $tak (i64.sub (local.get $z) (i64.const 1)) (local.get $x) (local.get $y))))))

  (func (export "main") (result i64)
    (local $i i64) (local $sum i64)
    (loop $again
      (local.set $sum (i64.add (local.get $sum) (call $tak
        (i64.add (i64.const 20) (local.get $i))
        (i64.add (i64.const 12) (local.get $i))
        (i64.add (i64.const 4) (local.get $i)))))
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $again (i64.lt_s (local.get $i) (i64.const 8))))
    (local.get $sum)))
