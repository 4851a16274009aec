;; Flipping pancakes: permutations in place. Checksum and most flips, for nine. A vector has numbers of 64
;; bits; the permutation, its counts and a copy to flip lie at 0, 128 and 256.
(module
  (memory 1)
  (global $n i32 (i32.const 9))
  (global $counts i32 (i32.const 128))
  (global $work i32 (i32.const 256))

  (func $at (param $vector i32) (param $i i32) (result i32)
    (i32.add (local.get $vector) (i32.shl (local.get $i) (i32.const 3))))

  (func $flip (param $i i32) (param $k i32)
    (local $kept i64)
    (block $done
      (loop $again
        (br_if $done (i32.ge_u (local.get $i) (local.get $k)))
        (local.set $kept (i64.load (local.get $i)))
        (i64.store (local.get $i) (i64.load (local.get $k)))
        (i64.store (local.get $k) (local.get $kept))
        (local.set $i (i32.add (local.get $i) (i32.const 8)))
        (local.set $k (i32.sub (local.get $k) (i32.const 8)))
        (br $again))))

  (func $count_flips (result i64)
    (local $first i64) (local $flips i64)
    (block $done
      (loop $again
        (local.set $first (i64.load (global.get $work)))
        (br_if $done (i64.eqz (local.get $first)))
        (call $flip
          (global.get $work)
          (call $at (global.get $work) (i32.wrap_i64 (local.get $first))))
        (local.set $flips (i64.add (local.get $flips) (i64.const 1)))
        (br $again)))
    (local.get $flips))

  ;; Moves the first place to place r.
  (func $rotate (param $r i32)
    (local $first i64) (local $i i32) (local $end i32)
    (local.set $first (i64.load (i32.const 0)))
    (local.set $end (call $at (i32.const 0) (local.get $r)))
    (loop $again
      (i64.store (local.get $i) (i64.load (i32.add (local.get $i) (i32.const 8))))
      (local.set $i (i32.add (local.get $i) (i32.const 8)))
      (br_if $again (i32.lt_u (local.get $i) (local.get $end))))
    (i64.store (local.get $end) (local.get $first)))

  ;; Whether there was a next permutation.
  (func $next (result i32)
    (local $r i32) (local $place i32) (local $left i64)
    (local.set $r (i32.const 1))
    (loop $again
      (call $rotate (local.get $r))
      (local.set $place (call $at (global.get $counts) (local.get $r)))
      (local.set $left (i64.sub (i64.load (local.get $place)) (i64.const 1)))
      (i64.store (local.get $place) (local.get $left))
      (if (i64.gt_s (local.get $left) (i64.const 0)) (then (return (i32.const 1))))
      (local.set $r (i32.add (local.get $r) (i32.const 1)))
      (i64.store (local.get $place) (i64.extend_i32_u (local.get $r)))
      (br_if $again (i32.lt_u (local.get $r) (global.get $n))))
    (i32.const 0))

  (func (export "main") (result i64)
    (local $i i32) (local $sign i64) (local $checksum i64) (local $most i64) (local $flips i64)
    (loop $fill
      (i64.store (call $at (i32.const 0) (local.get $i)) (i64.extend_i32_u (local.get $i)))
      (i64.store
        (call $at (global.get $counts) (local.get $i))
        (i64.extend_i32_u (i32.add (local.get $i) (i32.const 1))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $fill (i32.lt_u (local.get $i) (global.get $n))))
    (local.set $sign (i64.const 1))
    (loop $again
      (memory.copy (global.get $work) (i32.const 0) (i32.shl (global.get $n) (i32.const 3)))
      (local.set $flips (call $count_flips))
      (local.set $checksum (i64.add
        (local.get $checksum)
        (i64.mul (local.get $sign) (local.get $flips))))
      (if (i64.gt_s (local.get $flips) (local.get $most))
        (then (local.set $most (local.get $flips))))
      (local.set $sign (i64.sub (i64.const 0) (local.get $sign)))
      (br_if $again (call $next)))
    (i64.add (i64.mul (i64.const 1000) (local.get $checksum)) (local.get $most))))
