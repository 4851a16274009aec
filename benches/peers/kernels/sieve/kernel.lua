-- The sieve of Eratosthenes over an array of flags: how many primes are below two million.

local function count_primes(n)
  local composite = {}
  for i = 1, n do
    composite[i] = false
  end
  local count = 0
  for i = 2, n - 1 do
    if not composite[i] then
      count = count + 1
      for multiple = i * i, n - 1, i do
        composite[multiple] = true
      end
    end
  end
  return count
end

local sum = 0
for _ = 1, 3 do
  sum = sum + count_primes(2000000)
end
print(sum)
