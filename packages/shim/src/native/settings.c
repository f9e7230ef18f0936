#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SETTINGS = 16 * 1024, MAX_JOURNAL_PATH = PATH_MAX - 128, MAX_DEADLINE_MS = 600 * 1000 };

static const struct settings defaults = {
    .socket = "/run/podwire/podwire.sock",
    .journal = "/run/podwire/cni-journal",
};

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

// Copies an absolute path; returns why it can't be one, or NULL.
static const char *take_path(char *into, size_t longest, const char *value, size_t length) {
  if (length == 0 || value[0] != '/') return "needs a path that begins with /";
  if (memchr(value, 0, length)) return "has a path with a NUL byte";
  if (length > longest) return "has a path that is too long";
  // Behind one, the kernel would follow a link that is to be refused.
  while (length > 1 && value[length - 1] == '/') length--;
  memcpy(into, value, length);
  into[length] = 0;
  return NULL;
}

static const char *take_deadline(int *into, const char *value, size_t length) {
  int number = 0;
  for (size_t i = 0; i < length; i++) {
    if (value[i] < '0' || value[i] > '9') return "is not a number of milliseconds";
    if (number <= MAX_DEADLINE_MS) number = number * 10 + (value[i] - '0');
  }
  if (number < 1 || number > MAX_DEADLINE_MS) return "has to be 1 to 600000 milliseconds";
  *into = number;
  return NULL;
}

static const char *take_line(struct settings *settings, const char *line, size_t length) {
  size_t key = 0;
  while (key < length && !is_blank(line[key])) key++;
  size_t at = key;
  while (at < length && is_blank(line[at])) at++;
  const char *value = line + at;
  size_t rest = length - at;
  if (key == 6 && !memcmp(line, "socket", 6))
    return take_path(settings->socket, sizeof settings->socket - 1, value, rest);
  if (key == 7 && !memcmp(line, "journal", 7))
    return take_path(settings->journal, MAX_JOURNAL_PATH, value, rest);
  if (key == 8 && !memcmp(line, "deadline", 8)) return take_deadline(&settings->deadline_ms, value, rest);
  return "has a key that is none of socket, journal, deadline";
}

bool parse_settings(const char *path, const char *text, size_t length, struct settings *settings,
                    struct problem *problem) {
  *settings = defaults;
  int number = 0;
  for (size_t start = 0; start < length;) {
    number++;
    const char *newline = memchr(text + start, '\n', length - start);
    size_t end = newline ? (size_t)(newline - text) : length;
    size_t next = end + 1;
    while (end > start && is_blank(text[end - 1])) end--;
    while (start < end && is_blank(text[start])) start++;
    if (start < end && text[start] != '#') {
      const char *why = take_line(settings, text + start, end - start);
      if (why) return fail(problem, SETTINGS_REFUSED, "line %d of %s %s", number, path, why);
    }
    start = next;
  }
  return true;
}

// Into `path`; returns whether the kernel tells.
static bool find_path(char *path, size_t size) {
  static const char deleted[] = " (deleted)";
  size_t room = size - sizeof ".conf";
  ssize_t length = readlink("/proc/self/exe", path, room);
  if (length <= 0 || (size_t)length == room) return false;
  path[length] = 0;
  // Replaced while it was started, which an update does: the settings are those of the new one.
  size_t tail = sizeof deleted - 1;
  if ((size_t)length > tail && !strcmp(path + length - tail, deleted)) path[(size_t)length - tail] = 0;
  strcat(path, ".conf");
  return true;
}

// Only whoever could also have replaced the executable can have put another's file here, so the directories are not looked at.
static const char *why_untrusted(const struct stat *found) {
  if (!S_ISREG(found->st_mode)) return "it is not a file";
  if (found->st_uid != 0 && found->st_uid != geteuid()) return "it belongs to another user";
  if (found->st_mode & S_IWOTH || (found->st_mode & S_IWGRP && found->st_gid != 0))
    return "others may write to it";
  return NULL;
}

bool read_settings(struct settings *settings, struct problem *problem) {
  char path[PATH_MAX];
  static char text[MAX_SETTINGS + 1];
  if (!find_path(path, sizeof path))
    return fail(problem, SETTINGS_REFUSED, "the settings can't be found: /proc/self/exe can't be read");
  // A FIFO would keep it waiting.
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (file < 0 && errno == ENOENT) {
    *settings = defaults;
    return true;
  }
  if (file < 0) return fail(problem, SETTINGS_REFUSED, "%s can't be read: %s", path, strerror(errno));
  struct stat found;
  const char *why = fstat(file, &found) ? strerror(errno) : why_untrusted(&found);
  size_t length = 0;
  while (!why && length < sizeof text) {
    ssize_t got = read(file, text + length, sizeof text - length);
    if (got == 0) break;
    if (got > 0) length += (size_t)got;
    else if (errno != EINTR) why = strerror(errno);
  }
  close(file);
  if (!why && length == sizeof text) why = "it is longer than 16 KiB";
  if (why) return fail(problem, SETTINGS_REFUSED, "%s is refused: %s", path, why);
  return parse_settings(path, text, length, settings, problem);
}
