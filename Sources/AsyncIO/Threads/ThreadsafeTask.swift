// SPDX-License-Identifier: Apache-2.0
//
// A body on a loop for a plain thread, which has no `await`.

import Glibc

extension EventLoop {
  /// Runs a body as a task of this loop, for a thread that is not the loop's. asyncio's `run_coroutine_threadsafe`.
  ///
  /// ```swift
  /// let call = try loop.runCoroutineThreadsafe { loop in
  ///   try await sleep(for: .milliseconds(10))
  ///   return 42
  /// }
  /// print(try call.wait(timeout: .seconds(1)))
  /// ```
  ///
  /// (In Swift tasks there is `await`: see ``LoopThread/run(_:)``.)
  ///
  /// - Threading: Any thread.
  /// - Throws: ``LoopClosedError`` when the loop is closed.
  public nonisolated func runCoroutineThreadsafe<Success: Sendable>(
    name: String? = nil, fileID: StaticString = #fileID, line: UInt = #line,
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Success
  ) throws(LoopClosedError) -> ThreadsafeTask<Success> {
    let call = ThreadsafeTask<Success>(on: self)
    let ticket = Ticket { call.fail(LoopClosedError()) }
    try callSoonThreadsafe { loop in
      withExtendedLifetime(ticket) {}
      guard !loop.isClosing else { return call.fail(LoopClosedError()) }
      guard !call.isDone else { return }
      call.hasStarted(loop.createTask(name: name, fileID: fileID, line: line) { try await body(loop) })
    }
    return call
  }
}

/// A body that runs on a loop, seen from other threads: asyncio's `concurrent.futures.Future` of
/// `run_coroutine_threadsafe`. See ``EventLoop/runCoroutineThreadsafe(name:fileID:line:_:)``.
///
/// Dropping it cancels nothing. An error that nobody waits for is reported.
///
/// - Threading: Any thread.
public final class ThreadsafeTask<Success: Sendable>: Sendable {
  /// The loop that the body runs on.
  public let loop: EventLoop

  /// Invariant: from waiting over started to ended; whoever ends it takes those who wait, and wakes them without the
  /// lock.
  private struct State {
    enum Stage {
      /// The loop has not had its turn yet.
      case waiting
      case started(LoopTask<Success>)
      case ended(Ending)
    }
    enum Ending: Sendable {
      case task(LoopTask<Success>)
      case error(any Error)
    }
    var stage = Stage.waiting
    var parkers: [ThreadParker] = []

    var ending: Ending? { if case .ended(let ending) = stage { ending } else { nil } }
  }
  private let state = Locked(State())

  fileprivate init(on loop: EventLoop) { self.loop = loop }

  /// Whether the body has ended, or never will.
  public var isDone: Bool { state.withLock { $0.ending != nil } }

  /// Blocks this thread until the body has ended, and returns its value.
  ///
  /// - Parameter timeout: How long to wait at most; `nil`: as long as it takes. The body goes on after it: cancel it,
  ///   or wait again.
  /// - Threading: Any thread but the loop's own, which would wait for itself. On the thread of another loop it holds that
  ///   one up.
  /// - Throws: The body's error; `CancellationError` when it ended cancelled; ``TimeoutError``; ``LoopClosedError`` when
  ///   the loop was closed before the end; ``LoopStateError/waitsForItself`` on the loop's own thread.
  @available(*, noasync, message: "it blocks the thread; in a Swift task, await LoopThread.run, or a task of the loop")
  @discardableResult
  public func wait(timeout: Duration? = nil) throws -> Success {
    if let ending = state.withLock({ $0.ending }) { return try Self.value(of: ending) }
    guard !loop.executor.isHeldByThisThread else { throw LoopStateError.waitsForItself }
    let limit = timeout.map {
      Deadline(nanoseconds: KernelClock.nanoseconds(CLOCK_MONOTONIC)).advanced(by: $0).nanoseconds
    }
    let parker = ThreadParker()
    let mustWait = state.withLock { state in
      if state.ending == nil { state.parkers.append(parker) }
      return state.ending == nil
    }
    if mustWait { _ = parker.park(until: limit == .max ? nil : limit) }
    let ending = state.withLock { state in
      state.parkers.removeAll { $0 === parker }
      return state.ending
    }
    guard let ending else { throw TimeoutError() }
    return try Self.value(of: ending)
  }

  private static func value(of ending: State.Ending) throws -> Success {
    switch ending {
    case .task(let task): try task.result()
    case .error(let error): throw error
    }
  }

  /// Asks the body to end, as ``LoopTask`` says; one that has not started never runs.
  ///
  /// - Returns: `false` when it had ended already.
  @discardableResult
  public func cancel(
    _ message: String? = nil, fileID: StaticString = #fileID, line: UInt = #line
  ) -> Bool {
    switch state.withLock({ $0.stage }) {
    case .waiting where end(.error(CancellationError()), from: { if case .waiting = $0 { true } else { false } }):
      return true
    case .waiting:
      // It has started, or ended, meanwhile.
      return cancel(message, fileID: fileID, line: line)
    case .started(let task): return task.cancel(message, fileID: fileID, line: line)
    case .ended: return false
    }
  }

  // MARK: The loop's side

  /// The loop's thread.
  fileprivate func hasStarted(_ task: LoopTask<Success>) {
    let isWanted = state.withLock { state in
      guard case .waiting = state.stage else { return false }
      state.stage = .started(task)
      return true
    }
    // A cancel was faster; the body has not started, and will not.
    guard isWanted else { return _ = task.cancel(CancellationReason(.call)) }
    task.observeEndOrClosing { [self] in
      end(task.isDone ? .task(task) : .error(LoopClosedError())) { if case .ended = $0 { false } else { true } }
    }
  }

  /// Ends it, unless its body has started.
  fileprivate func fail(_ error: any Error) {
    end(.error(error)) { if case .waiting = $0 { true } else { false } }
  }

  @discardableResult
  private func end(_ ending: State.Ending, from isRight: (State.Stage) -> Bool) -> Bool {
    let parkers: [ThreadParker]? = state.withLock { state in
      guard isRight(state.stage) else { return nil }
      state.stage = .ended(ending)
      defer { state.parkers = [] }
      return state.parkers
    }
    for parker in parkers ?? [] { parker.unpark() }
    return parkers != nil
  }
}

/// Says that a callback is gone, run or not: a loop that ends drops what it was given.
private final class Ticket: Sendable {
  private let whenGone: @Sendable () -> Void
  init(whenGone: @escaping @Sendable () -> Void) { self.whenGone = whenGone }
  deinit { whenGone() }
}
