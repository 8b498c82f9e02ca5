// SPDX-License-Identifier: Apache-2.0
//
// The client of the echo servers: a loop on epoll that does as little as can be.

#define _GNU_SOURCE
#include "raw_echo.h"
#include "stopwatch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int connect_to_loopback(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) return -1;
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

struct talk {
  int fd;
  size_t sent, received;
  uint64_t start;
};

static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

// Sends what is left of the request. -1: the server is gone.
static int go_on(struct talk *talk, int epoll, const char *request, size_t size) {
  while (talk->sent < size) {
    ssize_t count = send(talk->fd, request + talk->sent, size - talk->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN) return -1;
    if (count < 0) break;
    talk->sent += (size_t)count;
  }
  (void)epoll;
  return 0;
}

int echo_load(int port, int connections, size_t size, uint64_t requests, struct echo_reading *reading) {
  struct talk *talks = calloc((size_t)connections, sizeof *talks);
  uint32_t *times = calloc(requests, sizeof *times);
  char *request = malloc(size), *reply = malloc(size > 65536 ? size : 65536);
  struct epoll_event *events = calloc((size_t)connections, sizeof *events);
  memset(request, 'x', size);
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < connections; i++) {
    talks[i].fd = connect_to_loopback(port);
    if (talks[i].fd < 0) return -1;
    // Edges: both directions are looked at whenever something has happened.
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = (uint32_t)i};
    epoll_ctl(epoll, EPOLL_CTL_ADD, talks[i].fd, &event);
  }
  uint64_t begun = 0, done = 0, start = now();
  for (int i = 0; i < connections && begun < requests; i++, begun++) {
    talks[i].start = now();
    if (go_on(&talks[i], epoll, request, size) != 0) return -1;
  }
  while (done < requests) {
    int count = epoll_wait(epoll, events, connections, 10000);
    if (count <= 0) return -1;
    for (int i = 0; i < count; i++) {
      struct talk *talk = &talks[events[i].data.u32];
      if (go_on(talk, epoll, request, size) != 0) return -1;
      while (talk->received < talk->sent) {
        ssize_t got = recv(talk->fd, reply, size - talk->received, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN)) return -1;
        if (got < 0) break;
        talk->received += (size_t)got;
        if (talk->received < size) continue;
        uint64_t time = now();
        times[done++] = (uint32_t)(time - talk->start);
        talk->sent = talk->received = 0;
        if (begun == requests) break;
        begun++;
        talk->start = time;
        if (go_on(talk, epoll, request, size) != 0) return -1;
        if (size <= 4096) break;
      }
    }
  }
  reading->wall = now() - start;
  qsort(times, requests, sizeof *times, by_value);
  reading->p50 = times[requests / 2];
  reading->p99 = times[requests - 1 - requests / 100];
  for (int i = 0; i < connections; i++) close(talks[i].fd);
  close(epoll);
  free(talks), free(times), free(request), free(reply), free(events);
  return 0;
}
