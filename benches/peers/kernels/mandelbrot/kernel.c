// The Mandelbrot set: float arithmetic in nested loops. The result is the sum of all iterations.
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

static int64_t iterations(double cr, double ci, int64_t limit) {
  double zr = 0.0, zi = 0.0;
  int64_t count = 0;
  for (; count < limit; count++) {
    double rr = zr * zr, ii = zi * zi;
    if (rr + ii > 4.0) break;
    zi = 2.0 * zr * zi + ci;
    zr = rr - ii + cr;
  }
  return count;
}

static int64_t mandelbrot(int64_t size, int64_t limit) {
  int64_t total = 0;
  for (int64_t y = 0; y < size; y++) {
    double ci = 2.0 * y / size - 1.0;
    for (int64_t x = 0; x < size; x++) total += iterations(2.0 * x / size - 1.5, ci, limit);
  }
  return total;
}

int main(void) {
  printf("%" PRId64 "\n", mandelbrot(400, 150));
}
