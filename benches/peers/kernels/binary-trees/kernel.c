// Trees of nodes, made and freed, with one tree that lives on.
#include <stdio.h>
#include <stdlib.h>

struct node {
  struct node *left, *right;
};

static struct node *make_tree(int depth) {
  struct node *tree = malloc(sizeof(struct node));
  tree->left = depth == 0 ? NULL : make_tree(depth - 1);
  tree->right = depth == 0 ? NULL : make_tree(depth - 1);
  return tree;
}

static long count_nodes(const struct node *tree) {
  return tree->left ? 1 + count_nodes(tree->left) + count_nodes(tree->right) : 1;
}

static void free_tree(struct node *tree) {
  if (tree->left) {
    free_tree(tree->left);
    free_tree(tree->right);
  }
  free(tree);
}

int main(void) {
  const int most = 16;
  struct node *long_lived = make_tree(most);
  long sum = 0;
  for (int depth = 4; depth <= most; depth++) {
    for (long i = 0; i < 1L << (most - depth); i++) {
      struct node *tree = make_tree(depth);
      sum += count_nodes(tree);
      free_tree(tree);
    }
  }
  printf("%ld\n", sum + count_nodes(long_lived));
  free_tree(long_lived);
}
