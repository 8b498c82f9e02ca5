// SPDX-License-Identifier: Apache-2.0
//
// The way of a cancel request.

import Synchronization

extension AnyLoopTask {
  /// How many cancel requests are in force: those that came, less those that ``uncancel(isolation:)`` took back. Any
  /// thread.
  public final var cancelling: Int { requests.load(ordering: .relaxed) }

  /// Takes back one cancel request, for a block that has cancelled its own task and has dealt with it: asyncio's
  /// `uncancel`.
  ///
  /// With the last one, a request that has not been delivered yet is dropped: no await will throw for it. Swift's own
  /// flag (`Task.isCancelled`) cannot be taken back once it is set.
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

  /// Asks for a request again that a wait has heard and has not delivered: the next await is interrupted. The loop's
  /// thread.
  final func oweAgain() { if cancelling > 0 { due = .cancellation } }

  /// Delivers a request. The loop's thread.
  final func request(_ reason: CancellationReason) -> Bool {
    if isDone { return false }
    var next: [AnyFuture] = []
    take(reason, &next)
    Self.ask(next, reason)
    return true
  }

  /// Delivers a request to tasks, and to those that they await. The loop's thread.
  ///
  /// A list, since a chain may be longer than the stack. Tasks may await each other in a circle: so many steps that
  /// there must be one, and each task is asked once more at most.
  static func ask(_ futures: [AnyFuture], _ reason: CancellationReason) {
    var next = futures
    var step = 0
    var asked: Set<AnyFuture> = []
    while step < next.count, let task = next[step] as? AnyLoopTask {
      step += 1
      if step > task.loop.executor.residents.count, !asked.insert(task).inserted { continue }
      if !task.isDone { task.take(reason, &next) }
    }
  }

  /// Takes note of a request, and passes it on to what it awaits.
  private final func take(_ reason: CancellationReason, _ next: inout [AnyFuture]) {
    requests.add(1, ordering: .relaxed)
    if self.reason == nil { self.reason = reason }
    guard hasStarted else { return due = .cancellation }
    // The flag is for child tasks and other libraries; their cancellation handlers run here and now.
    swiftTask?.cancel()
    guard let awaited else {
      if let waiter = unsafe waiter {
        // One that was woken is about to go on, and hears it then.
        if !waiter.cancel() { due = .cancellation }
        return
      }
      due = loop.executor.currentTask === self ? .cancellation : max(due, .interruption)
      return
    }
    // What has ended already cannot hear it, and its waiter is about to go on.
    if !awaited.pass(reason, to: &next) { due = .cancellation }
  }
}

extension AnyLoopTask.Due: Comparable {
  static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}
