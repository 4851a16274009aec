-- A binary heap in an array that grows and shrinks; positions count from 0, as in the other programs.

local heap, size = {}, 0

local function swap(i, k)
  heap[i], heap[k] = heap[k], heap[i]
end

local function push(x)
  local i = size
  heap[i] = x
  size = size + 1
  while i > 0 do
    local parent = (i - 1 - (i - 1) % 2) / 2
    if heap[i] >= heap[parent] then return end
    swap(i, parent)
    i = parent
  end
end

local function least(a, b)
  if b < size and heap[b] < heap[a] then return b end
  return a
end

local function pop()
  local top = heap[0]
  size = size - 1
  local last = heap[size]
  heap[size] = nil
  if size > 0 then
    heap[0] = last
    local i = 0
    while true do
      local next = least(least(i, i + i + 1), i + i + 2)
      if next == i then break end
      swap(i, next)
      i = next
    end
  end
  return top
end

local x = 42
for _ = 1, 150000 do
  push(x)
  x = (x * 16807 + 7) % 2147483647
end
local sum = 0
for _ = 1, 150000 do sum = (sum * 31 + pop()) % 1000003 end
print(string.format("%d", sum))
