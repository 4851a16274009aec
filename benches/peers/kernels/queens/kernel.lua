-- Queens that do not attack each other: all solutions on a board of eleven, by backtracking.

-- `columns` holds the column of the queen in each row above.
local function is_safe(columns, row, column)
  for above = 1, row - 1 do
    local distance = columns[above] - column
    if distance == 0 or distance == row - above or distance == above - row then
      return false
    end
  end
  return true
end

local function solutions(n, columns, row)
  if row > n then return 1 end
  local count = 0
  for column = 1, n do
    if is_safe(columns, row, column) then
      columns[row] = column
      count = count + solutions(n, columns, row + 1)
    end
  end
  return count
end

print(solutions(11, {}, 1))
