// SHA-256, as FIPS 180-4 describes it.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32 };

void sha256(const unsigned char *bytes, size_t length, uint8_t digest[SHA256_BYTES]);
