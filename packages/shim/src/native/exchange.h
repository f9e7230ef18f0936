// One question to the daemon, and its answer.
#pragma once

#include <stddef.h>

#include "problem.h"
#include "request.h"

struct reply {
  // 200 or 422.
  int status;
  const char *body;
  size_t length;
};

// Ends with a whole answer, or says why there is none: with TRY_AGAIN_LATER, whatever the command.
bool ask_daemon(const char *socket_path, const struct request *request, struct reply *reply, struct problem *problem);
