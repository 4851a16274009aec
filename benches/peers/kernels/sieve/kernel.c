// The sieve of Eratosthenes over an array of flags: how many primes are below two million.
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int64_t count_primes(int64_t n) {
  bool *composite = calloc(n, sizeof(bool));
  int64_t count = 0;
  for (int64_t i = 2; i < n; i++) {
    if (composite[i]) continue;
    count++;
    for (int64_t multiple = i * i; multiple < n; multiple += i) composite[multiple] = true;
  }
  free(composite);
  return count;
}

int main(void) {
  int64_t sum = 0;
  for (int round = 0; round < 3; round++) sum += count_primes(2000000);
  printf("%" PRId64 "\n", sum);
}
