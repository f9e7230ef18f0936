#include "answer.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static enum parsed refuse(struct answer *answer, const char *why) {
  snprintf(answer->why, sizeof answer->why, "%s", why);
  return UNUSABLE;
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Whether it can still become a head of HTTP: who sends anything else need not be waited for.
static bool begins_well(const char *bytes, size_t length) {
  static const char begin[] = "HTTP/1.1 ";
  size_t known = length < sizeof begin - 1 ? length : sizeof begin - 1;
  return !memcmp(bytes, begin, known);
}

// The length of the head with the empty line behind it; 0 while that has not come.
static size_t find_head(const char *bytes, size_t length) {
  const char *end = memmem(bytes, length < MAX_HEAD ? length : MAX_HEAD, "\r\n\r\n", 4);
  return end ? (size_t)(end - bytes) + 4 : 0;
}

// Returns whether it is a number in digits alone that is no more than `most`.
static bool parse_number(const char *text, size_t length, size_t most, size_t *number) {
  *number = 0;
  for (size_t i = 0; i < length; i++) {
    if (!is_digit(text[i]) || *number > most) return false;
    *number = *number * 10 + (size_t)(text[i] - '0');
  }
  return length > 0 && *number <= most;
}

struct field {
  const char *name;
  size_t name_length;
  const char *value;
  size_t value_length;
};

static bool is_called(const struct field *field, const char *name) {
  return field->name_length == strlen(name) && !strncasecmp(field->name, name, field->name_length);
}

static bool parse_field(const char *line, size_t length, struct field *field) {
  const char *colon = memchr(line, ':', length);
  if (!colon || colon == line || memchr(line, 0, length)) return false;
  const char *value = colon + 1, *end = line + length;
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (end > value && (end[-1] == ' ' || end[-1] == '\t')) end--;
  *field = (struct field){line, (size_t)(colon - line), value, (size_t)(end - value)};
  return true;
}

static bool is_json(const struct field *field) {
  static const char type[] = "application/json";
  size_t length = sizeof type - 1;
  return field->value_length >= length && !strncasecmp(field->value, type, length) &&
         (field->value_length == length || field->value[length] == ';' || field->value[length] == ' ');
}

static enum parsed parse_head(struct answer *answer, const char *bytes, size_t length) {
  const char *status = bytes + sizeof "HTTP/1.1 " - 1;
  // The empty line alone is longer than what is looked at.
  if (!is_digit(status[0]) || !is_digit(status[1]) || !is_digit(status[2]) ||
      (status[3] != ' ' && status[3] != '\r'))
    return refuse(answer, "it has no status");
  answer->status = (status[0] - '0') * 100 + (status[1] - '0') * 10 + (status[2] - '0');
  if (answer->status != 200 && answer->status != 422) {
    snprintf(answer->why, sizeof answer->why, "its status is %d", answer->status);
    return UNUSABLE;
  }
  bool has_length = false, has_type = false;
  const char *end = bytes + length - 2;
  const char *line = memmem(bytes, length, "\r\n", 2);
  for (line += 2; line < end;) {
    const char *next = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
    struct field field;
    if (!parse_field(line, (size_t)(next - line), &field)) return refuse(answer, "its head is malformed");
    if (is_called(&field, "transfer-encoding")) return refuse(answer, "it comes in pieces");
    if (is_called(&field, "content-type")) has_type = is_json(&field);
    if (is_called(&field, "content-length")) {
      if (has_length) return refuse(answer, "it has two lengths");
      if (!parse_number(field.value, field.value_length, MAX_BODY, &answer->body_length))
        return refuse(answer, "its length is not a number up to 4 MiB");
      has_length = true;
    }
    line = next + 2;
  }
  if (!has_length) return refuse(answer, "it has no length");
  if (!has_type && answer->body_length > 0) return refuse(answer, "it is not JSON");
  return COMPLETE;
}

enum parsed parse_answer(struct answer *answer, const char *bytes, size_t length) {
  if (!answer->head_length) {
    if (!begins_well(bytes, length)) return refuse(answer, "it is not HTTP/1.1");
    size_t head_length = find_head(bytes, length);
    if (!head_length && length >= MAX_HEAD) return refuse(answer, "its head is longer than 16 KiB");
    if (!head_length) return INCOMPLETE;
    if (parse_head(answer, bytes, head_length) == UNUSABLE) return UNUSABLE;
    answer->head_length = head_length;
  }
  return length - answer->head_length >= answer->body_length ? COMPLETE : INCOMPLETE;
}
