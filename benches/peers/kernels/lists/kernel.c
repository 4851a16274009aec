// Lists of pairs, through functions of functions; what is not needed any more is freed.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct Pair {
  int64_t head;
  struct Pair *tail;
} Pair;

static Pair *cons(int64_t head, Pair *tail) {
  Pair *pair = malloc(sizeof *pair);
  *pair = (Pair){head, tail};
  return pair;
}

static void drop(Pair *list) {
  while (list) {
    Pair *tail = list->tail;
    free(list);
    list = tail;
  }
}

static Pair *reverse(const Pair *list) {
  Pair *all = NULL;
  for (; list; list = list->tail) all = cons(list->head, all);
  return all;
}

static Pair *turned(Pair *list) {
  Pair *all = reverse(list);
  drop(list);
  return all;
}

static Pair *map(int64_t (*f)(int64_t, int64_t), int64_t with, const Pair *list) {
  Pair *all = NULL;
  for (; list; list = list->tail) all = cons(f(list->head, with), all);
  return turned(all);
}

static Pair *filter(int (*keep)(int64_t), const Pair *list) {
  Pair *all = NULL;
  for (; list; list = list->tail)
    if (keep(list->head)) all = cons(list->head, all);
  return turned(all);
}

static int64_t fold(int64_t (*f)(int64_t, int64_t), int64_t total, const Pair *list) {
  for (; list; list = list->tail) total = f(total, list->head);
  return total;
}

static int is_even(int64_t x) { return x % 2 == 0; }
static int64_t tripled_and(int64_t x, int64_t more) { return x * 3 + more; }
static int64_t plus(int64_t a, int64_t b) { return a + b; }

int main(void) {
  int64_t sum = 0;
  for (int64_t round = 0; round < 1000; round++) {
    Pair *all = NULL;
    for (int64_t i = 1999; i >= 0; i--) all = cons(i, all);
    Pair *even = filter(is_even, all), *tripled = map(tripled_and, round, even), *back = reverse(tripled);
    sum += fold(plus, 0, back);
    drop(all);
    drop(even);
    drop(tripled);
    drop(back);
  }
  printf("%lld\n", (long long)sum);
}
