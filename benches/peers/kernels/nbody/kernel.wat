;; Planets around the sun: float arithmetic on records. A body is seven floats: place, velocity, mass.
(module
  (memory 1)
  ;; Places of bodies, and one behind the last.
  (global $size i32 (i32.const 56))
  (global $end i32 (i32.const 280))
  (global $solar_mass f64 (f64.const 39.47841760435743))

  (func $body (param $at i32)
    (param $x f64) (param $y f64) (param $z f64)
    (param $vx f64) (param $vy f64) (param $vz f64) (param $mass f64)
    (f64.store (local.get $at) (local.get $x))
    (f64.store offset=8 (local.get $at) (local.get $y))
    (f64.store offset=16 (local.get $at) (local.get $z))
    (f64.store offset=24 (local.get $at) (f64.mul (local.get $vx) (f64.const 365.24)))
    (f64.store offset=32 (local.get $at) (f64.mul (local.get $vy) (f64.const 365.24)))
    (f64.store offset=40 (local.get $at) (f64.mul (local.get $vz) (f64.const 365.24)))
    (f64.store offset=48 (local.get $at) (f64.mul (local.get $mass) (global.get $solar_mass))))

  ;; The sun, Jupiter, Saturn, Uranus and Neptune.
  (func $make_system
    (call $body (i32.const 0)
      (f64.const 0) (f64.const 0) (f64.const 0)
      (f64.const 0) (f64.const 0) (f64.const 0)
      (f64.const 1))
    (call $body (i32.const 56)
      (f64.const 4.84143144246472090e+00) (f64.const -1.16032004402742839e+00) (f64.const -1.03622044471123109e-01)
      (f64.const 1.66007664274403694e-03) (f64.const 7.69901118419740425e-03) (f64.const -6.90460016972063023e-05)
      (f64.const 9.54791938424326609e-04))
    (call $body (i32.const 112)
      (f64.const 8.34336671824457987e+00) (f64.const 4.12479856412430479e+00) (f64.const -4.03523417114321381e-01)
      (f64.const -2.76742510726411899e-03) (f64.const 4.99852801234917238e-03) (f64.const 2.30417297573763929e-05)
      (f64.const 2.85885980666130812e-04))
    (call $body (i32.const 168)
      (f64.const 1.28943695621391310e+01) (f64.const -1.51111514016986312e+01) (f64.const -2.23307578892655734e-01)
      (f64.const 2.96460137564761618e-03) (f64.const 2.37847173959480950e-03) (f64.const -2.96589568540237556e-05)
      (f64.const 4.36624404335156298e-05))
    (call $body (i32.const 224)
      (f64.const 1.53796971148509165e+01) (f64.const -2.59193146099879641e+01) (f64.const 1.79258772950371181e-01)
      (f64.const 2.68067772490389322e-03) (f64.const 1.62824170038242295e-03) (f64.const -9.51592254519715870e-05)
      (f64.const 5.15138902046611451e-05)))

  (func $hold_still
    (local $at i32) (local $px f64) (local $py f64) (local $pz f64) (local $mass f64)
    (loop $again
      (local.set $mass (f64.load offset=48 (local.get $at)))
      (local.set $px (f64.add (local.get $px)
        (f64.mul (f64.load offset=24 (local.get $at)) (local.get $mass))))
      (local.set $py (f64.add (local.get $py)
        (f64.mul (f64.load offset=32 (local.get $at)) (local.get $mass))))
      (local.set $pz (f64.add (local.get $pz)
        (f64.mul (f64.load offset=40 (local.get $at)) (local.get $mass))))
      (local.set $at (i32.add (local.get $at) (global.get $size)))
      (br_if $again (i32.lt_u (local.get $at) (global.get $end))))
    (f64.store (i32.const 24) (f64.div (f64.neg (local.get $px)) (global.get $solar_mass)))
    (f64.store (i32.const 32) (f64.div (f64.neg (local.get $py)) (global.get $solar_mass)))
    (f64.store (i32.const 40) (f64.div (f64.neg (local.get $pz)) (global.get $solar_mass))))

  (func $attract (param $a i32) (param $b i32) (param $dt f64)
    (local $dx f64) (local $dy f64) (local $dz f64)
    (local $square f64) (local $magnitude f64) (local $pull f64)
    (local.set $dx (f64.sub (f64.load (local.get $a)) (f64.load (local.get $b))))
    (local.set $dy (f64.sub (f64.load offset=8 (local.get $a)) (f64.load offset=8 (local.get $b))))
    (local.set $dz (f64.sub (f64.load offset=16 (local.get $a)) (f64.load offset=16 (local.get $b))))
    (local.set $square (f64.add
      (f64.add
        (f64.mul (local.get $dx) (local.get $dx))
        (f64.mul (local.get $dy) (local.get $dy)))
      (f64.mul (local.get $dz) (local.get $dz))))
    (local.set $magnitude (f64.div
      (local.get $dt)
      (f64.mul (local.get $square) (f64.sqrt (local.get $square)))))
    (local.set $pull (f64.mul (f64.load offset=48 (local.get $b)) (local.get $magnitude)))
    (f64.store offset=24 (local.get $a) (f64.sub
      (f64.load offset=24 (local.get $a))
      (f64.mul (local.get $dx) (local.get $pull))))
    (f64.store offset=32 (local.get $a) (f64.sub
      (f64.load offset=32 (local.get $a))
      (f64.mul (local.get $dy) (local.get $pull))))
    (f64.store offset=40 (local.get $a) (f64.sub
      (f64.load offset=40 (local.get $a))
      (f64.mul (local.get $dz) (local.get $pull))))
    (local.set $pull (f64.mul (f64.load offset=48 (local.get $a)) (local.get $magnitude)))
    (f64.store offset=24 (local.get $b) (f64.add
      (f64.load offset=24 (local.get $b))
      (f64.mul (local.get $dx) (local.get $pull))))
    (f64.store offset=32 (local.get $b) (f64.add
      (f64.load offset=32 (local.get $b))
      (f64.mul (local.get $dy) (local.get $pull))))
    (f64.store offset=40 (local.get $b) (f64.add
      (f64.load offset=40 (local.get $b))
      (f64.mul (local.get $dz) (local.get $pull)))))

  (func $move (param $at i32) (param $dt f64)
    (f64.store (local.get $at) (f64.add
      (f64.load (local.get $at))
      (f64.mul (local.get $dt) (f64.load offset=24 (local.get $at)))))
    (f64.store offset=8 (local.get $at) (f64.add
      (f64.load offset=8 (local.get $at))
      (f64.mul (local.get $dt) (f64.load offset=32 (local.get $at)))))
    (f64.store offset=16 (local.get $at) (f64.add
      (f64.load offset=16 (local.get $at))
      (f64.mul (local.get $dt) (f64.load offset=40 (local.get $at))))))

  (func $advance (param $dt f64)
    (local $a i32) (local $b i32)
    (loop $outer
      (local.set $b (i32.add (local.get $a) (global.get $size)))
      (block $alone
        (loop $inner
          (br_if $alone (i32.ge_u (local.get $b) (global.get $end)))
          (call $attract (local.get $a) (local.get $b) (local.get $dt))
          (local.set $b (i32.add (local.get $b) (global.get $size)))
          (br $inner)))
      (local.set $a (i32.add (local.get $a) (global.get $size)))
      (br_if $outer (i32.lt_u (local.get $a) (global.get $end))))
    (local.set $a (i32.const 0))
    (loop $each
      (call $move (local.get $a) (local.get $dt))
      (local.set $a (i32.add (local.get $a) (global.get $size)))
      (br_if $each (i32.lt_u (local.get $a) (global.get $end)))))

  (func $energy (result f64)
    (local $a i32) (local $b i32) (local $sum f64) (local $mass f64)
    (local $dx f64) (local $dy f64) (local $dz f64)
    (loop $outer
      (local.set $mass (f64.load offset=48 (local.get $a)))
      (local.set $dx (f64.load offset=24 (local.get $a)))
      (local.set $dy (f64.load offset=32 (local.get $a)))
      (local.set $dz (f64.load offset=40 (local.get $a)))
      (local.set $sum (f64.add
        (local.get $sum)
        (f64.mul
          (f64.mul (f64.const 0.5) (local.get $mass))
          (f64.add
            (f64.add
              (f64.mul (local.get $dx) (local.get $dx))
              (f64.mul (local.get $dy) (local.get $dy)))
            (f64.mul (local.get $dz) (local.get $dz))))))
      (local.set $b (i32.add (local.get $a) (global.get $size)))
      (block $alone
        (loop $inner
          (br_if $alone (i32.ge_u (local.get $b) (global.get $end)))
          (local.set $dx (f64.sub (f64.load (local.get $a)) (f64.load (local.get $b))))
          (local.set $dy (f64.sub (f64.load offset=8 (local.get $a)) (f64.load offset=8 (local.get $b))))
          (local.set $dz (f64.sub (f64.load offset=16 (local.get $a)) (f64.load offset=16 (local.get $b))))
          (local.set $sum (f64.sub (local.get $sum) (f64.div
            (f64.mul (local.get $mass) (f64.load offset=48 (local.get $b)))
            (f64.sqrt (f64.add
              (f64.add
                (f64.mul (local.get $dx) (local.get $dx))
                (f64.mul (local.get $dy) (local.get $dy)))
              (f64.mul (local.get $dz) (local.get $dz)))))))
          (local.set $b (i32.add (local.get $b) (global.get $size)))
          (br $inner)))
      (local.set $a (i32.add (local.get $a) (global.get $size)))
      (br_if $outer (i32.lt_u (local.get $a) (global.get $end))))
    (local.get $sum))

  (func (export "main") (result i64)
    (local $step i32)
    (call $make_system)
    (call $hold_still)
    (loop $again
      (call $advance (f64.const 0.01))
      (local.set $step (i32.add (local.get $step) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $step) (i32.const 150000))))
    (i64.trunc_f64_s (f64.floor (f64.mul (call $energy) (f64.const 1e12))))))
