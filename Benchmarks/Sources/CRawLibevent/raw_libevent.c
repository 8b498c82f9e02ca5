// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "raw_libevent.h"
#include "stopwatch.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct event_base *make_base(void) {
  struct event_config *config = event_config_new();
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  struct event_base *base = event_base_new_with_config(config);
  event_config_free(config);
  return base;
}

struct count {
  struct event_base *base;
  uint64_t left;
};

// One callback of the batch: the same work as in the Swift program, a count.
static void count_down(evutil_socket_t fd, short what, void *context) {
  (void)fd, (void)what;
  struct count *count = context;
  if (--count->left == 0) event_base_loopbreak(count->base);
}

struct raw_reading raw_soon_batch(uint64_t n) {
  struct event_base *base = make_base();
  struct event *events = calloc(n, sizeof *events);
  struct count count = {base, n};
  struct raw_reading start = start_watch();
  // Assigned here, since the other side makes its entries here, too.
  for (uint64_t i = 0; i < n; i++) {
    event_assign(&events[i], base, -1, 0, count_down, &count);
    event_active(&events[i], EV_TIMEOUT, 0);
  }
  event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
  struct raw_reading taken = since(start);
  free(events);
  event_base_free(base);
  return taken;
}

struct chain {
  struct event_base *base;
  struct event event;
  uint64_t left;
};

static void next_link(evutil_socket_t fd, short what, void *context) {
  (void)fd, (void)what;
  struct chain *chain = context;
  if (--chain->left == 0) {
    event_base_loopbreak(chain->base);
  } else {
    event_active(&chain->event, EV_TIMEOUT, 0);
  }
}

struct raw_reading raw_soon_chain(uint64_t n) {
  struct chain chain = {make_base(), {{{0}}}, n};
  event_assign(&chain.event, chain.base, -1, 0, next_link, &chain);
  struct raw_reading start = start_watch();
  event_active(&chain.event, EV_TIMEOUT, 0);
  event_base_loop(chain.base, EVLOOP_NO_EXIT_ON_EMPTY);
  struct raw_reading taken = since(start);
  event_base_free(chain.base);
  return taken;
}

void pin_to_core(int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (core >= 0) {
    CPU_SET(core, &cores);
  } else {
    for (int i = 0; i < CPU_SETSIZE; i++) CPU_SET(i, &cores);
  }
  // Without a second core it fails, and both threads share the first.
  (void)sched_setaffinity(0, sizeof cores, &cores);
}

void give_back_freed_memory(void) { malloc_trim(0); }

struct node {
  struct node *next;
  void (*callback)(void *);
  void *context;
};

struct queue {
  pthread_mutex_t lock;
  struct node *first, **last;
  int descriptor;
  uint64_t n;
  struct count count;
};

static void counted(void *context) { count_down(-1, 0, context); }

static void *produce(void *context) {
  struct queue *queue = context;
  pin_to_core(1);
  for (uint64_t i = 0; i < queue->n; i++) {
    struct node *node = malloc(sizeof *node);
    node->next = NULL;
    node->callback = counted;
    node->context = &queue->count;
    pthread_mutex_lock(&queue->lock);
    int was_empty = queue->first == NULL;
    *queue->last = node;
    queue->last = &node->next;
    pthread_mutex_unlock(&queue->lock);
    if (was_empty) eventfd_write(queue->descriptor, 1);
  }
  return NULL;
}

static void consume(evutil_socket_t fd, short what, void *context) {
  (void)what;
  struct queue *queue = context;
  eventfd_t count;
  eventfd_read(fd, &count);
  pthread_mutex_lock(&queue->lock);
  struct node *node = queue->first;
  queue->first = NULL;
  queue->last = &queue->first;
  pthread_mutex_unlock(&queue->lock);
  while (node) {
    struct node *next = node->next;
    node->callback(node->context);
    free(node);
    node = next;
  }
}

struct raw_reading raw_threadsafe(uint64_t n) {
  struct queue queue = {.n = n};
  pthread_mutex_init(&queue.lock, NULL);
  queue.last = &queue.first;
  queue.descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  queue.count = (struct count){make_base(), n};
  struct event *event = event_new(queue.count.base, queue.descriptor, EV_READ | EV_PERSIST, consume, &queue);
  event_add(event, NULL);
  pthread_t thread;
  pin_to_core(0);
  struct raw_reading start = start_watch();
  pthread_create(&thread, NULL, produce, &queue);
  event_base_loop(queue.count.base, 0);
  struct raw_reading taken = since(start);
  pthread_join(thread, NULL);
  pin_to_core(-1);
  event_free(event);
  event_base_free(queue.count.base);
  close(queue.descriptor);
  return taken;
}
