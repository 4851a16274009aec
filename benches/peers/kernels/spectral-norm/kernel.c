// The spectral norm of an infinite matrix, cut to n rows: products of arrays of floats.
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#define N 300

static double element(int64_t i, int64_t k) { return 1.0 / ((i + k) * (i + k + 1) / 2 + i + 1); }
static double transposed(int64_t i, int64_t k) { return element(k, i); }

static void multiply(const double *v, double *product, double (*element)(int64_t, int64_t)) {
  for (int64_t i = 0; i < N; i++) {
    double sum = 0.0;
    for (int64_t k = 0; k < N; k++) sum += element(i, k) * v[k];
    product[i] = sum;
  }
}

static double dot(const double *a, const double *b) {
  double sum = 0.0;
  for (int64_t i = 0; i < N; i++) sum += a[i] * b[i];
  return sum;
}

int main(void) {
  double u[N], v[N], half[N];
  for (int64_t i = 0; i < N; i++) u[i] = 1.0;
  for (int round = 0; round < 10; round++) {
    multiply(u, half, element);
    multiply(half, v, transposed);
    multiply(v, half, element);
    multiply(half, u, transposed);
  }
  printf("%" PRId64 "\n", (int64_t)(1e12 * sqrt(dot(u, v) / dot(v, v))));
}
