// SPDX-License-Identifier: Apache-2.0
//
// What can be done with a callback that has not run yet.

/// A callback that was scheduled for the next turn.
///
/// It is a name, not an owner: dropping it does not cancel the callback.
public struct CallbackHandle: Sendable, CustomStringConvertible {
  /// Which loop's it is; the loop itself comes with the isolation.
  let loop: ObjectIdentifier
  let ticket: ReadyQueue.Ticket

  /// Cancels the callback, and lets go of its closure, at once; without effect when it has run, or was cancelled.
  ///
  /// - Parameter isolation: The loop, on which alone this can be called; leave it to its default.
  public func cancel(isolation: isolated EventLoop = #isolation) {
    isolation.requireSame(loop, "CallbackHandle.cancel")
    isolation.executor.ready.cancel(ticket)
  }

  /// Whether the callback still waits for its turn.
  ///
  /// - Parameter isolation: The loop, on which alone this can be called; leave it to its default.
  public func isPending(isolation: isolated EventLoop = #isolation) -> Bool {
    isolation.requireSame(loop, "CallbackHandle.isPending")
    return isolation.executor.ready.isPending(ticket)
  }

  /// A short text for logs.
  public var description: String { "CallbackHandle(#\(ticket))" }
}

/// A callback that was scheduled for a point in time.
///
/// It is a name, not an owner: dropping it does not cancel the callback.
public struct TimerHandle: Sendable, CustomStringConvertible {
  /// Which loop's it is; the loop itself comes with the isolation.
  let loop: ObjectIdentifier

  /// When the callback was due first, on the loop's clock; also after it has run, or was cancelled or rescheduled.
  public let deadline: EventLoop.Instant

  let id: TimerID

  /// Cancels the callback, and lets go of its closure, at once; without effect when it has run, or was cancelled.
  ///
  /// - Parameter isolation: The loop, on which alone this can be called; leave it to its default.
  public func cancel(isolation: isolated EventLoop = #isolation) {
    isolation.requireSame(loop, "TimerHandle.cancel")
    isolation.cancelTimer(id)
  }

  /// Moves the callback to another time, later or earlier, for the price of a write to memory: the way to push back a
  /// timeout with each byte that comes. Without effect when the callback has run, or was cancelled.
  ///
  /// - Parameters:
  ///   - delay: From the moment when the loop next looks at its clock, which it does within this turn or after it; that
  ///     spares a look for each call. Zero or negative: the next turn. Beyond 292 years: never.
  ///   - isolation: The loop, on which alone this can be called; leave it to its default.
  /// - Complexity: O(1).
  public func reschedule(after delay: Duration, isolation: isolated EventLoop = #isolation) {
    isolation.requireSame(loop, "TimerHandle.reschedule")
    let nanoseconds = delay.saturatingNanoseconds
    if nanoseconds <= 0 {
      isolation.rearm(id, at: isolation.timeSource.now.advanced(by: delay), isDue: true)
    } else if !isolation.executor.timers.push(id, by: nanoseconds) {
      isolation.executor.timers.settle(isolation.timeSource.now)
    }
  }

  /// Moves the callback to another point on the loop's clock; as ``reschedule(after:isolation:)`` in all else.
  ///
  /// - Parameters:
  ///   - deadline: One that has passed means the next turn.
  ///   - isolation: The loop, on which alone this can be called; leave it to its default.
  public func reschedule(at deadline: EventLoop.Instant, isolation: isolated EventLoop = #isolation) {
    isolation.requireSame(loop, "TimerHandle.reschedule")
    let isDue = deadline.deadline <= isolation.timeSource.now
    isolation.rearm(id, at: deadline.deadline, isDue: isDue)
  }

  /// When the callback is due now, after all rescheduling; `nil` when it has run, or was cancelled.
  ///
  /// - Parameter isolation: The loop, on which alone this can be called; leave it to its default.
  public func nextDeadline(isolation: isolated EventLoop = #isolation) -> EventLoop.Instant? {
    isolation.requireSame(loop, "TimerHandle.nextDeadline")
    isolation.executor.timers.settle(isolation.timeSource.now)
    return isolation.executor.timers.deadline(id).map { EventLoop.Instant($0) }
  }

  /// Whether the callback still waits: for its deadline, or for its turn.
  ///
  /// - Parameter isolation: The loop, on which alone this can be called; leave it to its default.
  public func isPending(isolation: isolated EventLoop = #isolation) -> Bool {
    isolation.requireSame(loop, "TimerHandle.isPending")
    return isolation.executor.timers.isPending(id)
  }

  /// A short text for logs.
  public var description: String { "TimerHandle(\(deadline))" }
}

extension EventLoop {
  /// Stops the program when something of another loop is used on this one.
  func requireSame(_ loop: ObjectIdentifier, _ caller: StaticString) {
    guard loop == ObjectIdentifier(self) else {
      misuse(caller, "it belongs to another event loop; call it on that one")
    }
  }

  func rearm(_ id: TimerID, at deadline: Deadline, isDue: Bool) {
    if executor.timers.rearm(id, at: deadline) && isDue { pace.hasDueTimer = true }
  }

  func cancelTimer(_ id: TimerID) {
    // The callback goes at the end of this function: what its captures' deinit does finds the queue in order.
    _ = executor.timers.cancel(id)
  }
}
