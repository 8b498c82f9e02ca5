// SPDX-License-Identifier: Apache-2.0
//
// The test kit's clock, for the loops that tests make themselves.

@testable import AsyncIO
import AsyncIOTesting

/// A test's clock, for a loop that the test makes itself: it stands still while there is work, and jumps when there is
/// none.
final class VirtualClock: LoopClock {
  private let clock: TestClock

  init(nanoseconds: Int64 = 1_000_000_000) { clock = TestClock(start: nanoseconds) }

  var now: Deadline { clock.now }
  var tick: Int64 { clock.tick }

  func limit(until deadline: Deadline?) -> WaitLimit {
    guard let deadline, deadline != .never else { return .forever }
    clock.move(to: deadline)
    return .poll
  }

  /// Moves on while a callback runs.
  func advance(by duration: Duration) { clock.advance(by: duration) }
}
