// SPDX-License-Identifier: Apache-2.0
//
// Waiting for a point in time.

/// Waits for a while, by a timer of the running loop. asyncio's `sleep`.
///
/// - Parameter duration: Zero or negative: gives the turn to all that is ready, and goes on in the next. Beyond 292
///   years: never ends.
/// - Cancellation: Removes the timer, and throws `CancellationError`.
/// - Throws: ``NoRunningLoopError`` when no loop runs on this thread.
public func sleep(for duration: Duration) async throws {
  try await EventLoop.running.sleep(for: duration)
}

/// Waits until a point on the running loop's clock.
///
/// - Parameter deadline: One that has passed gives the turn to all that is ready, and goes on in the next.
/// - Cancellation: Removes the timer, and throws `CancellationError`.
/// - Throws: ``NoRunningLoopError`` when no loop runs on this thread.
public func sleep(until deadline: EventLoop.Instant) async throws {
  try await EventLoop.running.sleep(until: deadline)
}

extension EventLoop {
  /// Waits for a while, by a timer of this loop. See ``sleep(for:)-(Duration)``.
  public func sleep(for duration: Duration) async throws {
    // Only a task of the loop stays there for ever.
    if isClosing && executor.currentTask == nil { throw LoopClosedError() }
    let waiter = Waiter()
    // Before the timer: a Swift task that is none of the loop's may lose its turn on the way into the wait.
    waiter.begin()
    if duration <= .zero {
      callSoon { waiter.wake() }
      return try await waiter.wait(on: executor)
    }
    let timer = callLater(duration) { waiter.wake() }.id
    defer { cancelTimer(timer) }
    try await waiter.wait(on: executor)
  }

  /// Waits until a point on this loop's clock.
  public func sleep(until deadline: Instant) async throws {
    // Only a task of the loop stays there for ever.
    if isClosing && executor.currentTask == nil { throw LoopClosedError() }
    let waiter = Waiter()
    // Before the timer: a Swift task that is none of the loop's may lose its turn on the way into the wait.
    waiter.begin()
    let timer = callAt(deadline) { waiter.wake() }.id
    defer { cancelTimer(timer) }
    try await waiter.wait(on: executor)
  }

  /// A loop's clock, for code that is generic over clocks: monotonic, in nanoseconds, standing still while the machine
  /// is suspended.
  public struct Clock: _Concurrency.Clock, Sendable {
    let loop: EventLoop

    /// The present time. Any thread.
    public var now: Instant { loop.now }

    /// A nanosecond: the unit of deadlines. How late a timer may be is the loop's `timerPrecision`.
    public var minimumResolution: Duration { .nanoseconds(1) }

    /// Waits until a point in time, by a timer of the loop.
    ///
    /// - Cancellation: Removes the timer, and throws `CancellationError`.
    public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
      try await loop.sleep(until: deadline)
    }
  }

  /// The loop's clock.
  public nonisolated var clock: Clock { Clock(loop: self) }
}
