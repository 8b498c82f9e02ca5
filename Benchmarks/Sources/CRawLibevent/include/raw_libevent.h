// SPDX-License-Identifier: Apache-2.0
//
// The workloads of loop-bench in C, on libevent alone: a base without locks, events in one array.
// Each runs n operations, and returns what they took.

#ifndef RAW_LIBEVENT_H
#define RAW_LIBEVENT_H

#include <stdint.h>

// In nanoseconds.
struct raw_reading {
  uint64_t wall, processor;
};

// n events assigned and made active in one go, then run.
struct raw_reading raw_soon_batch(uint64_t n);

// An event whose callback makes the next one active, n times.
struct raw_reading raw_soon_chain(uint64_t n);

// n callbacks from another thread, through a queue under a mutex and an eventfd.
struct raw_reading raw_threadsafe(uint64_t n);

// n timers at 0 to 50 ms, added in one turn, run until all have fired.
struct raw_reading raw_timers_fire(uint64_t n);

// n timers at 30 to 40 s, all removed again: in order, or in the order of `permutation`.
struct raw_reading raw_timers_cancel(uint64_t n, const uint32_t *permutation);

// 100,000 timeouts; n times a random one is pushed back to 30 s from now, 64 a turn.
struct raw_reading raw_timers_churn(uint64_t n);

// n children, one after the other: posix_spawn of /bin/true, and waitpid. No libevent.
struct raw_reading raw_spawn(uint64_t n);

// Keeps the calling thread on a core; -1: on any. Where two threads talk, the kernel puts them on one core or on two, and
// the time differs by half: a comparison has to say which.
void pin_to_core(int core);

// Gives what was freed, and malloc keeps for the next who asks, back to the system.
void give_back_freed_memory(void);

#endif
