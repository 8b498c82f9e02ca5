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

  /// When the callback is due, on the loop's clock; also after it has run, or was cancelled.
  public let deadline: EventLoop.Instant

  let id: TimerID?

  /// Cancels the callback, and lets go of its closure, at once; without effect when it has run, or was cancelled.
  ///
  /// - Parameter isolation: The loop, on which alone this can be called; leave it to its default.
  public func cancel(isolation: isolated EventLoop = #isolation) {
    isolation.requireSame(loop, "TimerHandle.cancel")
    if let id { isolation.cancelTimer(id) }
  }

  /// Whether the callback still waits: for its deadline, or for its turn.
  ///
  /// - Parameter isolation: The loop, on which alone this can be called; leave it to its default.
  public func isPending(isolation: isolated EventLoop = #isolation) -> Bool {
    isolation.requireSame(loop, "TimerHandle.isPending")
    guard let id else { return false }
    return isolation.executor.timers.isPending(id)
  }

  /// A short text for logs.
  public var description: String { "TimerHandle(\(deadline))" }
}

extension EventLoop {
  /// Stops the program when something of another loop is used on this one.
  func requireSame(_ loop: ObjectIdentifier, _ caller: StaticString) {
    precondition(
      loop == ObjectIdentifier(self), "\(caller): it belongs to another event loop; call it on that one")
  }

  func cancelTimer(_ id: TimerID) {
    // The callback goes at the end of this function: what its captures' deinit does finds the queue in order.
    _ = executor.timers.cancel(id)
  }
}
