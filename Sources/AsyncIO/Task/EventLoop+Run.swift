// SPDX-License-Identifier: Apache-2.0
//
// Running a loop for the length of a task.

import CLinux
import Glibc

extension EventLoop {
  /// Runs a body on a new loop on this thread, to its end: asyncio's `run`.
  ///
  /// ```swift
  /// try EventLoop.run { loop in
  ///   try await sleep(for: .seconds(1))
  /// }
  /// ```
  ///
  /// When the body has ended, the tasks that are left are cancelled and awaited, errors that nobody reads are reported,
  /// and the loop is closed. On the main thread, where neither the process has a handler of its own for it nor any loop
  /// one, the first SIGINT cancels the body's task, and a second one ends the process at once. On the main thread the loop
  /// serves the main actor, too.
  ///
  /// - Parameters:
  ///   - configuration: How the loop is to be.
  ///   - grace: How long the tasks that are left may take to end after their cancel, and after them the work of
  ///     `runBlocking`; `nil`: as long as they do. What has not ended then is reported, and left behind.
  ///   - main: The body. It gets the loop, isolated.
  /// - Returns: The body's value.
  /// - Throws: The body's error; `CancellationError` when it ended cancelled; ``LoopStateError`` when a loop runs on
  ///   this thread already; ``SystemError`` when there are no descriptors left.
  @available(*, noasync, message: "it blocks the thread; make a LoopThread, or call it from a synchronous main")
  @discardableResult
  public static func run<Success: Sendable>(
    configuration: Configuration = Configuration(), shutdownGrace grace: Duration? = nil,
    _ main: @escaping @Sendable (isolated EventLoop) async throws -> Success
  ) throws -> Success {
    guard ThreadLocals.running == nil else { throw LoopStateError.anotherLoopRuns }
    let loop = try EventLoop(configuration: configuration)
    defer { loop.closeNow() }
    let task = try loop.makeMainTask(main)
    let result = Result {
      try loop.run(until: task, interruptible: true)
      return try task.result()
    }
    try loop.endTasks(grace: grace)
    return try result.get()
  }

  /// Runs the loop on this thread until a body has ended. Tasks that are left stay, for the next run.
  ///
  /// - Returns: The body's value.
  /// - Throws: The body's error; `CancellationError` when it ended cancelled; ``LoopStateError`` when the loop runs,
  ///   was closed, or was stopped before the body had ended: that is alive then, and among ``allTasks``.
  @available(*, noasync, message: "it blocks the thread; make a LoopThread, or call it from a synchronous main")
  @discardableResult
  public nonisolated func runUntilComplete<Success: Sendable>(
    _ main: @escaping @Sendable (isolated EventLoop) async throws -> Success
  ) throws -> Success {
    try runUntilDone(makeMainTask(main))
  }

  /// Runs the loop on this thread until a future or task of it has ended; as with a body in all else.
  ///
  /// - Throws: ``WrongLoopError`` when it belongs to another loop.
  @available(*, noasync, message: "it blocks the thread; make a LoopThread, or call it from a synchronous main")
  @discardableResult
  public nonisolated func runUntilComplete<A: Awaitable>(_ awaitable: A) throws -> A.Success {
    try runUntilDone(awaitable)
  }

  private nonisolated func runUntilDone<A: Awaitable>(_ awaitable: A) throws -> A.Success {
    guard awaitable.loop === self else { throw WrongLoopError() }
    try run(until: awaitable, interruptible: false)
    return try awaitable.result()
  }

  package nonisolated func makeMainTask<Success: Sendable>(
    _ main: @escaping @Sendable (isolated EventLoop) async throws -> Success
  ) throws -> LoopTask<Success> {
    try whileIdle { loop in
      loop.createTask(name: "main") { try await main(loop) }
    }
  }

  package nonisolated func run(until future: AnyFuture, interruptible: Bool) throws {
    let token = try whileIdle { loop in
      if interruptible { loop.cancelOnInterrupt(future) }
      return future.addDoneCallback { loop.stop() }
    }
    defer {
      _ = try? whileIdle { loop in
        future.removeDoneCallback(token)
        if interruptible { loop.removeSignalHandler(SIGINT) }
      }
    }
    try runTurns()
    if !future.isDone { throw LoopStateError.stoppedBeforeDone }
  }

  /// The first SIGINT cancels; from then on the signal does what it does to any process.
  private func cancelOnInterrupt(_ future: AnyFuture) {
    guard getpid() == gettid(), SignalDelivery.hasDefaultAction(SIGINT) else { return }
    // It fails only without descriptors; then SIGINT ends the process, as it does anyhow.
    try? addFallbackSignalHandler(SIGINT) {
      SignalDelivery.suspend(SIGINT)
      future.cancel(CancellationReason(.call, message: "SIGINT"))
    }
  }

  /// Cancels the tasks that are left, and runs the loop until they have ended; then until the work that other threads
  /// do for it has. The grace is for both.
  package nonisolated func endTasks(grace: Duration?) throws {
    let limit = grace.map { now.advanced(by: $0) }
    let areTasksLeft = try whileIdle { loop in
      let tasks = loop.allTasks
      for task in tasks { task.cancel(CancellationReason(.shutdown)) }
      loop.endDependents()
      return loop.stops(after: tasks, noLaterThan: limit)
    }
    if areTasksLeft { try runTurns() }
    // Not before: a task's cleanup may use them.
    let isWorkLeft = try whileIdle { loop in loop.stops(after: loop.finishWork(), noLaterThan: limit) }
    if isWorkLeft { try runTurns() }
  }

  /// Sees to it that the next run stops when all of some futures have ended, or at a point in time.
  ///
  /// - Returns: `false` when there is nothing to run for.
  private func stops(after futures: [AnyFuture], noLaterThan limit: Instant?) -> Bool {
    if futures.isEmpty { return false }
    let timer = limit.map { limit in callAt(limit) { self.stop() } }
    let countdown = Countdown(from: futures.count) {
      if let timer { self.cancelTimer(timer.id) }
      self.stop()
    }
    for future in futures { future.addDoneCallback { countdown.step() } }
    return true
  }
}

/// Calls back after so many steps.
private final class Countdown {
  private var left: Int
  private let atZero: () -> Void

  init(from count: Int, atZero: @escaping () -> Void) {
    left = count
    self.atZero = atZero
  }

  func step() {
    left -= 1
    if left == 0 { atZero() }
  }
}
