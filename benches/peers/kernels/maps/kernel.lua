-- Tables with integer and with string keys: filling, looking up, counting and deleting.

local function next_random(x) return (x * 3877 + 29573) % 139968 end

local function int_keys(rounds)
  local counts, x, size = {}, 42, 0
  for _ = 1, rounds do
    local count = counts[x]
    if not count then size = size + 1 end
    counts[x] = 1 + (count or 0)
    x = next_random(x)
  end
  local found = 0
  for key = 0, 139967, 3 do
    if counts[key] then
      counts[key] = nil
      size = size - 1
      found = found + 1
    end
  end
  return 2 * found + size
end

local function make_keys(n)
  local keys = {}
  for i = 0, n - 1 do
    keys[i + 1] = "key-" .. i
  end
  return keys
end

local function string_keys(rounds)
  local keys, counts, x = make_keys(1000), {}, 42
  for _ = 1, rounds do
    local key = keys[x % 1000 + 1]
    counts[key] = 1 + (counts[key] or 0)
    x = next_random(x)
  end
  local most = 0
  for _, count in pairs(counts) do
    most = math.max(most, count)
  end
  return most
end

print(1000000 * int_keys(1000000) + string_keys(2000000))
