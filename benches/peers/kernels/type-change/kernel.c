// One loop over tagged numbers: integers, then floats, then both.
#include <stdint.h>
#include <stdio.h>

typedef struct {
  int is_float;
  union {
    int64_t i;
    double f;
  };
} Number;

static Number add(Number a, Number b) {
  if (!a.is_float && !b.is_float) return (Number){.is_float = 0, .i = a.i + b.i};
  double x = a.is_float ? a.f : (double)a.i, y = b.is_float ? b.f : (double)b.i;
  return (Number){.is_float = 1, .f = x + y};
}

static Number sum(const Number *v, int n) {
  Number total = {.is_float = 0, .i = 0};
  for (int i = 0; i < n; i++) total = add(total, v[i]);
  return total;
}

int main(void) {
  static Number ints[1000], floats[1000], both[1000];
  for (int i = 0; i < 1000; i++) {
    ints[i] = (Number){.is_float = 0, .i = 1};
    floats[i] = (Number){.is_float = 1, .f = 0.5};
    both[i] = i % 2 == 0 ? (Number){.is_float = 0, .i = i} : (Number){.is_float = 1, .f = 0.25};
  }
  Number total = {.is_float = 0, .i = 0};
  for (int round = 0; round < 60000; round++)
    total = add(total, sum(round < 20000 ? ints : round < 40000 ? floats : both, 1000));
  printf("%lld\n", (long long)(total.is_float ? (int64_t)total.f : total.i));
}
