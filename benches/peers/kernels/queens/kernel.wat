;; Queens that do not attack each other: all solutions on a board of eleven, by backtracking.
(module
  ;; The column of the queen in each row above: numbers of 64 bits.
  (memory 1)
  (global $n i32 (i32.const 11))

  (func $is_safe (param $row i32) (param $column i64) (result i32)
    (local $above i32) (local $distance i64) (local $rows i64)
    (block $safe
      (loop $again
        (br_if $safe (i32.ge_u (local.get $above) (local.get $row)))
        (local.set $distance (i64.sub
          (i64.load (i32.shl (local.get $above) (i32.const 3)))
          (local.get $column)))
        (local.set $rows (i64.extend_i32_u (i32.sub (local.get $row) (local.get $above))))
        (if (i32.or
              (i64.eqz (local.get $distance))
              (i32.or
                (i64.eq (local.get $distance) (local.get $rows))
                (i64.eq (i64.sub (i64.const 0) (local.get $distance)) (local.get $rows))))
          (then (return (i32.const 0))))
        (local.set $above (i32.add (local.get $above) (i32.const 1)))
        (br $again)))
    (i32.const 1))

  (func $solutions (param $row i32) (result i64)
    (local $column i64) (local $count i64)
    (if (i32.eq (local.get $row) (global.get $n))
      (then (return (i64.const 1))))
    (loop $again
      (if (call $is_safe (local.get $row) (local.get $column))
        (then
          (i64.store (i32.shl (local.get $row) (i32.const 3)) (local.get $column))
          (local.set $count (i64.add
            (local.get $count)
            (call $solutions (i32.add (local.get $row) (i32.const 1)))))))
      (local.set $column (i64.add (local.get $column) (i64.const 1)))
      (br_if $again (i64.lt_u (local.get $column) (i64.extend_i32_u (global.get $n)))))
    (local.get $count))

  (func (export "main") (result i64) (call $solutions (i32.const 0))))
