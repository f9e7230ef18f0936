// The parser of the settings: what it takes is usable.
#include "../../src/native/settings.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct settings settings;
  static struct problem problem;
  char *copy = malloc(size ? size : 1);
  memcpy(copy, data, size);
  bool is_taken = parse_settings("/opt/cni/bin/podwire.conf", copy, size, &settings, &problem);
  free(copy);
  if (!is_taken) {
    if (problem.code != SETTINGS_REFUSED || !problem.message[0]) abort();
    return 0;
  }
  if (settings.socket[0] != '/' || strnlen(settings.socket, sizeof settings.socket) == sizeof settings.socket) abort();
  if (settings.journal[0] != '/' || strnlen(settings.journal, sizeof settings.journal) >= PATH_MAX - 64) abort();
  if (settings.deadline_ms < 0 || settings.deadline_ms > 600000) abort();
  return 0;
}
