// SPDX-License-Identifier: Apache-2.0
//
// A child after the other, by the plainest means.

#include "stopwatch.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

extern char **environ;

struct raw_reading raw_spawn(uint64_t n) {
  char *words[] = {"/bin/true", 0};
  struct raw_reading start = start_watch();
  for (uint64_t i = 0; i < n; i++) {
    pid_t child;
    int status;
    if (posix_spawn(&child, words[0], 0, 0, words, environ) != 0) abort();
    while (waitpid(child, &status, 0) < 0)
      if (errno != EINTR) abort();
    if (status != 0) abort();
  }
  return since(start);
}
