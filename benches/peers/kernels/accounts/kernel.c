// Objects with a function: three kinds of them behind the same calls.
#include <stdint.h>
#include <stdio.h>

typedef enum { SHOW, DEPOSIT, WITHDRAW } What;
typedef struct Object {
  int64_t (*call)(struct Object *, What, int64_t);
  int64_t value;
} Object;

static int64_t account(Object *self, What what, int64_t x) {
  if (what == DEPOSIT) self->value += x;
  if (what == WITHDRAW) self->value -= x;
  return self->value;
}

static int64_t savings(Object *self, What what, int64_t x) {
  if (what == DEPOSIT) return self->value += x + 1;
  if (what != WITHDRAW) return self->value / 2;
  if (x < self->value) self->value -= x;
  return self->value;
}

static int64_t counter(Object *self, What what, int64_t x) {
  (void)what, (void)x;
  return ++self->value;
}

int main(void) {
  Object all[99];
  for (int i = 0; i < 99; i++)
    all[i] = i % 3 == 0 ? (Object){account, i} : i % 3 == 1 ? (Object){savings, i} : (Object){counter, 0};
  int64_t sum = 0;
  for (int64_t i = 0; i < 5000000; i++) {
    Object *object = &all[i * 7 % 99];
    What what = i % 4 == 0 ? SHOW : i % 2 == 0 ? WITHDRAW : DEPOSIT;
    sum += object->call(object, what, i % 1000);
    sum = (sum % 1000000007 + 1000000007) % 1000000007;
  }
  printf("%lld\n", (long long)sum);
}
