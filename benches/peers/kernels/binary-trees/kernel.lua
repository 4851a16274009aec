-- Trees of tables, made and forgotten: allocation and collection, with one tree that lives on.

local function make_tree(depth)
  if depth == 0 then return {} end
  return { make_tree(depth - 1), make_tree(depth - 1) }
end

local function count_nodes(tree)
  if not tree[1] then return 1 end
  return 1 + count_nodes(tree[1]) + count_nodes(tree[2])
end

local most = 16
local long_lived = make_tree(most)
local sum = 0
for depth = 4, most do
  for _ = 1, 2 ^ (most - depth) do
    sum = sum + count_nodes(make_tree(depth))
  end
end
print(sum + count_nodes(long_lived))
