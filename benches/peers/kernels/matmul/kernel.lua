-- The product of two matrices of floats. A matrix is an array of rows.

local function make_matrix(n, element)
  local matrix = {}
  for i = 1, n do
    local row = {}
    for k = 1, n do
      row[k] = element(i - 1, k - 1)
    end
    matrix[i] = row
  end
  return matrix
end

local function multiply(a, b, n)
  local product = {}
  for i = 1, n do
    local a_row, row = a[i], {}
    for k = 1, n do
      local sum = 0.0
      for m = 1, n do
        sum = sum + a_row[m] * b[m][k]
      end
      row[k] = sum
    end
    product[i] = row
  end
  return product
end

local function trace(matrix, n)
  local sum = 0.0
  for i = 1, n do
    sum = sum + matrix[i][i]
  end
  return sum
end

local n = 240
local a = make_matrix(n, function(i, k) return (3 * i + 7 * k) % 11 + 0.0 end)
local b = make_matrix(n, function(i, k) return (5 * i + 2 * k) % 13 - 6.0 end)
print(string.format("%d", trace(multiply(a, b, n), n)))
