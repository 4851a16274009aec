// Closures, as C has them: function pointers with an environment.
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define LENGTH 1000

struct closure {
  long (*call)(struct closure *self, long x);
  long kept;
  struct closure *outer, *inner;
};

static long count_call(struct closure *self, long step) { return self->kept += step; }
static long add_call(struct closure *self, long x) { return x + self->kept; }
static long scale_call(struct closure *self, long x) { return (void)self, x * 17 % 1009; }
static long below_call(struct closure *self, long x) { return x < self->kept; }
static long compose_call(struct closure *self, long x) {
  return self->outer->call(self->outer, self->inner->call(self->inner, x));
}

static struct closure *make(struct closure closure) {
  struct closure *made = malloc(sizeof *made);
  *made = closure;
  return made;
}

static void each(struct closure *f, long *v) {
  for (int i = 0; i < LENGTH; i++) v[i] = f->call(f, v[i]);
}

static long sum_where(struct closure *keep, const long *v) {
  long sum = 0;
  for (int i = 0; i < LENGTH; i++)
    if (keep->call(keep, v[i])) sum += v[i];
  return sum;
}

static long count_up(long rounds) {
  struct closure *ones = make((struct closure){.call = count_call});
  struct closure *threes = make((struct closure){.call = count_call});
  long sum = 0;
  for (long i = 0; i < rounds; i++) sum += threes->call(threes, 3) - ones->call(ones, 1);
  free(ones);
  free(threes);
  return sum;
}

int main(void) {
  long numbers[LENGTH], sum = 0;
  for (int i = 0; i < LENGTH; i++) numbers[i] = 7;
  for (long i = 0; i < 2000; i++) {
    struct closure *adder = make((struct closure){.call = add_call, .kept = i});
    struct closure *scale = make((struct closure){.call = scale_call});
    struct closure *both = make((struct closure){compose_call, 0, adder, scale});
    struct closure *below = make((struct closure){.call = below_call, .kept = i + 500});
    each(both, numbers);
    sum += sum_where(below, numbers);
    free(adder);
    free(scale);
    free(both);
    free(below);
  }
  printf("%ld\n", sum + count_up(1000000));
}
