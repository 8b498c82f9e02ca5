// SPDX-License-Identifier: Apache-2.0
//
// Calls of Linux, of libdispatch and of Swift's runtime that Swift's own modules do not show: those that glibc declares for
// _GNU_SOURCE only, the door through which Foundation's run loop serves the main queue, and the number of the running
// task. Declared here, compiled nowhere.

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

// A hint to the processor: this memory will be read or written soon. Harmless for any address.
static inline void clinux_prefetch(const void *_Nonnull address) { __builtin_prefetch(address); }

// pipe2(2): a pipe whose ends are close-on-exec from birth. The flag is that of fcntl.h.
int pipe2(int *_Nonnull ends, int flags);
enum { CLINUX_PIPE_CLOEXEC = 02000000 };

// What glibc adds to posix_spawn(3): a new session, a directory, and the end of all descriptors from a number on.
enum { CLINUX_SPAWN_SETSID = 0x80 };
int posix_spawn_file_actions_addchdir_np(void *_Nonnull actions, const char *_Nonnull path);
int posix_spawn_file_actions_addclosefrom_np(void *_Nonnull actions, int from);

// pidfd_open(2): a descriptor that stands for a process. Its number, and the next one's, are those of all machines.
static inline int clinux_pidfd_open(int process) {
  extern long syscall(long, ...);
  return (int)syscall(434, process, 0u);
}

// pidfd_send_signal(2).
static inline int clinux_pidfd_send_signal(int descriptor, int signal) {
  extern long syscall(long, ...);
  return (int)syscall(424, descriptor, signal, (void *)0, 0u);
}

// environ(7), which clearenv(3) makes null.
static inline char *_Nullable *_Nullable clinux_environ(void) {
  extern char **environ;
  return environ;
}

// sched_getaffinity(2): how many processors the calling thread may run on, of 65,536 at most; 0 when it cannot be asked.
static inline int clinux_usable_processors(void) {
  extern int sched_getaffinity(int, __SIZE_TYPE__, void *_Nonnull);
  unsigned long set[8192 / sizeof(unsigned long)] = {0};
  if (sched_getaffinity(0, sizeof set, set) != 0) return 0;
  int count = 0;
  for (unsigned long place = 0; place < sizeof set / sizeof set[0]; ++place) count += __builtin_popcountl(set[place]);
  return count;
}

// gettid(2): the number of the calling thread; on the main thread, that of the process.
int gettid(void);

// pthread_setname_np(3), for the calling thread: at most 15 bytes.
static inline int clinux_set_thread_name(const char *_Nonnull name) {
  extern int prctl(int, ...);
  return prctl(15 /* PR_SET_NAME */, name);
}

// The object of the Swift task that runs on this thread; null outside of one. `withUnsafeCurrentTask` gives the same, and
// retains it, which costs a lock as much as all the rest of its work.
__attribute__((swiftcall)) const void *_Nullable swift_task_getCurrent(void);

// The descriptor that is readable when the main queue has work. Call it on the main thread only; libdispatch owns it.
int _dispatch_get_main_queue_port_4CF(void);

// Runs what the main queue holds. Call it on the main thread only; the argument is ignored.
void _dispatch_main_queue_callback_4CF(void *_Nullable message);

#endif
