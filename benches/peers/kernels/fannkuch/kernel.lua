-- Flipping pancakes: permutations in place. Checksum and most flips, for nine.

local function flip(v, last)
  local i, k = 1, last
  while i < k do
    v[i], v[k] = v[k], v[i]
    i = i + 1
    k = k - 1
  end
end

local function copy(from, to)
  for i = 1, #from do
    to[i] = from[i]
  end
end

local function count_flips(v)
  local flips = 0
  while v[1] ~= 1 do
    flip(v, v[1])
    flips = flips + 1
  end
  return flips
end

-- Moves the first place to place r.
local function rotate(v, r)
  local first = v[1]
  for i = 1, r - 1 do
    v[i] = v[i + 1]
  end
  v[r] = first
end

-- Whether there was a next permutation.
local function next_permutation(perm, counts)
  for r = 2, #perm do
    rotate(perm, r)
    counts[r] = counts[r] - 1
    if counts[r] > 0 then return true end
    counts[r] = r
  end
  return false
end

local n = 9
local perm, counts, work = {}, {}, {}
for i = 1, n do
  perm[i], counts[i] = i, i
end
local sign, checksum, most = 1, 0, 0
repeat
  copy(perm, work)
  local flips = count_flips(work)
  checksum = checksum + sign * flips
  most = math.max(most, flips)
  sign = -sign
until not next_permutation(perm, counts)
print(1000 * checksum + most)
