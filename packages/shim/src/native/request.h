// What the daemon is sent: CNI's environment and stdin, behind the head of an HTTP request.
#pragma once

#include <stddef.h>

#include "problem.h"

enum { MAX_VARIABLES = 256, MAX_ENVIRONMENT = 64 * 1024, MAX_STDIN = 1024 * 1024 };

struct request {
  // The whole of it, the head first.
  const unsigned char *bytes;
  size_t length;
  const unsigned char *body;
  size_t body_length;
  size_t stdin_length;
};

// Waits for the end of stdin.
bool read_request(char **environment, struct request *request, struct problem *problem);

// Variables whose name begins with CNI_, in the order of their bytes, a NUL behind each, and one more: what is asked twice looks
// the same. `into` holds MAX_ENVIRONMENT + 1 bytes.
bool encode_environment(char **environment, unsigned char *into, size_t *length, struct problem *problem);
