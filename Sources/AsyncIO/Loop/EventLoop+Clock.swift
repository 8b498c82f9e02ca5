// SPDX-License-Identifier: Apache-2.0
//
// The loop's time.

extension EventLoop {
  /// A point on a loop's clock. Points of one process's real clocks can be compared with each other.
  public struct Instant: InstantProtocol, Sendable, CustomStringConvertible {
    let deadline: Deadline

    package init(_ deadline: Deadline) {
      self.deadline = deadline
    }

    /// The point some time later, or earlier. Beyond 292 years it saturates: a point that never comes.
    public func advanced(by duration: Duration) -> Instant { Instant(deadline.advanced(by: duration)) }

    /// The time from this point to another.
    public func duration(to other: Instant) -> Duration { other.deadline.duration(since: deadline) }

    /// Whether a point comes before another.
    public static func < (a: Instant, b: Instant) -> Bool { a.deadline < b.deadline }

    /// Seconds since the clock's origin.
    public var description: String { "\(Duration.nanoseconds(deadline.nanoseconds))" }
  }

  /// The present time on the loop's clock: asyncio's `time`.
  ///
  /// It is read anew each time, so it moves on while a callback runs; it never goes back, and no change of the wall
  /// clock moves it.
  ///
  /// - Threading: Any thread.
  public nonisolated var now: Instant { Instant(timeSource.now) }
}
