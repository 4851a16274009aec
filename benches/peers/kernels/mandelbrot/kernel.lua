-- The Mandelbrot set: float arithmetic in nested loops. The result is the sum of all iterations.

local function iterations(cr, ci, limit)
  local zr, zi, count = 0.0, 0.0, 0
  while count < limit do
    local rr, ii = zr * zr, zi * zi
    if rr + ii > 4.0 then break end
    zr, zi = rr - ii + cr, 2.0 * zr * zi + ci
    count = count + 1
  end
  return count
end

local function mandelbrot(size, limit)
  local total = 0
  for y = 0, size - 1 do
    local ci = 2.0 * y / size - 1.0
    for x = 0, size - 1 do
      total = total + iterations(2.0 * x / size - 1.5, ci, limit)
    end
  end
  return total
end

print(mandelbrot(400, 150))
