-- The number below the limit whose way to 1 is longest: integer arithmetic in a loop of unknown length.

local function steps(n)
  local count = 0
  while n ~= 1 do
    if n % 2 == 0 then
      n = n // 2
    else
      n = 3 * n + 1
    end
    count = count + 1
  end
  return count
end

local best, most = 1, 0
for n = 1, 249999 do
  local count = steps(n)
  if count > most then
    best, most = n, count
  end
end
print(1000 * best + most)
