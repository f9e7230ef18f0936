// What the runtime is told.
#pragma once

#include <stddef.h>

#include "problem.h"

// On stdout, within the deadline. Returns whether all of it was taken.
bool print(const char *bytes, size_t length);

// As a CNI error on stdout, whatever bytes it holds.
void print_problem(const struct problem *problem);

// A line on stderr, where somebody takes it at once.
void print_notice(const struct problem *problem);
