// Conway's game of life on a torus.
#include <stdint.h>
#include <stdio.h>

enum { N = 96 };
static int64_t a[N][N], b[N][N];

static int64_t mod(int64_t x) { return (x % N + N) % N; }
static int64_t cell(int64_t rows[N][N], int64_t i, int64_t k) { return rows[mod(i)][mod(k)]; }

static void step(int64_t from[N][N], int64_t to[N][N]) {
  for (int64_t i = 0; i < N; i++)
    for (int64_t k = 0; k < N; k++) {
      int64_t count = 0;
      for (int64_t di = -1; di <= 1; di++)
        for (int64_t dk = -1; dk <= 1; dk++)
          if (di || dk) count += cell(from, i + di, k + dk);
      to[i][k] = count == 3 || (count == 2 && cell(from, i, k) == 1);
    }
}

int main(void) {
  int64_t x = 7, sum = 0;
  for (int64_t i = 0; i < N * N; i++) {
    a[i / N][i % N] = x / 32 % 2;
    x = (x * 16807 + 7) % 2147483647;
  }
  for (int round = 0; round < 50; round++) {
    step(a, b);
    step(b, a);
  }
  for (int64_t i = 0; i < N * N; i++) sum += cell(a, i / N, i);
  printf("%lld\n", (long long)sum);
}
