// SPDX-License-Identifier: Apache-2.0
//
// The clocks of the kernel.

import Glibc
import SwiftOverlayShims

enum KernelClock {
  /// The time of a clock that every Linux has, in nanoseconds.
  static func nanoseconds(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    // SAFETY: the pointer is to a local that outlives the call.
    unsafe clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
