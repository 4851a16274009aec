-- Counting the words of a text, line by line, in a table.

local vocabulary = {
  "the", "actor", "sends", "a", "message", "to", "another", "and", "waits", "for", "its", "reply", "while",
  "world", "moves", "on", "in", "ticks", "gas", "pays", "every", "step", "memory", "is", "counted", "too",
}

local function make_lines(count, words)
  local lines, x = {}, 7
  for i = 1, count do
    local text = {}
    for k = 1, words do
      text[k] = vocabulary[x % #vocabulary + 1]
      x = (x * 3877 + 29573) % 139968
    end
    lines[i] = table.concat(text, " ")
  end
  return lines
end

local counts = {}
for _, line in ipairs(make_lines(100000, 12)) do
  for word in line:gmatch("%S+") do
    counts[word] = (counts[word] or 0) + 1
  end
end

local sum = 100 * counts["gas"]
for word, count in pairs(counts) do
  sum = sum + #word * count
end
print(sum)
