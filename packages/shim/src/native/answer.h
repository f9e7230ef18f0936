// What the daemon answers, as it comes: HTTP as this daemon speaks it, and not a word more.
#pragma once

#include <stddef.h>

enum { MAX_HEAD = 16 * 1024, MAX_BODY = 4 * 1024 * 1024 };

enum parsed { INCOMPLETE, COMPLETE, UNUSABLE };

// To begin with all zero.
struct answer {
  // 200 or 422, once it is complete.
  int status;
  size_t head_length;
  size_t body_length;
  // Why it is unusable.
  char why[96];
};

// bytes: all that has come so far. What comes behind a complete answer is nobody's.
enum parsed parse_answer(struct answer *answer, const char *bytes, size_t length);
