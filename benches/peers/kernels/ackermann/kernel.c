// Ackermann's function: recursion some thousand calls deep.
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

static int64_t ackermann(int64_t m, int64_t n) {
  if (m == 0) return n + 1;
  if (n == 0) return ackermann(m - 1, 1);
  return ackermann(m - 1, ackermann(m, n - 1));
}

int main(void) {
  int64_t sum = 0;
  for (int i = 0; i < 6; i++) {
    volatile int64_t m = 3; // Keeps the calls from being one.
    sum += ackermann(m, 8);
  }
  printf("%" PRId64 "\n", sum);
}
