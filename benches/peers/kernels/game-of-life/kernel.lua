-- Conway's game of life on a torus: tables of tables, read through a small function.

local n = 96

local function grid()
  local rows = {}
  for i = 0, n - 1 do
    rows[i] = {}
    for k = 0, n - 1 do rows[i][k] = 0 end
  end
  return rows
end

local function cell(rows, i, k) return rows[i % n][k % n] end

local function neighbours(rows, i, k)
  return cell(rows, i - 1, k - 1) + cell(rows, i - 1, k) + cell(rows, i - 1, k + 1)
    + cell(rows, i, k - 1) + cell(rows, i, k + 1)
    + cell(rows, i + 1, k - 1) + cell(rows, i + 1, k) + cell(rows, i + 1, k + 1)
end

local function step(from, to)
  for i = 0, n - 1 do
    for k = 0, n - 1 do
      local count = neighbours(from, i, k)
      to[i][k] = (count == 3 or (count == 2 and cell(from, i, k) == 1)) and 1 or 0
    end
  end
end

local a, b = grid(), grid()
local x = 7
for i = 0, n * n - 1 do
  a[(i - i % n) / n][i % n] = (x - x % 32) / 32 % 2
  x = (x * 16807 + 7) % 2147483647
end
for _ = 1, 50 do
  step(a, b)
  step(b, a)
end
local sum = 0
for i = 0, n * n - 1 do sum = sum + cell(a, (i - i % n) / n, i) end
print(string.format("%d", sum))
