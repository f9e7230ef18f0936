#include "request.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wait.h"

enum { HEAD_ROOM = 256 };

static int compare(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

// Up to and with the sign behind it; 0 where it isn't one of CNI's.
static size_t name_length(const char *variable) {
  const char *sign = strncmp(variable, "CNI_", 4) ? NULL : strchr(variable, '=');
  return sign ? (size_t)(sign - variable) + 1 : 0;
}

bool encode_environment(char **environment, unsigned char *into, size_t *length, struct problem *problem) {
  char *variables[MAX_VARIABLES];
  size_t count = 0;
  for (; *environment; environment++) {
    if (!name_length(*environment)) continue;
    if (count == MAX_VARIABLES)
      return fail(problem, INVALID_ENVIRONMENT, "more than %d variables begin with CNI_", MAX_VARIABLES);
    variables[count++] = *environment;
  }
  qsort(variables, count, sizeof *variables, compare);
  *length = 0;
  for (size_t i = 0; i < count; i++) {
    size_t name = name_length(variables[i]);
    // Who reads them would have to choose.
    if (i > 0 && !strncmp(variables[i - 1], variables[i], name))
      return fail(problem, INVALID_ENVIRONMENT, "%.*s is set twice", (int)(name > 64 ? 64 : name - 1),
                  variables[i]);
    size_t size = strlen(variables[i]) + 1;
    if (size > MAX_ENVIRONMENT - *length)
      return fail(problem, INVALID_ENVIRONMENT, "the variables that begin with CNI_ are longer than %d bytes",
                  MAX_ENVIRONMENT);
    memcpy(into + *length, variables[i], size);
    *length += size;
  }
  into[(*length)++] = 0;
  return true;
}

static bool read_stdin(unsigned char *into, size_t *length, struct problem *problem) {
  *length = 0;
  for (;;) {
    switch (wait_for(STDIN_FILENO, POLLIN)) {
      case LATE: return fail(problem, IO_FAILURE, "stdin did not end in time");
      case SIGNALLED: return fail(problem, TRY_AGAIN_LATER, "a signal ended it before stdin was read");
      case READY: break;
    }
    ssize_t got = read(STDIN_FILENO, into + *length, MAX_STDIN + 1 - *length);
    if (got == 0) return true;
    if (got > 0) *length += (size_t)got;
    else if (errno != EINTR && errno != EAGAIN)
      return fail(problem, IO_FAILURE, "stdin can't be read: %s", strerror(errno));
    if (*length > MAX_STDIN)
      return fail(problem, DECODING_FAILURE, "stdin is longer than %d bytes", MAX_STDIN);
  }
}

bool read_request(char **environment, struct request *request, struct problem *problem) {
  static unsigned char buffer[HEAD_ROOM + MAX_ENVIRONMENT + 1 + MAX_STDIN + 1];
  unsigned char *body = buffer + HEAD_ROOM;
  size_t variables, rest;
  if (!encode_environment(environment, body, &variables, problem)) return false;
  if (!read_stdin(body + variables, &rest, problem)) return false;
  char head[HEAD_ROOM];
  int written = snprintf(head, sizeof head,
                         "POST /v1/cni HTTP/1.1\r\n"
                         "Host: podwire\r\n"
                         "Content-Type: application/vnd.podwire.cni\r\n"
                         "Content-Length: %zu\r\n"
                         "Connection: close\r\n\r\n",
                         variables + rest);
  size_t head_length = (size_t)written;
  memcpy(body - head_length, head, head_length);
  *request = (struct request){
      .bytes = body - head_length,
      .length = head_length + variables + rest,
      .body = body,
      .body_length = variables + rest,
      .stdin_length = rest,
  };
  return true;
}
