// SPDX-License-Identifier: Apache-2.0
//
// Blocking work for a loop, on threads that are not its own.

/// Runs a function that blocks on a thread of a pool, and waits for its value. asyncio's `to_thread`.
///
/// ```swift
/// let text = try await runBlocking { try String(contentsOfFile: "/etc/hosts", encoding: .utf8) }
/// ```
///
/// The function runs in parallel to the loop, so it can use what is `Sendable`, or handed over for good; what the loop
/// confines does not compile in it. It carries the caller's task-locals. What it captured is released when it has
/// returned, before the caller goes on.
///
/// - Parameters:
///   - pool: Whose threads; `nil`: those of the running loop's ``EventLoop/blockingPool``.
///   - body: The function.
/// - Cancellation: Throws `CancellationError` at once. A function that has not begun never runs. One that runs goes on,
///   and its result is dropped; `Task.isCancelled` is `true` in it, so that it can leave early.
/// - Throws: What the function throws; ``NoRunningLoopError`` when no loop runs on this thread;
///   ``ThreadPoolClosedError``; ``SystemError`` when there are no threads left.
@discardableResult
public func runBlocking<Success: Sendable>(
  on pool: ThreadPool? = nil, _ body: sending @escaping () throws -> Success
) async throws -> Success {
  try await EventLoop.running.runBlocking(on: pool, body)
}

extension EventLoop {
  /// Runs a function that blocks on a thread of a pool, and waits for its value. See `runBlocking(on:_:)`.
  @discardableResult
  public func runBlocking<Success: Sendable>(
    on pool: ThreadPool? = nil, _ body: sending @escaping () throws -> Success
  ) async throws -> Success {
    // A request that is due is heard here, and the function never runs.
    try hearCancel()
    return try await runInExecutor(pool, body).value
  }

  /// Gives a function that blocks to a pool, and returns a future of its value. asyncio's `run_in_executor`.
  ///
  /// As with `runBlocking(on:_:)` in all else. A cancel of the future is a cancel of the function.
  ///
  /// - Throws: ``LoopClosedError``, ``ThreadPoolClosedError``; ``SystemError`` when there are no threads left. What the
  ///   function throws is the future's error.
  @discardableResult
  public func runInExecutor<Success: Sendable>(
    _ pool: ThreadPool? = nil, fileID: StaticString = #fileID, line: UInt = #line,
    _ body: sending @escaping () throws -> Success
  ) throws -> Future<Success> {
    if isClosing { throw closedError() }
    let future = createFuture(of: Success.self, fileID: fileID, line: line)
    let job = BlockingCall(of: (pool ?? blockingPool).core, for: future, body)
    let token = executor.makeTokens(1)
    future.observe(by: job, token)
    job.prepare()
    do {
      try job.core.submit(job)
    } catch {
      future.stopObserving(token)
      job.refuse()
      throw error
    }
    return future
  }

  private func hearCancel() throws {
    guard let task = executor.currentTask else { return try Task.checkCancellation() }
    guard task.due != .nothing else { return }
    task.due = .nothing
    throw CancellationError()
  }

  /// The pool of `runBlocking`, made when it is first asked for. asyncio's default executor, and
  /// `set_default_executor`.
  ///
  /// The loop's own has at most ``Configuration/maximumBlockingThreads`` threads, and ends with the loop: `run` and
  /// ``LoopThread/shutdown(grace:)`` let it do all that it was given. One that is set here stays its maker's, who shuts
  /// it down.
  public var blockingPool: ThreadPool {
    get { loopPools.blocking }
    set { loopPools.blocking = newValue }
  }

  /// The pool of name look-ups, which may take very long, and shall hold up nothing else.
  package var lookUpPool: ThreadPool { loopPools.lookUps }
}
