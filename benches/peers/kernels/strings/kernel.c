// Strings: lines are built by appending, split into words, compared, and put together again.
#include <stdio.h>
#include <string.h>

#define WORDS 50

static void make_line(char *line, long seed) {
  long x = seed;
  for (int i = 0; i < WORDS; i++) {
    line += sprintf(line, "%sw%ld", i == 0 ? "" : " ", x % 1000);
    x = (x * 3877 + 29573) % 139968;
  }
}

static int split(char *line, char **words) {
  int count = 0;
  for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) words[count++] = word;
  return count;
}

static void join(char *joined, char **words, int count) {
  joined = stpcpy(joined, words[0]);
  for (int i = 1; i < count; i++) joined = stpcpy(stpcpy(joined, "--"), words[i]);
}

int main(void) {
  char line[WORDS * 5], joined[WORDS * 6], *words[WORDS];
  long sum = 0;
  for (long seed = 0; seed < 20000; seed++) {
    make_line(line, seed);
    int count = split(line, words);
    join(joined, words, count);
    // How many words are before their right neighbour, and how many are the same as the first.
    for (int i = 0; i < count - 1; i++) sum += 1000 * (strcmp(words[i], words[i + 1]) < 0);
    for (int i = 0; i < count; i++) sum += strcmp(words[0], words[i]) == 0;
    sum += strlen(joined);
  }
  printf("%ld\n", sum);
}
