#include "exchange.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "answer.h"
#include "wait.h"

static bool unavailable(struct problem *problem, const char *socket_path, const char *why) {
  return fail(problem, TRY_AGAIN_LATER, "the podwire daemon can't be asked at %s: %s", socket_path, why);
}

// What a wait that did not end well means; NULL where it did.
static const char *why_given_up(enum waited waited) {
  if (waited == LATE) return "it did not answer in time";
  if (waited == SIGNALLED) return "a signal ended the shim first";
  return NULL;
}

static const char *connect_to(int connection, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(path);
  if (length >= sizeof address.sun_path) return "the path is too long for a socket";
  memcpy(address.sun_path, path, length);
  while (connect(connection, (const struct sockaddr *)&address, sizeof address)) {
    if (errno == EISCONN) return NULL;
    if (errno == ENOENT || errno == ECONNREFUSED) return "it does not run; start it with \"podwire daemon\"";
    if (errno != EAGAIN && errno != EINTR && errno != EINPROGRESS && errno != EALREADY)
      return strerror(errno);
    // Too many wait for it already: of a Unix socket nobody is told when there is room.
    const char *why = why_given_up(wait_a_little());
    if (why) return why;
  }
  return NULL;
}

// Whoever listens there gets to know what the pods are called, and decides what their runtime is told.
static const char *why_untrusted(int connection) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size)) return strerror(errno);
  if (peer.uid == 0 || peer.uid == geteuid()) return NULL;
  return "it is not trusted, as neither root nor the user of the shim runs it";
}

static const char *send_all(int connection, const unsigned char *bytes, size_t length) {
  while (length > 0) {
    ssize_t sent = send(connection, bytes, length, MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes += sent;
      length -= (size_t)sent;
      continue;
    }
    // It may have answered before it had read all.
    if (errno == EPIPE || errno == ECONNRESET) return NULL;
    if (errno != EAGAIN && errno != EINTR) return strerror(errno);
    const char *why = why_given_up(wait_for(connection, POLLOUT));
    if (why) return why;
  }
  return NULL;
}

static const char *receive(int connection, struct reply *reply) {
  // Untouched pages cost nothing.
  static char buffer[MAX_HEAD + MAX_BODY];
  static struct answer answer;
  size_t length = 0;
  for (;;) {
    ssize_t got = recv(connection, buffer + length, sizeof buffer - length, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      const char *why = why_given_up(wait_for(connection, POLLIN));
      if (why) return why;
      continue;
    }
    if (got < 0 && errno != ECONNRESET) return strerror(errno);
    if (got <= 0) return length > 0 ? "its answer is not whole" : "it closed the connection without an answer";
    length += (size_t)got;
    enum parsed parsed = parse_answer(&answer, buffer, length);
    if (parsed == UNUSABLE) return answer.why;
    if (parsed == INCOMPLETE) continue;
    *reply = (struct reply){answer.status, buffer + answer.head_length, answer.body_length};
    return NULL;
  }
}

bool ask_daemon(const char *socket_path, const struct request *request, struct reply *reply,
                struct problem *problem) {
  int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (connection < 0) return unavailable(problem, socket_path, strerror(errno));
  const char *why = connect_to(connection, socket_path);
  if (!why) why = why_untrusted(connection);
  if (!why) why = send_all(connection, request->bytes, request->length);
  if (!why) why = receive(connection, reply);
  close(connection);
  return why ? unavailable(problem, socket_path, why) : true;
}
