#include "wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

enum { A_LITTLE_MS = 5 };

static volatile sig_atomic_t received;
static bool is_last;
static sigset_t during_waits, otherwise;
static long long end_ms;

static void remember(int signal_number) {
  received = signal_number;
}

void catch_signals(void) {
  static const int caught[] = {SIGTERM, SIGINT, SIGHUP};
  sigset_t ours;
  sigemptyset(&ours);
  struct sigaction action = {.sa_handler = remember};
  for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) {
    sigaddset(&ours, caught[i]);
    sigaction(caught[i], &action, NULL);
  }
  // Outside of a wait none gets between a look at `received` and what follows.
  sigprocmask(SIG_BLOCK, &ours, &during_waits);
  sigprocmask(SIG_BLOCK, NULL, &otherwise);
  // Whoever started the shim may have held them back.
  for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) sigdelset(&during_waits, caught[i]);
}

static long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

void set_deadline(int milliseconds) {
  end_ms = now_ms() + milliseconds;
}

void allow_last_words(int milliseconds) {
  is_last = true;
  set_deadline(milliseconds);
}

static enum waited wait_until(long long until_ms, int descriptor, short events) {
  for (;;) {
    long long left = until_ms - now_ms();
    if (left < 0) left = 0;
    struct timespec timeout = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
    struct pollfd one = {.fd = descriptor, .events = events};
    int ready = ppoll(&one, 1, &timeout, is_last ? &otherwise : &during_waits);
    if (received && !is_last) return SIGNALLED;
    if (ready > 0) return READY;
    if (ready == 0 || errno != EINTR) return LATE;
  }
}

enum waited wait_for(int descriptor, short events) {
  return wait_until(end_ms, descriptor, events);
}

enum waited wait_a_little(void) {
  long long soon = now_ms() + A_LITTLE_MS;
  if (soon >= end_ms) return wait_until(end_ms, -1, 0);
  return wait_until(soon, -1, 0) == SIGNALLED ? SIGNALLED : READY;
}

int signal_received(void) {
  return received;
}
