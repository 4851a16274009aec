-- Levenshtein's distance of two texts, with the whole table: an array of rows.

local function make_text(length, seed)
  local x, letters = seed, {}
  for i = 1, length do
    local at = x % 5 + 1
    letters[i] = ("abcde"):sub(at, at)
    x = (x * 3877 + 29573) % 139968
  end
  return table.concat(letters)
end

local function make_table(rows, columns)
  local result = {}
  for i = 0, rows - 1 do
    result[i] = { [0] = i }
  end
  for k = 0, columns - 1 do
    result[0][k] = k
  end
  return result
end

local function distance(a, b)
  local min = math.min
  local rows, columns = #a, #b
  local distances = make_table(rows + 1, columns + 1)
  for i = 1, rows do
    local above, row, letter = distances[i - 1], distances[i], a:byte(i)
    for k = 1, columns do
      local cost = letter == b:byte(k) and 0 or 1
      row[k] = min(above[k] + 1, row[k - 1] + 1, above[k - 1] + cost)
    end
  end
  return distances[rows][columns]
end

local sum = 0
for i = 0, 3 do
  sum = sum + distance(make_text(1000, i), make_text(1000, i + 10))
end
print(sum)
