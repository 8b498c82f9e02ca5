// SPDX-License-Identifier: Apache-2.0
//
// How many processors there are for this code, which may be fewer than the machine has.

import CLinux
import Glibc

enum Processors {
  /// How many processors the calling thread, and the threads that it starts, may run on: what `taskset`, a cpuset or a
  /// container leaves to it (`sched_getaffinity(2)`). 1 or more.
  static var usable: Int {
    let count = Int(clinux_usable_processors())
    // Where that may not be asked: those that the machine has.
    return count > 0 ? count : max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
  }
}
