#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sha256.h"

enum { NAME_BYTES = 16, NAME_DIGITS = 2 * NAME_BYTES, MAX_ATTEMPTS = 8 };

static bool make_directory(const char *path) {
  if (!mkdir(path, 0700) || errno == EEXIST) return true;
  if (errno != ENOENT) return false;
  char parent[PATH_MAX];
  const char *slash = strrchr(path, '/');
  size_t length = (size_t)(slash - path);
  if (length == 0 || length >= sizeof parent) return false;
  memcpy(parent, path, length);
  parent[length] = 0;
  if (mkdir(parent, 0700) && errno != EEXIST) return false;
  return !mkdir(path, 0700) || errno == EEXIST;
}

static const char *why_untrusted(int directory) {
  struct stat found;
  if (fstat(directory, &found)) return strerror(errno);
  if (found.st_uid != 0 && found.st_uid != geteuid()) return "it belongs to another user";
  // The daemon would not read it.
  if (found.st_mode & (S_IWOTH | S_IWGRP)) return "others may write to it";
  return NULL;
}

static void name_of(const unsigned char *body, size_t length, char name[NAME_DIGITS + 1]) {
  uint8_t digest[SHA256_BYTES];
  sha256(body, length, digest);
  for (int i = 0; i < NAME_BYTES; i++) snprintf(name + 2 * i, 3, "%02x", digest[i]);
}

// Makes a file that nobody else has, whose name does not count as an entry's.
static int make_file(int directory, const char *name, char *temporary, size_t size) {
  int file = -1;
  for (int attempt = 0; file < 0 && attempt < MAX_ATTEMPTS; attempt++) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    // In another process namespace somebody may have the same number.
    snprintf(temporary, size, ".%s.%d.%ld", name, (int)getpid(), now.tv_nsec);
    file = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0 && errno != EEXIST) return -1;
  }
  return file;
}

static bool write_file(int file, const unsigned char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(file, bytes, length);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes += written;
    length -= (size_t)written;
  }
  return !fsync(file);
}

static bool write_entry(int directory, const unsigned char *body, size_t length) {
  char name[NAME_DIGITS + 1], temporary[NAME_DIGITS + 64];
  name_of(body, length, name);
  int file = make_file(directory, name, temporary, sizeof temporary);
  if (file < 0) return false;
  bool is_written = write_file(file, body, length);
  int why = errno;
  // Some file systems tell of a full disk only here.
  if (close(file) && is_written) is_written = false, why = errno;
  if (is_written && renameat(directory, temporary, directory, name)) is_written = false, why = errno;
  if (is_written) return !fsync(directory);
  unlinkat(directory, temporary, 0);
  errno = why;
  return false;
}

bool write_journal(const char *directory, const unsigned char *body, size_t length, struct problem *problem) {
  int opened = -1;
  if (make_directory(directory))
    opened = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (opened < 0) {
    bool is_link = errno == ELOOP || errno == ENOTDIR;
    return fail(problem, IO_FAILURE, "the journal %s can't be used: %s", directory,
                is_link ? "it is a link, or no directory" : strerror(errno));
  }
  const char *why = why_untrusted(opened);
  if (!why && !write_entry(opened, body, length)) why = strerror(errno);
  close(opened);
  return why ? fail(problem, IO_FAILURE, "the journal %s can't be used: %s", directory, why) : true;
}
