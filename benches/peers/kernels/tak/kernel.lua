-- Takeuchi's function: calls whose arguments are calls.

local function tak(x, y, z)
  if y >= x then return z end
  return tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y))
end

local sum = 0
for i = 0, 7 do
  sum = sum + tak(20 + i, 12 + i, 4 + i)
end
print(sum)
