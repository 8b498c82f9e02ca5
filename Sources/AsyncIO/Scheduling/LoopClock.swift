// SPDX-License-Identifier: Apache-2.0
//
// The seam between a loop and time.

import Glibc

/// What a loop reads the time from, and asks how long it may wait. The real clock waits; a test's clock moves.
package protocol LoopClock: AnyObject, Sendable {
  /// The present time. It never goes back. Any thread.
  var now: Deadline { get }

  /// A number that changes every few milliseconds, and is cheap to read: how a busy loop notices that time passes.
  var tick: Int64 { get }

  /// How long the loop may wait, when it has nothing to do before a deadline (`nil`: nothing at all to wait for).
  func limit(until deadline: Deadline?) -> WaitLimit
}

/// `CLOCK_MONOTONIC`: not moved by changes of the wall clock, and standing still while the machine is suspended.
package final class MonotonicClock: LoopClock {
  private let grain: Int64

  /// - Parameter grain: How exact the waits of the loop are, in nanoseconds. A deadline that has come less than that ago
  ///   is waited for to the grain's end, as if the wait had begun before it.
  package init(grain: Int64 = 1) { self.grain = grain }

  package var now: Deadline { Deadline(nanoseconds: KernelClock.nanoseconds(CLOCK_MONOTONIC)) }

  package var tick: Int64 { KernelClock.nanoseconds(CLOCK_MONOTONIC_COARSE) }

  package func limit(until deadline: Deadline?) -> WaitLimit {
    guard let deadline, deadline != .never else { return .forever }
    let present = now
    if deadline > present { return .nanoseconds(deadline.nanoseconds - present.nanoseconds) }
    let grainEnd = (deadline.nanoseconds + grain - 1) / grain * grain
    return grainEnd <= present.nanoseconds ? .poll : .nanoseconds(1)
  }
}
