/* The first process of each pod: it holds the pod's namespaces, and collects the children that others leave to it. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int sig) { (void)sig; _exit(0); }
static void collect(int sig) { (void)sig; while (waitpid(-1, NULL, WNOHANG) > 0) {} }

int main(void) {
  struct sigaction child;
  memset(&child, 0, sizeof child);
  child.sa_handler = collect;
  child.sa_flags = SA_NOCLDSTOP;
  signal(SIGINT, end);
  signal(SIGTERM, end);
  sigaction(SIGCHLD, &child, NULL);
  for (;;) pause();
}
