-- Closures: counters that keep a variable, functions made of functions, and functions over arrays.

local function make_counter(step)
  local count = 0
  return function()
    count = count + step
    return count
  end
end

local function adder(n)
  return function(x) return x + n end
end

local function compose(f, g)
  return function(x) return f(g(x)) end
end

local function each(f, v)
  for i = 1, #v do
    v[i] = f(v[i])
  end
end

local function sum_where(keep, v)
  local sum = 0
  for i = 1, #v do
    local x = v[i]
    if keep(x) then sum = sum + x end
  end
  return sum
end

local function count_up(rounds)
  local ones, threes = make_counter(1), make_counter(3)
  local sum = 0
  for _ = 1, rounds do
    sum = sum + threes() - ones()
  end
  return sum
end

local numbers = {}
for i = 1, 1000 do
  numbers[i] = 7
end
local sum = 0
for i = 0, 1999 do
  each(compose(adder(i), function(x) return x * 17 % 1009 end), numbers)
  sum = sum + sum_where(function(x) return x < i + 500 end, numbers)
end
print(sum + count_up(1000000))
