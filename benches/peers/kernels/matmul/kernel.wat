;; The product of two matrices of floats, one after the other in memory, then the product.
(module
  (memory 22)
  (global $n i32 (i32.const 240))
  (global $b i32 (i32.const 460800))
  (global $product i32 (i32.const 921600))

  (func $at (param $matrix i32) (param $i i32) (param $k i32) (result i32)
    (i32.add
      (local.get $matrix)
      (i32.shl
        (i32.add (i32.mul (local.get $i) (global.get $n)) (local.get $k))
        (i32.const 3))))

  (func $fill
    (local $i i32) (local $k i32)
    (loop $rows
      (local.set $k (i32.const 0))
      (loop $columns
        (f64.store (call $at (i32.const 0) (local.get $i) (local.get $k))
          (f64.convert_i32_s (i32.rem_s
            (i32.add (i32.mul (i32.const 3) (local.get $i)) (i32.mul (i32.const 7) (local.get $k)))
            (i32.const 11))))
        (f64.store (call $at (global.get $b) (local.get $i) (local.get $k))
          (f64.convert_i32_s (i32.sub
            (i32.rem_s
              (i32.add (i32.mul (i32.const 5) (local.get $i)) (i32.mul (i32.const 2) (local.get $k)))
              (i32.const 13))
            (i32.const 6))))
        (local.set $k (i32.add (local.get $k) (i32.const 1)))
        (br_if $columns (i32.lt_u (local.get $k) (global.get $n))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $rows (i32.lt_u (local.get $i) (global.get $n)))))

  (func $dot (param $i i32) (param $k i32) (result f64)
    (local $left i32) (local $right i32) (local $end i32) (local $step i32) (local $sum f64)
    (local.set $left (call $at (i32.const 0) (local.get $i) (i32.const 0)))
    (local.set $right (call $at (global.get $b) (i32.const 0) (local.get $k)))
    (local.set $step (i32.shl (global.get $n) (i32.const 3)))
    (local.set $end (i32.add (local.get $left) (local.get $step)))
    (loop $again
      (local.set $sum (f64.add (local.get $sum)
        (f64.mul (f64.load (local.get $left)) (f64.load (local.get $right)))))
      (local.set $right (i32.add (local.get $right) (local.get $step)))
      (local.set $left (i32.add (local.get $left) (i32.const 8)))
      (br_if $again (i32.lt_u (local.get $left) (local.get $end))))
    (local.get $sum))

  (func (export "main") (result i64)
    (local $i i32) (local $k i32) (local $trace f64)
    (call $fill)
    (loop $rows
      (local.set $k (i32.const 0))
      (loop $columns
        (f64.store
          (call $at (global.get $product) (local.get $i) (local.get $k))
          (call $dot (local.get $i) (local.get $k)))
        (local.set $k (i32.add (local.get $k) (i32.const 1)))
        (br_if $columns (i32.lt_u (local.get $k) (global.get $n))))
      (local.set $trace (f64.add (local.get $trace)
        (f64.load (call $at (global.get $product) (local.get $i) (local.get $i)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $rows (i32.lt_u (local.get $i) (global.get $n))))
    (i64.trunc_f64_s (local.get $trace))))
