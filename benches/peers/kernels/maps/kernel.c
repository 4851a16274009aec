// Hash tables with integer and with string keys: filling, looking up, counting and deleting. Open
// addressing with linear probing; a deleted key stays as a place that is not empty.
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS (1 << 18)

enum state { EMPTY, USED, DELETED };

struct int_slot {
  enum state state;
  long key, count;
};

struct string_slot {
  const char *key;
  long count;
};

static long next_random(long x) { return (x * 3877 + 29573) % 139968; }

static struct int_slot *find_int(struct int_slot *slots, long key) {
  uint64_t at = ((uint64_t)key * 0x9e3779b97f4a7c15) >> 46;
  while (slots[at].state != EMPTY && slots[at].key != key) at = (at + 1) % SLOTS;
  return &slots[at];
}

static struct string_slot *find_string(struct string_slot *slots, const char *key) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char *c = key; *c; c++) hash = (hash ^ (unsigned char)*c) * 0x100000001b3;
  uint64_t at = hash % SLOTS;
  while (slots[at].key && strcmp(slots[at].key, key) != 0) at = (at + 1) % SLOTS;
  return &slots[at];
}

static long int_keys(long rounds) {
  struct int_slot *slots = calloc(SLOTS, sizeof *slots);
  long x = 42, size = 0, found = 0;
  for (long i = 0; i < rounds; i++) {
    struct int_slot *slot = find_int(slots, x);
    if (slot->state == EMPTY) {
      *slot = (struct int_slot){USED, x, 0};
      size++;
    }
    slot->count++;
    x = next_random(x);
  }
  for (long key = 0; key < 139968; key += 3) {
    struct int_slot *slot = find_int(slots, key);
    if (slot->state == USED) {
      slot->state = DELETED;
      size--;
      found++;
    }
  }
  free(slots);
  return 2 * found + size;
}

static long string_keys(long rounds) {
  static char keys[1000][12];
  for (int i = 0; i < 1000; i++) sprintf(keys[i], "key-%d", i);
  struct string_slot *slots = calloc(SLOTS, sizeof *slots);
  long x = 42, most = 0;
  for (long i = 0; i < rounds; i++) {
    struct string_slot *slot = find_string(slots, keys[x % 1000]);
    slot->key = keys[x % 1000];
    slot->count++;
    x = next_random(x);
  }
  for (long at = 0; at < SLOTS; at++)
    if (slots[at].count > most) most = slots[at].count;
  free(slots);
  return most;
}

int main(void) {
  printf("%ld\n", 1000000 * int_keys(1000000) + string_keys(2000000));
}
