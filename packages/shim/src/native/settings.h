// Where the daemon is, and where a DEL is kept that it can't be told.
#pragma once

#include <limits.h>
#include <stddef.h>
#include <sys/un.h>

#include "problem.h"

struct settings {
  char socket[sizeof((struct sockaddr_un *)0)->sun_path];
  char journal[PATH_MAX];
  // 0: that of the command.
  int deadline_ms;
};

// The file beside the executable, called like it with `.conf` behind; what holds where there is none.
bool read_settings(struct settings *settings, struct problem *problem);

// Lines of a key and a value; the rest of a line that begins with `#` is nobody's.
bool parse_settings(const char *path, const char *text, size_t length, struct settings *settings,
                    struct problem *problem);
