// Levenshtein's distance of two texts, with the whole table.
#include <stdio.h>

#define LENGTH 1000

static long table[LENGTH + 1][LENGTH + 1];

static void make_text(char *text, long seed) {
  long x = seed;
  for (int i = 0; i < LENGTH; i++) {
    text[i] = "abcde"[x % 5];
    x = (x * 3877 + 29573) % 139968;
  }
}

static long min(long a, long b) { return a < b ? a : b; }

static long distance(const char *a, const char *b) {
  for (int i = 0; i <= LENGTH; i++) table[i][0] = table[0][i] = i;
  for (int i = 0; i < LENGTH; i++) {
    for (int k = 0; k < LENGTH; k++) {
      long replaced = table[i][k] + (a[i] != b[k]);
      table[i + 1][k + 1] = min(min(table[i][k + 1] + 1, table[i + 1][k] + 1), replaced);
    }
  }
  return table[LENGTH][LENGTH];
}

int main(void) {
  char a[LENGTH], b[LENGTH];
  long sum = 0;
  for (long i = 0; i < 4; i++) {
    make_text(a, i);
    make_text(b, i + 10);
    sum += distance(a, b);
  }
  printf("%ld\n", sum);
}
