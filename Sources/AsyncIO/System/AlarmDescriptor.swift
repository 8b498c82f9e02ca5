// SPDX-License-Identifier: Apache-2.0
//
// The timerfd that ends a loop's wait in time.

import CLinux
import Glibc

/// A descriptor that becomes readable at a point on `CLOCK_MONOTONIC`, and not before.
struct AlarmDescriptor: ~Copyable {
  private let owned: OwnedDescriptor

  init() throws(SystemError) {
    let raw = timerfd_create(CLOCK_MONOTONIC, Int32(CLINUX_TFD_NONBLOCK | CLINUX_TFD_CLOEXEC))
    guard raw >= 0 else { throw SystemError(.last, in: "timerfd_create") }
    owned = OwnedDescriptor(owning: raw)
  }

  var rawValue: Int32 { owned.rawValue }

  /// Sets the time, in place of the one before; `nil`: never. It is not readable now, unless the time has passed.
  ///
  /// - Returns: Whether the kernel took it, which it always does.
  func set(_ nanoseconds: Int64?) -> Bool { clinux_timerfd_set(owned.rawValue, Int(nanoseconds ?? 0)) == 0 }
}
