// The encoder of the environment: what it makes is within its bounds, in order, and CNI's alone.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/native/request.h"

enum { MOST = 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct problem problem;
  char *text = malloc(size + 1), *variables[MOST + 1];
  memcpy(text, data, size);
  text[size] = 0;
  size_t count = 0;
  for (size_t at = 0; at < size && count < MOST; at += strlen(text + at) + 1) variables[count++] = text + at;
  variables[count] = NULL;
  unsigned char *encoded = malloc(MAX_ENVIRONMENT + 1);
  size_t length;
  if (encode_environment(variables, encoded, &length, &problem)) {
    if (length == 0 || length > MAX_ENVIRONMENT + 1 || encoded[length - 1]) abort();
    const char *before = "";
    for (size_t at = 0; at < length - 1;) {
      const char *variable = (const char *)encoded + at;
      if (strncmp(variable, "CNI_", 4) || !strchr(variable, '=') || strcmp(before, variable) >= 0) abort();
      before = variable;
      at += strlen(variable) + 1;
    }
  } else if (problem.code != INVALID_ENVIRONMENT || !problem.message[0]) {
    abort();
  }
  free(encoded);
  free(text);
  return 0;
}
