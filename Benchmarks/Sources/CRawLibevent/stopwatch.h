// SPDX-License-Identifier: Apache-2.0

#ifndef STOPWATCH_H
#define STOPWATCH_H

#include "raw_libevent.h"

#include <time.h>

static inline uint64_t nanoseconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline struct raw_reading start_watch(void) {
  return (struct raw_reading){nanoseconds(CLOCK_MONOTONIC), nanoseconds(CLOCK_PROCESS_CPUTIME_ID)};
}

static inline struct raw_reading since(struct raw_reading start) {
  struct raw_reading now = start_watch();
  return (struct raw_reading){now.wall - start.wall, now.processor - start.processor};
}

#endif
