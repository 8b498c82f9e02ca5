// SPDX-License-Identifier: Apache-2.0
//
// The wait that is no future: in a queue for a lock, for the readiness of a descriptor.

/// A wait of one task, which others end: the kernel of all that waits and is no future.
///
/// It can be used for one wait after another, and allocates nothing. A subclass that stands in a queue leaves it in
/// ``leave()``.
///
/// Invariant, and the reason for `@unchecked Sendable`: all of it belongs to the thread that holds the loop. From
/// `begin`, or the suspension, on `isWaiting` says whether the end has not come yet; `end` says how it came, from the
/// end to the next wait. `continuation` is there while the task is suspended and the end has not come.
@safe package class Waiter: @unchecked Sendable {
  private enum End { case none, woken, cancelled, timedOut, abandoned }

  /// Whether a task waits, and nobody has ended its wait.
  package final var isWaiting: Bool { waits }

  /// Whether a wait was ended and its task has not gone on yet.
  package final var isLeaving: Bool { leaves }

  // Stored apart, and private: of what other modules see the runtime tracks each access.
  private final var waits = false
  private final var leaves = false

  private final var end = End.none
  /// Whether the wait has begun, and its task has not come to the suspension.
  private final var hasBegun = false
  private final var continuation: UnsafeContinuation<Void, Never>?
  /// Ends the wait that has a deadline.
  private final var timer: TimerID?
  /// Counts the waits, so that a cancel that comes late from another thread does not end the next one.
  private final var number: UInt64 = 0

  package init() {}

  /// Whether the last wait was ended by ``wake()``. After an error it says that the wake-up had come: what was meant with
  /// it is to be passed on.
  package final var wasWoken: Bool { end == .woken }

  /// The wait is over by a cancel or the deadline; called there and then, on the loop. It calls no code of users.
  package func leave() {}

  /// What a task in it waits for, in a few words.
  package var waitDescription: String { "\(type(of: self))" }

  // MARK: Waiting

  /// Begins a wait before its suspension: from here on it can be ended. For what enters a queue in the same breath as it
  /// looks whether it has to, since a Swift task that is none of the loop's may lose the turn on the way into the wait.
  /// ``wait(on:until:)`` must follow, and then ends by ``leave()`` also when it does not suspend.
  package final func begin() {
    precondition(!isWaiting && !isLeaving, "Waiter: it is used for two waits at once")
    end = .none
    waits = true
    hasBegun = true
    number &+= 1
  }

  /// Ends a wait that has begun, and will not suspend.
  private final func giveUp(_ end: End) {
    guard hasBegun else { return }
    hasBegun = false
    _ = conclude(end)
    leaves = false
  }

  /// Suspends the calling task until somebody calls ``wake()``.
  ///
  /// - Parameters:
  ///   - executor: That of the loop that runs on this thread. The task is one of the loop, or another one that runs on
  ///     it.
  ///   - deadline: When the wait ends by itself.
  /// - Throws: `CancellationError` when the task was cancelled, also after the wake-up; `TimeoutError`;
  ///   ``LoopClosedError`` in a task that is none of the loop's own.
  // In line, and with one suspension on the way that nearly all take: each function and each branch that suspends asks
  // once more for the executor to go on with, which costs as much as all the rest.
  @inline(__always)
  package final func wait(on executor: LoopExecutor, until deadline: Deadline? = nil) async throws {
    guard let task = try enterWait(on: executor, until: deadline) else {
      return try await waitUnusually(on: executor, until: deadline)
    }
    unsafe await suspendTask { unsafe suspend($0) }
    try finish(task, executor)
  }

  // What stands before and after a suspension is in functions of its own, which are not inlined: all that a function
  // uses on both sides of one costs memory while the task waits.

  /// Takes the task's place.
  ///
  /// - Returns: The task; `nil` when it is none of the loop's, or the loop is closing.
  @inline(never)
  private final func enterWait(on executor: LoopExecutor, until deadline: Deadline?) throws -> AnyLoopTask? {
    executor.checkIsolated()
    precondition(hasBegun || !isWaiting && !isLeaving, "Waiter: it is used for two waits at once")
    guard let task = executor.currentTask, !executor.isClosing else { return nil }
    if !hasBegun { end = .none }
    if task.due != .nothing {
      giveUp(.cancelled)
      task.due = .nothing
      throw CancellationError()
    }
    unsafe task.waiter = self
    getReady(on: executor, until: deadline)
    return task
  }

  @inline(never)
  private final func finish(_ task: AnyLoopTask, _ executor: LoopExecutor) throws {
    goOn(on: executor)
    unsafe task.waiter = nil
    unsafe executor.current = task
    if task.due != .nothing {
      task.due = .nothing
      throw CancellationError()
    }
    try throwUnlessWoken()
  }

  @inline(never)
  private final func waitUnusually(on executor: LoopExecutor, until deadline: Deadline?) async throws {
    guard let task = executor.currentTask else {
      // Here, and not after the trip through the queue that may come: what wakes the task on its way is not lost.
      if !hasBegun { begin() }
      return try await waitForeignly(on: executor, until: deadline)
    }
    giveUp(.abandoned)
    try await task.endOfTime()
  }

  /// Suspends the calling task until somebody calls ``wake()``, whatever is asked of it meanwhile.
  ///
  /// - Throws: `CancellationError` after the wake-up, for a request that is due by then; ``LoopClosedError`` without
  ///   one, in a task that is none of the loop's own.
  package final func waitUncancellably(on executor: LoopExecutor) async throws {
    executor.checkIsolated()
    precondition(hasBegun || !isWaiting && !isLeaving, "Waiter: it is used for two waits at once")
    guard let task = executor.currentTask else {
      if !hasBegun { begin() }
      if executor.isPreferredByThisTask { return try await waitForeignlyUncancellably(on: executor) }
      return try await withTaskExecutorPreference(executor) { try await waitForeignlyUncancellably(on: executor) }
    }
    if executor.isClosing {
      giveUp(.abandoned)
      try await task.endOfTime()
    }
    await suspend(on: executor, until: nil)
    unsafe executor.current = task
    if task.due != .nothing {
      task.due = .nothing
      throw CancellationError()
    }
  }

  private final func waitForeignlyUncancellably(on executor: LoopExecutor) async throws {
    try requireOutsiders(executor)
    executor.outsiders[ObjectIdentifier(self)] = self
    await suspend(on: executor, until: nil)
    executor.outsiders[ObjectIdentifier(self)] = nil
    try throwUnlessWoken()
    try Task.checkCancellation()
  }

  private final func suspend(on executor: LoopExecutor, until deadline: Deadline?) async {
    getReady(on: executor, until: deadline)
    unsafe await suspendTask { unsafe suspend($0) }
    goOn(on: executor)
  }

  @inline(__always)
  private final func suspend(_ continuation: UnsafeContinuation<Void, Never>) {
    // Asked again: a Swift task that is none of the loop's may have made a trip through the queue since it began.
    if isWaiting {
      unsafe self.continuation = unsafe continuation
    } else {
      unsafe continuation.resume()
    }
  }

  @inline(never)
  private final func getReady(on executor: LoopExecutor, until deadline: Deadline?) {
    if !hasBegun { begin() }
    hasBegun = false
    timer = deadline.map { deadline in
      executor.timers.arm(at: deadline) { [self] in _ = conclude(.timedOut) }
    }
  }

  @inline(never)
  private final func goOn(on executor: LoopExecutor) {
    leaves = false
    if let timer = timer.take() { _ = executor.timers.cancel(timer) }
  }

  private final func throwUnlessWoken() throws {
    switch end {
    case .woken: return
    case .timedOut: throw TimeoutError()
    case .abandoned: throw LoopClosedError()
    case .none, .cancelled: throw CancellationError()
    }
  }

  /// The wait of a Swift task that is no task of ours. Swift's rule holds there: once cancelled, it stays cancelled.
  private final func waitForeignly(on executor: LoopExecutor, until deadline: Deadline?) async throws {
    if !executor.isPreferredByThisTask {
      // As with futures: each of its suspensions would end on the global pool.
      return try await withTaskExecutorPreference(executor) {
        try await waitCancellably(on: executor, until: deadline)
      }
    }
    try await waitCancellably(on: executor, until: deadline)
  }

  /// Throws on a loop that is closed: nobody would end the wait.
  private final func requireOutsiders(_ executor: LoopExecutor) throws {
    guard executor.hasToldOutsiders else { return }
    giveUp(.abandoned)
    throw LoopClosedError()
  }

  private final func waitCancellably(on executor: LoopExecutor, until deadline: Deadline?) async throws {
    if Task.isCancelled {
      giveUp(.cancelled)
      throw CancellationError()
    }
    try requireOutsiders(executor)
    let number = number
    executor.outsiders[ObjectIdentifier(self)] = self
    await withTaskCancellationHandler {
      await suspend(on: executor, until: deadline)
    } onCancel: {
      _ = executor.onLoop { if self.number == number { _ = self.cancel() } }
    }
    executor.outsiders[ObjectIdentifier(self)] = nil
    try Task.checkCancellation()
    try throwUnlessWoken()
  }

  // MARK: Ending

  /// Ends the wait: its task goes on in the order of the loop's FIFO.
  ///
  /// - Returns: `false` when nobody waits, or the end has come already.
  @discardableResult
  package final func wake() -> Bool { conclude(.woken) }

  /// Ends the wait with `CancellationError`.
  final func cancel() -> Bool { conclude(.cancelled) }

  /// Ends the wait, since the loop is closed.
  final func abandon() { _ = conclude(.abandoned) }

  private final func conclude(_ end: End) -> Bool {
    guard isWaiting else { return false }
    waits = false
    leaves = true
    self.end = end
    if end != .woken { leave() }
    if let continuation = unsafe continuation.take() { unsafe continuation.resume() }
    return true
  }
}
