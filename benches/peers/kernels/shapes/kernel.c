// Shapes of four kinds in one array: what is done to one depends on its kind, by a function pointer.
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#define SHAPES 1000

struct shape {
  double (*area)(const struct shape *);
  void (*grow)(struct shape *);
  double size, height;
};

static double circle(const struct shape *s) { return 3.0 * s->size * s->size; }
static double square(const struct shape *s) { return s->size * s->size; }
static double rectangle(const struct shape *s) { return s->size * s->height; }
static double triangle(const struct shape *s) { return s->size * s->height / 2.0; }
static void grow(struct shape *s) { s->size += 0.5; }

static struct shape make_shape(int i) {
  double size = 1.0 + i % 10;
  switch (i % 4) {
  case 0: return (struct shape){circle, grow, size, 0.0};
  case 1: return (struct shape){square, grow, size, size};
  case 2: return (struct shape){rectangle, grow, size, size + 1.0};
  default: return (struct shape){triangle, grow, size, 4.0};
  }
}

int main(void) {
  static struct shape shapes[SHAPES];
  for (int i = 0; i < SHAPES; i++) shapes[i] = make_shape(i);
  double sum = 0.0;
  for (int round = 0; round < 1500; round++) {
    double total = 0.0;
    for (int i = 0; i < SHAPES; i++) total += shapes[i].area(&shapes[i]);
    for (int i = 0; i < SHAPES; i++) shapes[i].grow(&shapes[i]);
    sum += total;
  }
  printf("%" PRId64 "\n", (int64_t)sum);
}
