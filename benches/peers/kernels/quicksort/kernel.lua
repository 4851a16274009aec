-- Hoare's quicksort in place, on random numbers.

local function make_numbers(n)
  local numbers, x = {}, 42
  for i = 1, n do
    x = (x * 3877 + 29573) % 139968
    numbers[i] = x
  end
  return numbers
end

local function sort(v, low, high)
  if low >= high then return end
  local pivot = v[low + math.floor((high - low) / 2)]
  local i, k = low, high
  while i <= k do
    while v[i] < pivot do i = i + 1 end
    while v[k] > pivot do k = k - 1 end
    if i <= k then
      v[i], v[k] = v[k], v[i]
      i = i + 1
      k = k - 1
    end
  end
  sort(v, low, k)
  sort(v, i, high)
end

-- The place of a number counts, so that only the right order gives the right sum.
local function checksum(v)
  local sum = 0
  for i = 1, #v do
    sum = sum + (i - 1) * v[i] % 1000003
  end
  return sum
end

local numbers = make_numbers(500000)
sort(numbers, 1, #numbers)
print(checksum(numbers))
