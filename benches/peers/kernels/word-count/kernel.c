// Counting the words of a text, line by line, in a hash table with linear probing.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES 100000
#define WORDS 12
#define VOCABULARY 26
#define SLOTS 64

static const char *vocabulary[VOCABULARY] = {
    "the", "actor", "sends", "a", "message", "to", "another", "and", "waits", "for", "its", "reply", "while",
    "world", "moves", "on", "in", "ticks", "gas", "pays", "every", "step", "memory", "is", "counted", "too"};

static struct {
  char word[16];
  long count;
} counts[SLOTS];

static long *count_of(const char *word, size_t length) {
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)word[i]) * 0x100000001b3;
  uint64_t at = hash % SLOTS;
  while (counts[at].word[0] && (strncmp(counts[at].word, word, length) != 0 || counts[at].word[length]))
    at = (at + 1) % SLOTS;
  memcpy(counts[at].word, word, length);
  return &counts[at].count;
}

int main(void) {
  char(*lines)[WORDS * 9] = malloc(LINES * sizeof *lines);
  long x = 7;
  for (int i = 0; i < LINES; i++) {
    char *end = lines[i];
    for (int k = 0; k < WORDS; k++) {
      end = stpcpy(stpcpy(end, vocabulary[x % VOCABULARY]), " ");
      x = (x * 3877 + 29573) % 139968;
    }
  }
  for (int i = 0; i < LINES; i++) {
    for (const char *word = lines[i]; *word;) {
      const char *end = strchr(word, ' ');
      ++*count_of(word, end - word);
      word = end + 1;
    }
  }
  long sum = 100 * *count_of("gas", 3);
  for (int at = 0; at < SLOTS; at++) sum += strlen(counts[at].word) * counts[at].count;
  printf("%ld\n", sum);
  free(lines);
}
