// What is said of a problem, whatever stands in it: one line of JSON in ASCII, whose message ends where it should.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/native/output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct problem problem;
  static const char begin[] = "{\"cniVersion\":\"1.1.0\",\"code\":11,\"msg\":\"";
  char *text = malloc(size + 1), *json = malloc(PROBLEM_JSON);
  memcpy(text, data, size);
  text[size] = 0;
  fail(&problem, TRY_AGAIN_LATER, "%s", text);
  size_t length = format_problem(&problem, json);
  if (length > PROBLEM_JSON || length < sizeof begin + 2 || memcmp(json, begin, sizeof begin - 1)) abort();
  if (memcmp(json + length - 3, "\"}\n", 3)) abort();
  for (size_t at = sizeof begin - 1; at < length - 3; at++) {
    if (json[at] < ' ' || json[at] > '~' || json[at] == '"') abort();
    if (json[at] != '\\') continue;
    at++;
    if (json[at] == '"' || json[at] == '\\') continue;
    if (json[at] != 'u' || strspn(json + at + 1, "0123456789abcdef") < 4) abort();
    at += 4;
  }
  free(text);
  free(json);
  return 0;
}
