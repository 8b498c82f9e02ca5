// SPDX-License-Identifier: Apache-2.0
//
// Calls of Linux and of libdispatch that Swift's own modules do not show: those that glibc declares for _GNU_SOURCE only,
// and the door through which Foundation's run loop serves the main queue. Declared here, compiled nowhere.

#ifndef CLINUX_SHIM_H
#define CLINUX_SHIM_H

// eventfd(2): a counter behind a descriptor. The flags are those of sys/eventfd.h.
int eventfd(unsigned int initial, int flags);
enum { CLINUX_EFD_CLOEXEC = 02000000, CLINUX_EFD_NONBLOCK = 00004000 };

// timerfd_create(2): a clock's alarm behind a descriptor. The flags are those of sys/timerfd.h.
int timerfd_create(int clock, int flags);
enum { CLINUX_TFD_CLOEXEC = 02000000, CLINUX_TFD_NONBLOCK = 00004000 };

// timerfd_settime(2): the alarm goes off once, at a time on its clock; 0: never.
static inline int clinux_timerfd_set(int descriptor, long nanoseconds) {
  struct itimerspec;
  extern int timerfd_settime(int, int, const struct itimerspec *_Nonnull, struct itimerspec *_Nullable);
  // The interval, and the time, both in seconds and nanoseconds.
  long time[4] = {0, 0, nanoseconds / 1000000000, nanoseconds % 1000000000};
  return timerfd_settime(descriptor, 1 /* TFD_TIMER_ABSTIME */, (const struct itimerspec *)time, 0);
}

// accept4(2). The flags are those of sys/socket.h.
int accept4(int descriptor, void *_Nullable address, unsigned int *_Nullable length, int flags);
enum { CLINUX_SOCK_CLOEXEC = 02000000, CLINUX_SOCK_NONBLOCK = 00004000 };

// gettid(2): the number of the calling thread; on the main thread, that of the process.
int gettid(void);

// pthread_setname_np(3), for the calling thread: at most 15 bytes.
static inline int clinux_set_thread_name(const char *_Nonnull name) {
  extern int prctl(int, ...);
  return prctl(15 /* PR_SET_NAME */, name);
}

// The descriptor that is readable when the main queue has work. Call it on the main thread only; libdispatch owns it.
int _dispatch_get_main_queue_port_4CF(void);

// Runs what the main queue holds. Call it on the main thread only; the argument is ignored.
void _dispatch_main_queue_callback_4CF(void *_Nullable message);

#endif
