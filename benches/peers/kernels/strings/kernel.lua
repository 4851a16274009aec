-- Strings: lines are built by appending, split into words, compared, and put together again.

local function make_line(seed, words)
  local x, line = seed, ""
  for i = 1, words do
    line = line .. (i == 1 and "" or " ") .. "w" .. x % 1000
    x = (x * 3877 + 29573) % 139968
  end
  return line
end

local function split(text, separator)
  local parts, from = {}, 1
  while true do
    local at = text:find(separator, from, true)
    if not at then
      parts[#parts + 1] = text:sub(from)
      return parts
    end
    parts[#parts + 1] = text:sub(from, at - 1)
    from = at + 1
  end
end

-- How many words are before their right neighbour, and how many are the same as the first.
local function ordered(words)
  local count = 0
  for i = 1, #words - 1 do
    if words[i] < words[i + 1] then count = count + 1 end
  end
  return count
end

local function same(word, words)
  local count = 0
  for _, other in ipairs(words) do
    if word == other then count = count + 1 end
  end
  return count
end

local sum = 0
for line = 0, 19999 do
  local words = split(make_line(line, 50), " ")
  local joined = table.concat(words, "--")
  sum = sum + 1000 * ordered(words) + same(words[1], words) + #joined
end
print(sum)
