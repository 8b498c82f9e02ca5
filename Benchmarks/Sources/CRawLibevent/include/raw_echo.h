// SPDX-License-Identifier: Apache-2.0
//
// Echo servers' load, and the server in C on libevent alone: read and write on readiness.

#ifndef RAW_ECHO_H
#define RAW_ECHO_H

#include <stddef.h>
#include <stdint.h>

// Serves on a port of the loopback interface, which it writes to standard output. It returns when that fails.
void raw_echo_serve(void);

// Raises this process's limit of descriptors as far as it may.
void allow_all_descriptors(void);

// A non-blocking listening socket on the loopback interface; -1 when that fails.
int listen_on_loopback(int *_Nonnull port);

// A connected socket; -1 when that fails.
int connect_to_loopback(int port);

// In nanoseconds.
struct echo_reading {
  uint64_t wall, p50, p99;
};

// Some connections, on each of which one request after the other goes out and comes back, until so many are done in all.
// -1 when the server fails.
int echo_load(int port, int connections, size_t size, uint64_t requests, struct echo_reading *_Nonnull reading);

#endif
