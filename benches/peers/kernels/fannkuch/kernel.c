// Flipping pancakes: permutations in place. Checksum and most flips, for nine.
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define N 9

static void flip(long *v, long last) {
  for (long i = 0, k = last; i < k; i++, k--) {
    long kept = v[i];
    v[i] = v[k];
    v[k] = kept;
  }
}

static long count_flips(long *v) {
  long flips = 0;
  for (; v[0] != 0; flips++) flip(v, v[0]);
  return flips;
}

// Moves the first place to place r.
static void rotate(long *v, long r) {
  long first = v[0];
  memmove(v, v + 1, r * sizeof *v);
  v[r] = first;
}

// Whether there was a next permutation.
static bool next(long *perm, long *counts) {
  for (long r = 1; r < N; r++) {
    rotate(perm, r);
    if (--counts[r] > 0) return true;
    counts[r] = r + 1;
  }
  return false;
}

int main(void) {
  long perm[N], counts[N], work[N], sign = 1, checksum = 0, most = 0;
  for (long i = 0; i < N; i++) {
    perm[i] = i;
    counts[i] = i + 1;
  }
  do {
    memcpy(work, perm, sizeof perm);
    long flips = count_flips(work);
    checksum += sign * flips;
    if (flips > most) most = flips;
    sign = -sign;
  } while (next(perm, counts));
  printf("%ld\n", 1000 * checksum + most);
}
