// Waiting for a descriptor, which ends at the deadline and at the first signal that asks the shim to end.
#pragma once

enum waited { READY, LATE, SIGNALLED };

// SIGTERM, SIGINT and SIGHUP are remembered from now on, and end a wait; at any other moment they are held back.
void catch_signals(void);

// From now.
void set_deadline(int milliseconds);

// There is something to be said still, at the deadline or after a signal: a wait ends so late, whatever signals come.
void allow_last_words(int milliseconds);

// events: POLLIN or POLLOUT. A descriptor that is below zero is never ready.
enum waited wait_for(int descriptor, short events);

// For the next attempt at what can't be waited for.
enum waited wait_a_little(void);

// The signal that ended a wait, or 0.
int signal_received(void);
