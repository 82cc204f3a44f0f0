/* What the tests do inside pods: listen PORT | connect HOST PORT | lookup NAME | write FILE TEXT | read FILE */
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(const char *what) {
  perror(what);
  return 1;
}

static int say(int socket) {
  char text[256];
  ssize_t size = read(socket, text, sizeof text);
  if (size < 0) return fail("read");
  return write(1, text, size) == size ? 0 : 1;
}

static int dial(const char *host, const char *port, int listening) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET, .ai_flags = listening ? AI_PASSIVE : 0}, *found;
  int refused = getaddrinfo(host, port, &hints, &found);
  if (refused) {
    fprintf(stderr, "lookup of %s: %s\n", host, gai_strerror(refused));
    exit(1);
  }
  int opened = socket(found->ai_family, found->ai_socktype, 0), yes = 1;
  setsockopt(opened, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (listening ? bind(opened, found->ai_addr, found->ai_addrlen) || listen(opened, 16)
                : connect(opened, found->ai_addr, found->ai_addrlen))
    exit(fail(listening ? "listen" : "connect"));
  return opened;
}

int main(int count, char **words) {
  const char *command = count > 1 ? words[1] : "";
  if (!strcmp(command, "listen") && count == 3) {
    for (int door = dial(NULL, words[2], 1);;) {
      int guest = accept(door, NULL, NULL);
      if (guest < 0) return fail("accept");
      if (write(guest, "hello\n", 6) != 6) perror("write");
      close(guest);
    }
  }
  if (!strcmp(command, "connect") && count == 4) return say(dial(words[2], words[3], 0));
  if (!strcmp(command, "lookup") && count == 3) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *found;
    int refused = getaddrinfo(words[2], NULL, &hints, &found);
    if (refused) return fprintf(stderr, "%s\n", gai_strerror(refused)), 1;
    char text[64];
    getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
    return puts(text) < 0;
  }
  if (!strcmp(command, "write") && count == 4) {
    int file = open(words[2], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0) return fail(words[2]);
    return write(file, words[3], strlen(words[3])) < 0 ? fail("write") : 0;
  }
  if (!strcmp(command, "read") && count == 3) {
    int file = open(words[2], O_RDONLY);
    return file < 0 ? fail(words[2]) : say(file);
  }
  fprintf(stderr, "probe: unknown command\n");
  return 2;
}
