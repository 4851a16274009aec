-- All permutations of a list as lists: cells that are shared and forgotten.

local function cons(first, rest) return { first = first, rest = rest } end

local function range(from, to)
  if from == to then return nil end
  return cons(from, range(from + 1, to))
end

local function without(x, items)
  if not items then return nil end
  if items.first == x then return items.rest end
  return cons(items.first, without(x, items.rest))
end

local function fold(f, initial, list)
  local result = initial
  while list do
    result = f(result, list.first)
    list = list.rest
  end
  return result
end

-- Puts the permutations of `items`, each before `tail`, in front of `found`.
local function permute(items, tail, found)
  if not items then return cons(tail, found) end
  return fold(function(found, x)
    return permute(without(x, items), cons(x, tail), found)
  end, found, items)
end

local function weigh(permutation)
  local place, sum = 1, 0
  while permutation do
    sum = sum + place * permutation.first
    place = place + 1
    permutation = permutation.rest
  end
  return sum
end

local function checksum(permutations)
  return fold(function(sum, permutation)
    return (31 * sum + weigh(permutation)) % 1000003
  end, 0, permutations)
end

local sum = 0
for round = 0, 2 do
  sum = sum + checksum(permute(range(round, round + 8), nil, nil))
end
print(sum)
