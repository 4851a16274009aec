-- Lists through functions of functions: new pairs all the time, most of them short-lived.

local function numbers(n)
  local all = nil
  for i = n - 1, 0, -1 do all = { head = i, tail = all } end
  return all
end

local function reverse(list)
  local all = nil
  while list do all, list = { head = list.head, tail = all }, list.tail end
  return all
end

local function map(f, list)
  local all = nil
  while list do all, list = { head = f(list.head), tail = all }, list.tail end
  return reverse(all)
end

local function filter(keep, list)
  local all = nil
  while list do
    if keep(list.head) then all = { head = list.head, tail = all } end
    list = list.tail
  end
  return reverse(all)
end

local function fold(f, total, list)
  while list do total, list = f(total, list.head), list.tail end
  return total
end

local sum = 0
for round = 0, 999 do
  local even = filter(function(x) return x % 2 == 0 end, numbers(2000))
  local tripled = map(function(x) return x * 3 + round end, even)
  sum = sum + fold(function(total, x) return total + x end, 0, reverse(tripled))
end
print(string.format("%d", sum))
