// The DELs that the daemon could not be told: a file for each, which the daemon carries out when it is there again.
#pragma once

#include <stddef.h>

#include "problem.h"

// The same body is the same file. Once it returns true, the file is whole, and on the disk.
bool write_journal(const char *directory, const unsigned char *body, size_t length, struct problem *problem);
