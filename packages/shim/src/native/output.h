// What the runtime is told.
#pragma once

#include <stddef.h>

#include "problem.h"

// An escaped byte takes six.
enum { PROBLEM_JSON = 6 * sizeof((struct problem *)0)->message + 128 };

// On stdout, within the deadline. Returns whether all of it was taken.
bool print(const char *bytes, size_t length);

// As a CNI error on stdout.
void print_problem(const struct problem *problem);

// As JSON in ASCII, whatever bytes it holds, and a new line. Returns the length.
size_t format_problem(const struct problem *problem, char json[PROBLEM_JSON]);

// A line on stderr, where somebody takes it at once.
void print_notice(const struct problem *problem);
