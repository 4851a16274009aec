-- One loop over arrays of integers, then of floats, then of both: what was learnt first is wrong later.

local function sum(v)
  local total = 0
  for i = 1, #v do total = total + v[i] end
  return total
end

local ints, floats, both = {}, {}, {}
for i = 1, 1000 do
  ints[i], floats[i], both[i] = 1, 0.5, (i - 1) % 2 == 0 and i - 1 or 0.25
end
local total = 0
for round = 0, 59999 do
  total = total + sum(round < 20000 and ints or round < 40000 and floats or both)
end
print(string.format("%d", total))
