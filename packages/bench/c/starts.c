// Starts two programs in turn, as a container runtime starts a CNI plugin, and prints the nanoseconds that each took from its start to
// its exit: starts ROUNDS SOCKET STDIN PROGRAM PROGRAM. At SOCKET it answers at once, as the quickest of daemons.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";

static char *environment[] = {
    "CNI_COMMAND=ADD", "CNI_CONTAINERID=c1", "CNI_NETNS=/run/netns/c1", "CNI_IFNAME=eth0", "CNI_PATH=/opt/cni/bin",
    "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web", "PATH=/usr/bin:/bin", NULL,
};

static void serve(int listener) {
  static char request[1 << 16];
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;;) {
    int connection = accept(listener, NULL, NULL);
    if (connection < 0) exit(1);
    // What is asked is small, and comes at once.
    if (read(connection, request, sizeof request) <= 0 || write(connection, answer, sizeof answer - 1) < 0) exit(1);
    close(connection);
  }
}

static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, (const struct sockaddr *)&address, sizeof address) || listen(listener, 64)) exit(1);
  return listener;
}

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long run(const char *input, char *program) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  char *arguments[] = {program, NULL};
  pid_t child;
  int status;
  long long begun = now();
  if (posix_spawn(&child, program, &actions, NULL, arguments, environment)) exit(1);
  if (waitpid(child, &status, 0) != child || status) exit(1);
  long long took = now() - begun;
  posix_spawn_file_actions_destroy(&actions);
  return took;
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  int listener = listen_at(argv[2]);
  pid_t daemon = fork();
  if (daemon == 0) serve(listener);
  for (int left = atoi(argv[1]); left > 0; left--) {
    long long first = run(argv[3], argv[4]);
    printf("%lld %lld\n", first, run(argv[3], argv[5]));
  }
  kill(daemon, SIGKILL);
  return 0;
}
