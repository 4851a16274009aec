-- Objects as closures that are sent strings: three kinds of them behind the same calls.

local function account(balance)
  return function(what, x)
    if what == "deposit" then balance = balance + x
    elseif what == "withdraw" then balance = balance - x end
    return balance
  end
end

local function savings(balance)
  return function(what, x)
    if what == "deposit" then
      balance = balance + x + 1
      return balance
    elseif what == "withdraw" then
      if x < balance then balance = balance - x end
      return balance
    end
    return (balance - balance % 2) / 2
  end
end

local function counter()
  local calls = 0
  return function()
    calls = calls + 1
    return calls
  end
end

local all = {}
for i = 0, 98 do
  all[i] = i % 3 == 0 and account(i) or i % 3 == 1 and savings(i) or counter()
end
local sum = 0
for i = 0, 4999999 do
  local what = i % 4 == 0 and "show" or i % 2 == 0 and "withdraw" or "deposit"
  sum = (sum + all[i * 7 % 99](what, i % 1000)) % 1000000007
end
print(string.format("%d", sum))
