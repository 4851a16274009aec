;; The spectral norm of an infinite matrix, cut to n rows: products of vectors of floats. A function of
;; the matrix is called through the table, as the other languages call a value.
(module
  (type $element (func (param i64 i64) (result f64)))
  (memory 1)
  (table funcref (elem $plain $transposed))
  (global $n i32 (i32.const 300))
  (global $u i32 (i32.const 0))
  (global $v i32 (i32.const 2400))
  (global $half i32 (i32.const 4800))

  (func $plain (param $i i64) (param $k i64) (result f64)
    (local $both i64)
    (local.set $both (i64.add (local.get $i) (local.get $k)))
    (f64.div (f64.const 1) (f64.convert_i64_s
      (i64.add
        (i64.add
          (i64.div_s
            (i64.mul (local.get $both) (i64.add (local.get $both) (i64.const 1)))
            (i64.const 2))
          (local.get $i))
        (i64.const 1)))))

  (func $transposed (param $i i64) (param $k i64) (result f64)
    (call $plain (local.get $k) (local.get $i)))

  (func $multiply (param $from i32) (param $to i32) (param $which i32)
    (local $i i32) (local $k i32) (local $sum f64)
    (loop $rows
      (local.set $k (i32.const 0))
      (local.set $sum (f64.const 0))
      (loop $columns
        (local.set $sum (f64.add (local.get $sum) (f64.mul
          (call_indirect (type $element)
            (i64.extend_i32_u (local.get $i))
            (i64.extend_i32_u (local.get $k))
            (local.get $which))
          (f64.load (i32.add (local.get $from) (i32.shl (local.get $k) (i32.const 3)))))))
        (local.set $k (i32.add (local.get $k) (i32.const 1)))
        (br_if $columns (i32.lt_u (local.get $k) (global.get $n))))
      (f64.store (i32.add (local.get $to) (i32.shl (local.get $i) (i32.const 3))) (local.get $sum))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $rows (i32.lt_u (local.get $i) (global.get $n)))))

  (func $dot (param $a i32) (param $b i32) (result f64)
    (local $at i32) (local $sum f64)
    (loop $again
      (local.set $sum (f64.add (local.get $sum) (f64.mul
        (f64.load (i32.add (local.get $a) (local.get $at)))
        (f64.load (i32.add (local.get $b) (local.get $at))))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $again (i32.lt_u (local.get $at) (i32.shl (global.get $n) (i32.const 3)))))
    (local.get $sum))

  (func (export "main") (result i64)
    (local $i i32)
    (loop $fill
      (f64.store (i32.shl (local.get $i) (i32.const 3)) (f64.const 1))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $fill (i32.lt_u (local.get $i) (global.get $n))))
    (local.set $i (i32.const 0))
    (loop $again
      (call $multiply (global.get $u) (global.get $half) (i32.const 0))
      (call $multiply (global.get $half) (global.get $v) (i32.const 1))
      (call $multiply (global.get $v) (global.get $half) (i32.const 0))
      (call $multiply (global.get $half) (global.get $u) (i32.const 1))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 10))))
    (i64.trunc_f64_s (f64.mul (f64.const 1e12) (f64.sqrt (f64.div
      (call $dot (global.get $u) (global.get $v))
      (call $dot (global.get $v) (global.get $v))))))))
