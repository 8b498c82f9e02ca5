// SPDX-License-Identifier: Apache-2.0

#include "raw_libevent.h"
#include "stopwatch.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

static uint64_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 33;
}

struct timers {
  struct event_base *base;
  struct event *events;
  uint64_t n, left, random;
  const uint32_t *permutation;
  struct event turn;
};

static struct timers make_timers(uint64_t n, uint64_t events) {
  struct event_config *config = event_config_new();
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  struct timers timers = {.n = n, .left = n, .random = 42};
  timers.base = event_base_new_with_config(config);
  timers.events = calloc(events, sizeof *timers.events);
  event_config_free(config);
  return timers;
}

// Runs a callback in the loop's first turn, and the loop until somebody stops it; then frees everything.
static struct raw_reading run(struct timers *timers, event_callback_fn first) {
  event_assign(&timers->turn, timers->base, -1, 0, first, timers);
  event_active(&timers->turn, EV_TIMEOUT, 0);
  struct raw_reading start = start_watch();
  event_base_loop(timers->base, EVLOOP_NO_EXIT_ON_EMPTY);
  struct raw_reading taken = since(start);
  event_base_free(timers->base);
  free(timers->events);
  return taken;
}

static void add(struct timers *timers, uint64_t index, event_callback_fn callback, uint64_t microseconds) {
  struct timeval delay = {(time_t)(microseconds / 1000000), (suseconds_t)(microseconds % 1000000)};
  event_assign(&timers->events[index], timers->base, -1, 0, callback, timers);
  event_add(&timers->events[index], &delay);
}

static void fired(evutil_socket_t fd, short what, void *context) {
  (void)fd, (void)what;
  struct timers *timers = context;
  if (--timers->left == 0) event_base_loopbreak(timers->base);
}

static void arm_all(evutil_socket_t fd, short what, void *context) {
  (void)fd, (void)what;
  struct timers *timers = context;
  for (uint64_t i = 0; i < timers->n; i++) add(timers, i, fired, next_random(&timers->random) % 50000);
}

struct raw_reading raw_timers_fire(uint64_t n) {
  struct timers timers = make_timers(n, n);
  return run(&timers, arm_all);
}

static void arm_and_cancel(evutil_socket_t fd, short what, void *context) {
  (void)fd, (void)what;
  struct timers *timers = context;
  for (uint64_t i = 0; i < timers->n; i++)
    add(timers, i, fired, 30000000 + next_random(&timers->random) % 10000000);
  for (uint64_t i = 0; i < timers->n; i++)
    event_del(&timers->events[timers->permutation ? timers->permutation[i] : i]);
  event_base_loopbreak(timers->base);
}

struct raw_reading raw_timers_cancel(uint64_t n, const uint32_t *permutation) {
  struct timers timers = make_timers(n, n);
  timers.permutation = permutation;
  return run(&timers, arm_and_cancel);
}

enum { idle_timeouts = 100000, pushes_in_turn = 64 };

static void push_back(evutil_socket_t fd, short what, void *context) {
  (void)fd, (void)what;
  struct timers *timers = context;
  struct timeval delay = {30, 0};
  for (int i = 0; i < pushes_in_turn && timers->left > 0; i++, timers->left--)
    event_add(&timers->events[next_random(&timers->random) % idle_timeouts], &delay);
  if (timers->left == 0) {
    event_base_loopbreak(timers->base);
  } else {
    event_active(&timers->turn, EV_TIMEOUT, 0);
  }
}

struct raw_reading raw_timers_churn(uint64_t n) {
  struct timers timers = make_timers(n, idle_timeouts);
  for (uint64_t i = 0; i < idle_timeouts; i++) add(&timers, i, fired, 30000000);
  return run(&timers, push_back);
}
