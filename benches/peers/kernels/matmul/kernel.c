// The product of two matrices of floats.
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#define N 240

static double a[N][N], b[N][N], product[N][N];

int main(void) {
  for (int i = 0; i < N; i++) {
    for (int k = 0; k < N; k++) {
      a[i][k] = (3 * i + 7 * k) % 11;
      b[i][k] = (5 * i + 2 * k) % 13 - 6;
    }
  }
  for (int i = 0; i < N; i++) {
    for (int k = 0; k < N; k++) {
      double sum = 0.0;
      for (int m = 0; m < N; m++) sum += a[i][m] * b[m][k];
      product[i][k] = sum;
    }
  }
  double trace = 0.0;
  for (int i = 0; i < N; i++) trace += product[i][i];
  printf("%" PRId64 "\n", (int64_t)trace);
}
