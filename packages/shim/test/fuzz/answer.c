// The answer parser, given an answer at once and in pieces: it has to come to the same result, and to read nothing but what came.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/native/answer.h"

static enum parsed parse(struct answer *answer, const uint8_t *data, size_t size) {
  // Of just this length, so that a look behind its end is seen.
  char *copy = malloc(size ? size : 1);
  memcpy(copy, data, size);
  enum parsed parsed = parse_answer(answer, copy, size);
  free(copy);
  return parsed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  size_t step = 1 + data[0] % 64;
  data++, size--;
  struct answer whole = {0}, pieces = {0};
  enum parsed at_once = parse(&whole, data, size), step_by_step = INCOMPLETE;
  // Each piece is looked at with all that came before it.
  if (size / step > 2048) step = size / 2048;
  for (size_t length = step; step_by_step == INCOMPLETE; length += step) {
    step_by_step = parse(&pieces, data, length < size ? length : size);
    if (length >= size) break;
  }
  if (at_once != step_by_step) abort();
  if (at_once != COMPLETE) return 0;
  if (whole.status != 200 && whole.status != 422) abort();
  if (whole.body_length > MAX_BODY || whole.head_length > MAX_HEAD) abort();
  if (whole.head_length + whole.body_length > size) abort();
  if (whole.head_length != pieces.head_length || whole.body_length != pieces.body_length) abort();
  return 0;
}
