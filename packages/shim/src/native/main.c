// The CNI plugin that container runtimes start: hands what CNI gives a plugin to the daemon, and its answer to the runtime.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exchange.h"
#include "journal.h"
#include "output.h"
#include "problem.h"
#include "request.h"
#include "settings.h"
#include "wait.h"

struct command {
  const char *name;
  // Runtimes give ADD and DEL two minutes or more.
  int deadline_ms;
  // What there has to be before it is believed.
  const char *required[4];
};

static const struct command commands[] = {
    {"ADD", 110 * 1000, {0}},
    {"DEL", 110 * 1000, {"CNI_CONTAINERID", "CNI_IFNAME"}},
    {"CHECK", 10 * 1000, {0}},
    {"GC", 10 * 1000, {0}},
    {"STATUS", 10 * 1000, {0}},
    {"VERSION", 10 * 1000, {0}},
};

static const char versions[] =
    "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n";

extern char **environ;

static bool is(const struct command *command, const char *name) {
  return !strcmp(command->name, name);
}

static const struct command *find_command(struct problem *problem) {
  const char *name = getenv("CNI_COMMAND");
  for (size_t i = 0; name && i < sizeof commands / sizeof *commands; i++)
    if (is(&commands[i], name)) return &commands[i];
  if (name && *name)
    fail(problem, INVALID_ENVIRONMENT, "CNI_COMMAND is \"%.64s\", and not ADD, DEL, CHECK, GC, STATUS or VERSION", name);
  else
    fail(problem, INVALID_ENVIRONMENT,
         "CNI_COMMAND is missing: this is a CNI plugin, which container runtimes start");
  return NULL;
}

// What is opened next must not be taken for what the runtime reads or writes; on these, reading and writing fail.
static void fill_standard_descriptors(void) {
  for (int descriptor = 0; descriptor <= 2; descriptor++)
    if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF) open("/", O_RDONLY | O_DIRECTORY);
}

static int end_with(const struct problem *problem) {
  print_problem(problem);
  return 1;
}

// A journal is for DELs that mean something: what the daemon would refuse is refused here.
static bool may_be_journaled(const struct command *command, const struct request *request,
                             struct problem *problem) {
  for (const char *const *name = command->required; *name; name++) {
    const char *value = getenv(*name);
    if (!value || !*value) return fail(problem, INVALID_ENVIRONMENT, "%s is missing", *name);
  }
  if (request->stdin_length == 0) return fail(problem, DECODING_FAILURE, "stdin is empty, instead of a configuration");
  return true;
}

static int delete_later(const struct command *command, const struct settings *settings,
                        const struct request *request, const struct problem *why) {
  static struct problem problem;
  if (!may_be_journaled(command, request, &problem)) return end_with(&problem);
  if (!write_journal(settings->journal, request->body, request->body_length, &problem)) return end_with(&problem);
  // Whoever ended it is not told that all is well.
  if (signal_received()) return end_with(why);
  fail(&problem, TRY_AGAIN_LATER, "%s; the DEL is in %s, and carried out when it is there", why->message,
       settings->journal);
  print_notice(&problem);
  return 0;
}

static int do_without_daemon(const struct command *command, const struct settings *settings,
                             const struct request *request, struct problem *why) {
  if (is(command, "DEL")) return delete_later(command, settings, request, why);
  if (is(command, "VERSION") && !signal_received()) {
    allow_last_words(1000);
    return print(versions, sizeof versions - 1) ? 0 : 1;
  }
  if (is(command, "STATUS")) why->code = NOT_AVAILABLE;
  return end_with(why);
}

int main(void) {
  static struct problem problem;
  static struct settings settings;
  struct request request;
  struct reply reply;
  fill_standard_descriptors();
  signal(SIGPIPE, SIG_IGN);
  umask(077);
  catch_signals();
  const struct command *command = find_command(&problem);
  if (!command || !read_settings(&settings, &problem)) return end_with(&problem);
  set_deadline(settings.deadline_ms ? settings.deadline_ms : command->deadline_ms);
  if (!read_request(environ, &request, &problem)) return end_with(&problem);
  if (!ask_daemon(settings.socket, &request, &reply, &problem))
    return do_without_daemon(command, &settings, &request, &problem);
  if (!print(reply.body, reply.length)) return 1;
  return reply.status == 200 ? 0 : 1;
}
