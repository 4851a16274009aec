// Hoare's quicksort in place, on random numbers.
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int64_t *make_numbers(int64_t n) {
  int64_t *numbers = malloc(n * sizeof(int64_t)), x = 42;
  for (int64_t i = 0; i < n; i++) numbers[i] = x = (x * 3877 + 29573) % 139968;
  return numbers;
}

static void sort(int64_t *v, int64_t low, int64_t high) {
  if (low >= high) return;
  int64_t pivot = v[(low + high) / 2], i = low, k = high;
  while (i <= k) {
    while (v[i] < pivot) i++;
    while (v[k] > pivot) k--;
    if (i <= k) {
      int64_t kept = v[i];
      v[i++] = v[k];
      v[k--] = kept;
    }
  }
  sort(v, low, k);
  sort(v, i, high);
}

int main(void) {
  const int64_t n = 500000;
  int64_t *numbers = make_numbers(n), sum = 0;
  sort(numbers, 0, n - 1);
  // The place of a number counts, so that only the right order gives the right sum.
  for (int64_t i = 0; i < n; i++) sum += i * numbers[i] % 1000003;
  printf("%" PRId64 "\n", sum);
  free(numbers);
}
