;; The Mandelbrot set: float arithmetic in nested loops. The result is the sum of all iterations.
(module
  (func $iterations (param $cr f64) (param $ci f64) (param $limit i64) (result i64)
    (local $zr f64) (local $zi f64) (local $rr f64) (local $ii f64) (local $count i64)
    (block $done
      (loop $again
        (br_if $done (i64.ge_s (local.get $count) (local.get $limit)))
        (local.set $rr (f64.mul (local.get $zr) (local.get $zr)))
        (local.set $ii (f64.mul (local.get $zi) (local.get $zi)))
        (br_if $done (f64.gt (f64.add (local.get $rr) (local.get $ii)) (f64.const 4)))
        (local.set $zi (f64.add
          (f64.mul (f64.mul (f64.const 2) (local.get $zr)) (local.get $zi))
          (local.get $ci)))
        (local.set $zr (f64.add (f64.sub (local.get $rr) (local.get $ii)) (local.get $cr)))
        (local.set $count (i64.add (local.get $count) (i64.const 1)))
        (br $again)))
    (local.get $count))

  ;; Where a row or column lies: 2 at / size - origin.
  (func $coordinate (param $at i64) (param $size i64) (param $origin f64) (result f64)
    (f64.sub
      (f64.div
        (f64.mul (f64.const 2) (f64.convert_i64_s (local.get $at)))
        (f64.convert_i64_s (local.get $size)))
      (local.get $origin)))

  (func $mandelbrot (param $size i64) (param $limit i64) (result i64)
    (local $x i64) (local $y i64) (local $ci f64) (local $total i64)
    (loop $rows
      (local.set $ci (call $coordinate (local.get $y) (local.get $size) (f64.const 1)))
      (local.set $x (i64.const 0))
      (loop $columns
        (local.set $total (i64.add (local.get $total) (call $iterations
          (call $coordinate (local.get $x) (local.get $size) (f64.const 1.5))
          (local.get $ci)
          (local.get $limit))))
        (local.set $x (i64.add (local.get $x) (i64.const 1)))
        (br_if $columns (i64.lt_s (local.get $x) (local.get $size))))
      (local.set $y (i64.add (local.get $y) (i64.const 1)))
      (br_if $rows (i64.lt_s (local.get $y) (local.get $size))))
    (local.get $total))

  (func (export "main") (result i64) (call $mandelbrot (i64.const 400) (i64.const 150))))
