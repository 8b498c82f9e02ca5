// SPDX-License-Identifier: Apache-2.0
//
// The way of a cancel request.

import Synchronization

extension AnyLoopTask {
  /// How many cancel requests are in force: those that came, less those that ``uncancel(isolation:)`` took back. Any thread.
  public final var cancelling: Int { requests.load(ordering: .relaxed) }

  /// Takes back one cancel request, for a block that has cancelled its own task and has dealt with it: asyncio's
  /// `uncancel`.
  ///
  /// With the last one, a request that has not been delivered yet is dropped: no await will throw for it. Swift's own flag
  /// (`Task.isCancelled`) cannot be taken back once it is set.
  ///
  /// - Parameter isolation: The loop, on which alone this can be called; leave it to its default.
  /// - Returns: How many are still in force. Never below 0; without effect on a task that has ended.
  @discardableResult
  public final func uncancel(isolation: isolated EventLoop = #isolation) -> Int {
    isolation.requireSame(ObjectIdentifier(loop), "uncancel")
    let count = cancelling
    guard count > 0, !isDone else { return count }
    requests.store(count - 1, ordering: .relaxed)
    if count == 1 {
      due = .nothing
      reason = nil
    }
    return count - 1
  }

  /// Delivers a request. The loop's thread.
  final func request(_ reason: CancellationReason) -> Bool {
    if isDone { return false }
    var task = self
    // A loop, since a chain may be longer than the stack; bounded, since tasks may await each other in a circle.
    for _ in 0..<loop.executor.residents.count {
      guard let inner = task.take(reason) else { break }
      task = inner
    }
    return true
  }

  /// Takes note of a request, and passes it on to the future that it awaits.
  ///
  /// - Returns: The task that it awaits, which is to be asked next.
  private final func take(_ reason: CancellationReason) -> AnyLoopTask? {
    requests.add(1, ordering: .relaxed)
    if self.reason == nil { self.reason = reason }
    guard hasStarted else {
      due = .cancellation
      return nil
    }
    // The flag is for child tasks and other libraries; their cancellation handlers run here and now.
    swiftTask?.cancel()
    guard let awaited else {
      due = loop.executor.currentTask === self ? .cancellation : max(due, .interruption)
      return nil
    }
    if let inner = awaited as? AnyLoopTask, !inner.isDone { return inner }
    // What has ended already cannot hear it, and its waiter is about to go on.
    if !awaited.cancel(reason) { due = .cancellation }
    return nil
  }
}

extension AnyLoopTask.Due: Comparable {
  static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}
