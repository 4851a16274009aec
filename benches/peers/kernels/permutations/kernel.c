// All permutations of a list as lists: cells that are shared, from a block that is emptied as a whole.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CELLS 1000000

struct cell {
  intptr_t first;
  struct cell *rest;
};

static struct cell *cells;
static size_t used;

static struct cell *cons(intptr_t first, struct cell *rest) {
  if (used == CELLS) abort();
  cells[used] = (struct cell){first, rest};
  return &cells[used++];
}

static struct cell *range(intptr_t from, intptr_t to) {
  return from == to ? NULL : cons(from, range(from + 1, to));
}

static struct cell *without(intptr_t x, struct cell *items) {
  if (!items) return NULL;
  if (items->first == x) return items->rest;
  return cons(items->first, without(x, items->rest));
}

// Puts the permutations of `items`, each before `tail`, in front of `found`.
static struct cell *permute(struct cell *items, struct cell *tail, struct cell *found) {
  if (!items) return cons((intptr_t)tail, found);
  for (struct cell *at = items; at; at = at->rest)
    found = permute(without(at->first, items), cons(at->first, tail), found);
  return found;
}

static long weigh(const struct cell *permutation) {
  long place = 1, sum = 0;
  for (; permutation; permutation = permutation->rest) sum += place++ * permutation->first;
  return sum;
}

static long checksum(const struct cell *permutations) {
  long sum = 0;
  for (; permutations; permutations = permutations->rest)
    sum = (31 * sum + weigh((struct cell *)permutations->first)) % 1000003;
  return sum;
}

int main(void) {
  cells = malloc(CELLS * sizeof *cells);
  long sum = 0;
  for (int round = 0; round < 3; round++) {
    used = 0;
    sum += checksum(permute(range(round, round + 8), NULL, NULL));
  }
  printf("%ld\n", sum);
  free(cells);
}
