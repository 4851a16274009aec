// Queens that do not attack each other: all solutions on a board of eleven, by backtracking.
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define N 11

// The column of the queen in each row above.
static long columns[N];

static bool is_safe(long row, long column) {
  for (long above = 0; above < row; above++) {
    long distance = labs(columns[above] - column);
    if (distance == 0 || distance == row - above) return false;
  }
  return true;
}

static long solutions(long row) {
  if (row == N) return 1;
  long count = 0;
  for (long column = 0; column < N; column++) {
    if (!is_safe(row, column)) continue;
    columns[row] = column;
    count += solutions(row + 1);
  }
  return count;
}

int main(void) {
  printf("%ld\n", solutions(0));
}
