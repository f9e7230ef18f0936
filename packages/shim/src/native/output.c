#include "output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "wait.h"

enum { LAST_WORDS_MS = 1000 };

static bool write_waiting(int descriptor, const char *bytes, size_t length) {
  while (length > 0) {
    if (wait_for(descriptor, POLLOUT) != READY) return false;
    // A pipe that is ready takes so much without waiting.
    size_t most = length < PIPE_BUF ? length : PIPE_BUF;
    ssize_t written = write(descriptor, bytes, most);
    if (written < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (written < 0) return false;
    bytes += written;
    length -= (size_t)written;
  }
  return true;
}

bool print(const char *bytes, size_t length) {
  return write_waiting(STDOUT_FILENO, bytes, length);
}

// As the inside of a JSON string. Of bytes beyond ASCII it is not known what they mean.
static size_t escape(char *into, const char *text) {
  char *at = into;
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c >= 0x7f) at += sprintf(at, "\\ufffd");
    else if (c < ' ') at += sprintf(at, "\\u%04x", c);
    else {
      if (c == '"' || c == '\\') *at++ = '\\';
      *at++ = (char)c;
    }
  }
  return (size_t)(at - into);
}

size_t format_problem(const struct problem *problem, char json[PROBLEM_JSON]) {
  size_t length = (size_t)sprintf(json, "{\"cniVersion\":\"1.1.0\",\"code\":%d,\"msg\":\"", problem->code);
  length += escape(json + length, problem->message);
  memcpy(json + length, "\"}\n", 3);
  return length + 3;
}

void print_problem(const struct problem *problem) {
  static char json[PROBLEM_JSON];
  size_t length = format_problem(problem, json);
  allow_last_words(LAST_WORDS_MS);
  print(json, length);
}

void print_notice(const struct problem *problem) {
  static char line[sizeof problem->message + 64];
  int length = snprintf(line, sizeof line, "podwire: %s\n", problem->message);
  allow_last_words(0);
  write_waiting(STDERR_FILENO, line, (size_t)length);
}
