-- A tokenizer of a language like JSON: a text is read character by character, and its numbers and words
-- are cut out of it.

local record = '{"id": 1024, "name": "left pump", "open": true, "limits": [12, 480, 7], "next": null},\n'

local function is_digit(character) return character >= "0" and character <= "9" end
local function is_letter(character) return character >= "a" and character <= "z" end

-- The first place from `at` whose character is not wanted.
local function skip(text, at, is_wanted)
  while at <= #text and is_wanted(text:sub(at, at)) do
    at = at + 1
  end
  return at
end

local function string_end(text, at)
  while text:sub(at, at) ~= '"' do
    at = at + 1
  end
  return at
end

-- Numbers count as themselves, strings and words as their lengths, punctuation as one.
local function tokenize(text)
  local at, tokens, sum = 1, 0, 0
  while at <= #text do
    local character = text:sub(at, at)
    if character == " " or character == "\n" then
      at = at + 1
    else
      tokens = tokens + 1
      if character == '"' then
        local last = string_end(text, at + 1)
        sum = sum + #text:sub(at + 1, last - 1)
        at = last + 1
      elseif is_digit(character) then
        local last = skip(text, at, is_digit)
        sum = sum + tonumber(text:sub(at, last - 1))
        at = last
      elseif is_letter(character) then
        local last = skip(text, at, is_letter)
        sum = sum + #text:sub(at, last - 1)
        at = last
      else
        sum = sum + 1
        at = at + 1
      end
    end
  end
  return 1000 * sum + tokens
end

print(tokenize(record:rep(20000)))
