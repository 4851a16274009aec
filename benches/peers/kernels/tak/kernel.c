// Takeuchi's function: calls whose arguments are calls.
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

static int64_t tak(int64_t x, int64_t y, int64_t z) {
  if (y >= x) return z;
  return tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y));
}

int main(void) {
  int64_t sum = 0;
  for (int64_t i = 0; i < 8; i++) sum += tak(20 + i, 12 + i, 4 + i);
  printf("%" PRId64 "\n", sum);
}
