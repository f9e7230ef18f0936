// Runs a fuzz target without a fuzzer, the same way each time: standalone ROUNDS FILE… gives it each file, each of its beginnings,
// and so many changes of it.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 64 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state = 0x9e3779b97f4a7c15;

static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

// Some bytes set, some of the whole repeated or left out.
static size_t change(uint8_t *bytes, size_t size) {
  for (uint64_t left = next() % 6; left > 0 && size > 0; left--) {
    size_t at = next() % size, length = 1 + next() % (size - at);
    switch (next() % 4) {
      case 0: bytes[at] = (uint8_t)next(); break;
      case 1: bytes[at] = (uint8_t)"\r\n\0: =/9"[next() % 8]; break;
      case 2:
        if (size + length > MAX_BYTES) break;
        memmove(bytes + at + length, bytes + at, size - at);
        size += length;
        break;
      case 3:
        memmove(bytes + at, bytes + at + length, size - at - length);
        size -= length;
        break;
    }
  }
  return size;
}

int main(int argc, char **argv) {
  static uint8_t original[MAX_BYTES], bytes[MAX_BYTES];
  if (argc < 3) return 2;
  long rounds = atol(argv[1]), runs = 0;
  for (int i = 2; i < argc; i++) {
    FILE *file = fopen(argv[i], "rb");
    if (!file) return 2;
    size_t size = fread(original, 1, sizeof original, file);
    fclose(file);
    for (size_t length = 0; length <= size; length++, runs++) LLVMFuzzerTestOneInput(original, length);
    for (long round = 0; round < rounds; round++, runs++) {
      memcpy(bytes, original, size);
      LLVMFuzzerTestOneInput(bytes, change(bytes, size));
    }
  }
  printf("%ld\n", runs);
  return 0;
}
