;; Hoare's quicksort in place, on random numbers of 64 bits.
(module
  (memory 62)
  (global $n i32 (i32.const 500000))

  (func $place (param $i i32) (result i32) (i32.shl (local.get $i) (i32.const 3)))

  (func $fill
    (local $i i32) (local $x i64)
    (local.set $x (i64.const 42))
    (loop $again
      (local.set $x (i64.rem_s
        (i64.add (i64.mul (local.get $x) (i64.const 3877)) (i64.const 29573))
        (i64.const 139968)))
      (i64.store (call $place (local.get $i)) (local.get $x))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_s (local.get $i) (global.get $n)))))

  (func $sort (param $low i32) (param $high i32)
    (local $i i32) (local $k i32) (local $pivot i64) (local $kept i64)
    (if (i32.ge_s (local.get $low) (local.get $high)) (then (return)))
    (local.set $pivot (i64.load (call $place
      (i32.div_s (i32.add (local.get $low) (local.get $high)) (i32.const 2)))))
    (local.set $i (local.get $low))
    (local.set $k (local.get $high))
    (block $parted
      (loop $again
        (br_if $parted (i32.gt_s (local.get $i) (local.get $k)))
        (block $up_done
          (loop $up
            (br_if $up_done (i64.ge_s
              (i64.load (i32.shl (local.get $i) (i32.const 3)))
              (local.get $pivot)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $up)))
        (block $down_done
          (loop $down
            (br_if $down_done (i64.le_s
              (i64.load (i32.shl (local.get $k) (i32.const 3)))
              (local.get $pivot)))
            (local.set $k (i32.sub (local.get $k) (i32.const 1)))
            (br $down)))
        (if (i32.le_s (local.get $i) (local.get $k))
          (then
            (local.set $kept (i64.load (call $place (local.get $i))))
            (i64.store (call $place (local.get $i)) (i64.load (call $place (local.get $k))))
            (i64.store (call $place (local.get $k)) (local.get $kept))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (local.set $k (i32.sub (local.get $k) (i32.const 1)))))
        (br $again)))
    (call $sort (local.get $low) (local.get $k))
    (call $sort (local.get $i) (local.get $high)))

  ;; The place of a number counts, so that only the right order gives the right sum.
  (func $checksum (result i64)
    (local $i i32) (local $sum i64)
    (loop $again
      (local.set $sum (i64.add (local.get $sum) (i64.rem_s
        (i64.mul (i64.extend_i32_u (local.get $i)) (i64.load (call $place (local.get $i))))
        (i64.const 1000003))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_s (local.get $i) (global.get $n))))
    (local.get $sum))

  (func (export "main") (result i64)
    (call $fill)
    (call $sort (i32.const 0) (i32.sub (global.get $n) (i32.const 1)))
    (call $checksum)))
