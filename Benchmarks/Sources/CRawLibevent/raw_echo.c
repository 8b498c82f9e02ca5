// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "raw_echo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

void allow_all_descriptors(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// One client: its events, and what it was not sent yet.
struct client {
  struct event *reading, *writing;
  char *rest;
  size_t start, end;
};

// Enough for any one read; shared, since nothing stays in it.
static char bytes[65536];

static void drop(struct client *client, evutil_socket_t fd) {
  event_free(client->reading);
  event_free(client->writing);
  free(client->rest);
  free(client);
  close(fd);
}

static void can_read(evutil_socket_t fd, short what, void *context) {
  (void)what;
  struct client *client = context;
  ssize_t count = read(fd, bytes, sizeof bytes);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) return drop(client, fd);
  ssize_t sent = send(fd, bytes, (size_t)count, MSG_NOSIGNAL);
  if (sent == count) return;
  if (sent < 0 && errno != EAGAIN) return drop(client, fd);
  if (sent < 0) sent = 0;
  // Nothing more is read before this is sent.
  client->start = 0;
  client->end = (size_t)(count - sent);
  client->rest = malloc(client->end);
  memcpy(client->rest, bytes + sent, client->end);
  event_del(client->reading);
  event_add(client->writing, NULL);
}

static void can_write(evutil_socket_t fd, short what, void *context) {
  (void)what;
  struct client *client = context;
  ssize_t sent = send(fd, client->rest + client->start, client->end - client->start, MSG_NOSIGNAL);
  if (sent < 0 && errno == EAGAIN) return;
  if (sent < 0) return drop(client, fd);
  client->start += (size_t)sent;
  if (client->start < client->end) return;
  free(client->rest);
  client->rest = NULL;
  event_del(client->writing);
  event_add(client->reading, NULL);
}

static void can_accept(evutil_socket_t listener, short what, void *context) {
  (void)what;
  struct event_base *base = context;
  int fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct client *client = calloc(1, sizeof *client);
    client->reading = event_new(base, fd, EV_READ | EV_PERSIST, can_read, client);
    client->writing = event_new(base, fd, EV_WRITE | EV_PERSIST, can_write, client);
    event_add(client->reading, NULL);
  }
}

int listen_on_loopback(int *port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 4096) != 0) return -1;
  getsockname(fd, (struct sockaddr *)&address, &length);
  *port = ntohs(address.sin_port);
  return fd;
}

void raw_echo_serve(void) {
  struct event_config *config = event_config_new();
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  struct event_base *base = event_base_new_with_config(config);
  int port = 0;
  int fd = listen_on_loopback(&port);
  if (fd < 0) return;
  struct event *accepting = event_new(base, fd, EV_READ | EV_PERSIST, can_accept, base);
  event_add(accepting, NULL);
  printf("%d\n", port);
  fflush(stdout);
  event_base_dispatch(base);
}
