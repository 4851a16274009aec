-- Planets around the sun: float arithmetic on records.

local sqrt = math.sqrt
local solar_mass = 4.0 * math.pi * math.pi
local days_per_year = 365.24

local function body(x, y, z, vx, vy, vz, mass)
  return {
    x = x, y = y, z = z,
    vx = vx * days_per_year, vy = vy * days_per_year, vz = vz * days_per_year,
    mass = mass * solar_mass,
  }
end

local system = {
  -- The sun, Jupiter, Saturn, Uranus and Neptune.
  body(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
  body(4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01,
       1.66007664274403694e-03, 7.69901118419740425e-03, -6.90460016972063023e-05,
       9.54791938424326609e-04),
  body(8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01,
       -2.76742510726411899e-03, 4.99852801234917238e-03, 2.30417297573763929e-05,
       2.85885980666130812e-04),
  body(1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01,
       2.96460137564761618e-03, 2.37847173959480950e-03, -2.96589568540237556e-05,
       4.36624404335156298e-05),
  body(1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01,
       2.68067772490389322e-03, 1.62824170038242295e-03, -9.51592254519715870e-05,
       5.15138902046611451e-05),
}

local function hold_still(system)
  local px, py, pz = 0.0, 0.0, 0.0
  for _, b in ipairs(system) do
    px = px + b.vx * b.mass
    py = py + b.vy * b.mass
    pz = pz + b.vz * b.mass
  end
  local sun = system[1]
  sun.vx, sun.vy, sun.vz = -px / solar_mass, -py / solar_mass, -pz / solar_mass
end

local function attract(a, b, dt)
  local dx, dy, dz = a.x - b.x, a.y - b.y, a.z - b.z
  local square = dx * dx + dy * dy + dz * dz
  local magnitude = dt / (square * sqrt(square))
  local pull_a, pull_b = b.mass * magnitude, a.mass * magnitude
  a.vx = a.vx - dx * pull_a
  a.vy = a.vy - dy * pull_a
  a.vz = a.vz - dz * pull_a
  b.vx = b.vx + dx * pull_b
  b.vy = b.vy + dy * pull_b
  b.vz = b.vz + dz * pull_b
end

local function move(b, dt)
  b.x = b.x + dt * b.vx
  b.y = b.y + dt * b.vy
  b.z = b.z + dt * b.vz
end

local function advance(system, dt)
  local count = #system
  for i = 1, count do
    local a = system[i]
    for k = i + 1, count do
      attract(a, system[k], dt)
    end
  end
  for i = 1, count do
    move(system[i], dt)
  end
end

local function energy(system)
  local sum = 0.0
  for i, a in ipairs(system) do
    sum = sum + 0.5 * a.mass * (a.vx * a.vx + a.vy * a.vy + a.vz * a.vz)
    for k = i + 1, #system do
      local b = system[k]
      local dx, dy, dz = a.x - b.x, a.y - b.y, a.z - b.z
      sum = sum - a.mass * b.mass / sqrt(dx * dx + dy * dy + dz * dz)
    end
  end
  return sum
end

hold_still(system)
for _ = 1, 150000 do
  advance(system, 0.01)
end
print(string.format("%d", math.floor(energy(system) * 1e12)))
