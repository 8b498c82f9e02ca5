// SPDX-License-Identifier: Apache-2.0
//
// The one point of suspension: everything of ours that waits, waits here.

extension Awaitable {
  /// Waits for the end, and returns the value.
  ///
  /// Of one that has ended already it returns at once, without giving up the turn.
  ///
  /// - Cancellation: Cancels what is awaited, and throws `CancellationError` once that has ended; `shield` keeps it.
  /// - Threading: Any thread. In a task of another loop: ``WrongLoopError``.
  /// - Throws: The error with which it ended, or `CancellationError`; ``LoopClosedError`` when its loop was closed
  ///   before the end; ``AwaitsItselfError`` in a task that awaits itself.
  @inlinable
  public var value: Success {
    get async throws {
      try await waitUntilDone()
      return try result()
    }
  }
}

extension AnyFuture {
  /// Waits for the end, whatever it is.
  ///
  /// - Parameter note: Is told which task waits.
  @usableFromInline
  package final func waitUntilDone(_ note: WaitNote? = nil) async throws {
    if isDone { return }
    let executor = loop.executor
    guard executor.isHeldByThisThread, let task = executor.currentTask else {
      if let running = ThreadLocals.running, running !== loop, running.executor.currentTask != nil {
        throw WrongLoopError()
      }
      return try await waitFromOutside()
    }
    note?.take(task)
    try await task.willWait(for: self)
    // The request that was due has ended it: nobody would tell us.
    if isDone { return task.awaited = nil }
    unsafe await suspendTask { continuation in
      // Asked again: another thread may have ended it since.
      if isDone { return unsafe continuation.resume() }
      task.waitToken = executor.makeTokens(1)
      unsafe observers.add(.continuation(continuation, task.waitToken))
    }
    try task.didWait(for: self)
  }

  /// The wait of a Swift task that is no task of this loop, on any thread. Swift's rule holds there: once cancelled, it
  /// stays cancelled.
  final func waitFromOutside() async throws {
    let executor = loop.executor
    if executor.isHeldByThisThread && !executor.isPreferredByThisTask {
      // It is isolated to the loop, and no more: each of its suspensions would end on the global pool, and go on from
      // there.
      try await withTaskExecutorPreference(executor) { try await waitCancellably() }
    } else {
      try await waitCancellably()
    }
  }

  private final func waitCancellably() async throws {
    try await withTaskCancellationHandler {
      try await waitUncancellably()
    } onCancel: {
      cancel(CancellationReason(.parent))
    }
  }

  /// The same, of one that hears no cancel. The closing of the loop tells it, too.
  final func waitUncancellably() async throws {
    if loop.executor.isHeldByThisThread {
      unsafe await suspendTask { continuation in
        addOutsider { unsafe .continuation(continuation, $0) }
      }
    } else {
      // Checked for the thread sanitizer's sake. The loop may resume it before it is suspended; the runtime does not
      // tell the sanitizer then what comes after what, which takes a resumption in code that it sees into for a race.
      await withCheckedContinuation { continuation in
        let isTaken = loop.executor.onLoop { [self] in addOutsider { .elsewhere({ continuation.resume() }, $0) } }
        if !isTaken { continuation.resume() }
      }
    }
    if !isDone { throw LoopClosedError() }
  }

  /// Calls back on the loop, there and then, when it ends, or when the loop is closed before. The loop's thread.
  final func observeEndOrClosing(_ callback: @escaping () -> Void) { addOutsider { .elsewhere(callback, $0) } }

  /// The loop's thread.
  private final func addOutsider(_ named: (DoneCallbackToken) -> Observers.Observer) {
    let observer = named(loop.executor.makeTokens(1))
    if isDone || loop.isClosing { return tell(observer) }
    unsafe observers.add(observer)
    isAwaitedFromOutside = true
    loop.executor.outsiders[ObjectIdentifier(self)] = self
  }
}

extension AnyLoopTask {
  /// Before a suspension: a request that is due cancels what would be awaited.
  fileprivate final func willWait(for future: AnyFuture) async throws {
    if future === self { throw AwaitsItselfError() }
    if loop.isClosing { try await endOfTime() }
    if due != .nothing, future.cancel(reason ?? CancellationReason(.call)) { due = .nothing }
    awaited = future
  }

  /// After it: a request that came between the end of the wait and this moment is delivered now.
  fileprivate final func didWait(for future: AnyFuture) throws {
    awaited = nil
    unsafe loop.executor.current = self
    if due != .nothing {
      due = .nothing
      throw CancellationError()
    }
  }

  /// Lets it await another future in the place of the one that it awaits, which has not ended. The loop's thread.
  final func awaitInstead(_ other: AnyFuture) {
    guard let awaited, case .continuation(let continuation, _)? = awaited.stopObserving(waitToken) else { return }
    self.awaited = other
    waitToken = loop.executor.makeTokens(1)
    unsafe other.observers.add(.continuation(continuation, waitToken))
  }

  /// On a loop that was closed, a request that is due is still delivered; but nothing else will ever come.
  final func endOfTime() async throws {
    if due != .nothing {
      due = .nothing
      throw CancellationError()
    }
    unsafe await suspendTask { _ in }
  }
}

/// What a combinator wants to know of a task that waits.
@usableFromInline
package class WaitNote {
  /// The task; `nil` for a Swift task that is none of the loop.
  private(set) final var task: AnyLoopTask?
  private final var requestsBefore = 0

  /// Whether the one who waits has been asked to end, before the wait, and not heard it, or since.
  final var isAsked: Bool { task.map { $0.cancelling > requestsBefore } ?? Task.isCancelled }

  fileprivate final func take(_ task: AnyLoopTask) {
    self.task = task
    requestsBefore = task.due == .nothing ? task.cancelling : -1
  }
}

/// A task used something of another loop, whose order and time it does not share: a future, a task, a lock, a queue.
public struct WrongLoopError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The fact and the cure.
  public var description: String {
    """
    a task uses something of another event loop: a future, a task, a lock, a queue; create it on the task's own loop, or \
    await a future in a Swift task
    """
  }

  package init() {}
}

/// A task awaited itself, which would never end.
public struct AwaitsItselfError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The fact.
  public var description: String { "a task awaits itself" }

  package init() {}
}
