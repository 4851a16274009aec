// The number below the limit whose way to 1 is longest: integer arithmetic in a loop of unknown length.
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

static int64_t steps(int64_t n) {
  int64_t count = 0;
  for (; n != 1; count++) n = n % 2 == 0 ? n / 2 : 3 * n + 1;
  return count;
}

int main(void) {
  int64_t best = 1, most = 0;
  for (int64_t n = 1; n < 250000; n++) {
    int64_t count = steps(n);
    if (count > most) {
      best = n;
      most = count;
    }
  }
  printf("%" PRId64 "\n", 1000 * best + most);
}
