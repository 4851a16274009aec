-- Shapes of four kinds in one array: each is a table, and what is done to it depends on its kind.

local function circle(r) return { kind = "circle", radius = r } end

local function box(kind, width, height)
  return { kind = kind, width = width, height = height }
end

local function make_shape(i)
  local size = 1.0 + i % 10
  if i % 4 == 0 then return circle(size) end
  if i % 4 == 1 then return box("square", size, size) end
  if i % 4 == 2 then return box("rectangle", size, size + 1.0) end
  return box("triangle", size, 4.0)
end

local area_of = {
  circle = function(s) return 3.0 * s.radius * s.radius end,
  square = function(s) return s.width * s.width end,
  rectangle = function(s) return s.width * s.height end,
  triangle = function(s) return s.width * s.height / 2.0 end,
}

local function area(shape) return area_of[shape.kind](shape) end

local function grow(shape)
  if shape.kind == "circle" then
    shape.radius = shape.radius + 0.5
  else
    shape.width = shape.width + 0.5
  end
end

local function total(shapes)
  local sum = 0.0
  for _, shape in ipairs(shapes) do
    sum = sum + area(shape)
  end
  return sum
end

local shapes = {}
for i = 0, 999 do
  shapes[i + 1] = make_shape(i)
end
local sum = 0.0
for _ = 1, 1500 do
  sum = sum + total(shapes)
  for _, shape in ipairs(shapes) do
    grow(shape)
  end
end
print(string.format("%d", math.floor(sum)))
