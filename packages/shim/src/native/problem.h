// What went wrong, as CNI tells it.
#pragma once

#include <limits.h>
#include <stdbool.h>

// Those below 100 are the CNI spec's.
enum cni_code {
  INVALID_ENVIRONMENT = 4,
  IO_FAILURE = 5,
  DECODING_FAILURE = 6,
  TRY_AGAIN_LATER = 11,
  NOT_AVAILABLE = 50,
  SETTINGS_REFUSED = 100,
};

struct problem {
  enum cni_code code;
  // Cut where it would be longer; any bytes.
  char message[PATH_MAX + 512];
};

// Says what went wrong, and returns false.
bool fail(struct problem *problem, enum cni_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
