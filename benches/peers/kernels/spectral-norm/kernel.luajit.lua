-- The spectral norm of an infinite matrix, cut to n rows: products of arrays of floats.

local function element(i, k)
  return 1.0 / ((i + k) * (i + k + 1) / 2 + i + 1)
end

local function transposed(i, k) return element(k, i) end

local function multiply(v, product, element)
  local n = #v
  for i = 1, n do
    local sum = 0.0
    for k = 1, n do
      sum = sum + element(i - 1, k - 1) * v[k]
    end
    product[i] = sum
  end
end

local function dot(a, b)
  local sum = 0.0
  for i = 1, #a do
    sum = sum + a[i] * b[i]
  end
  return sum
end

local n = 300
local u, v, half = {}, {}, {}
for i = 1, n do
  u[i] = 1.0
end
for _ = 1, 10 do
  multiply(u, half, element)
  multiply(half, v, transposed)
  multiply(v, half, element)
  multiply(half, u, transposed)
end
print(string.format("%d", math.floor(1e12 * math.sqrt(dot(u, v) / dot(v, v)))))
