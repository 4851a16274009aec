// A tokenizer of a language like JSON: a text is read character by character, and its numbers and words
// are cut out of it.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMES 20000

static const char record[] =
    "{\"id\": 1024, \"name\": \"left pump\", \"open\": true, \"limits\": [12, 480, 7], \"next\": null},\n";

// Numbers count as themselves, strings and words as their lengths, punctuation as one.
static long tokenize(const char *at) {
  long tokens = 0, sum = 0;
  while (*at) {
    if (*at == ' ' || *at == '\n') {
      at++;
      continue;
    }
    tokens++;
    if (*at == '"') {
      const char *start = ++at;
      while (*at != '"') at++;
      sum += at++ - start;
    } else if (isdigit((unsigned char)*at)) {
      sum += strtol(at, (char **)&at, 10);
    } else if (islower((unsigned char)*at)) {
      const char *start = at;
      while (islower((unsigned char)*at)) at++;
      sum += at - start;
    } else {
      sum++;
      at++;
    }
  }
  return 1000 * sum + tokens;
}

int main(void) {
  size_t length = strlen(record);
  char *text = malloc(TIMES * length + 1);
  for (int i = 0; i < TIMES; i++) memcpy(text + i * length, record, length);
  text[TIMES * length] = 0;
  printf("%ld\n", tokenize(text));
  free(text);
}
