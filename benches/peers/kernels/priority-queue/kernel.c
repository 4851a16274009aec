// A binary heap in an array that grows and shrinks.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int64_t *heap;
static int64_t size, room;

static void swap(int64_t i, int64_t k) {
  int64_t kept = heap[i];
  heap[i] = heap[k];
  heap[k] = kept;
}

static void push(int64_t x) {
  if (size == room) {
    room = room ? 2 * room : 8;
    heap = realloc(heap, sizeof *heap * (size_t)room);
  }
  int64_t i = size++;
  heap[i] = x;
  while (i > 0) {
    int64_t parent = (i - 1) / 2;
    if (heap[i] >= heap[parent]) return;
    swap(i, parent);
    i = parent;
  }
}

static int64_t least(int64_t a, int64_t b) { return b < size && heap[b] < heap[a] ? b : a; }

static int64_t pop(void) {
  int64_t top = heap[0], last = heap[--size];
  if (size > 0) {
    heap[0] = last;
    for (int64_t i = 0;;) {
      int64_t next = least(least(i, 2 * i + 1), 2 * i + 2);
      if (next == i) break;
      swap(i, next);
      i = next;
    }
  }
  return top;
}

int main(void) {
  int64_t x = 42, sum = 0;
  for (int i = 0; i < 150000; i++) {
    push(x);
    x = (x * 16807 + 7) % 2147483647;
  }
  for (int i = 0; i < 150000; i++) sum = (sum * 31 + pop()) % 1000003;
  printf("%lld\n", (long long)sum);
  free(heap);
}
