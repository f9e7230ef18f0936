#include "problem.h"

#include <stdarg.h>
#include <stdio.h>

bool fail(struct problem *problem, enum cni_code code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  problem->code = code;
  vsnprintf(problem->message, sizeof problem->message, format, arguments);
  va_end(arguments);
  return false;
}
