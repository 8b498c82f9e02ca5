// SPDX-License-Identifier: Apache-2.0
//
// A loop on a thread of its own, for programs that have their own main.

import Synchronization

/// A thread that runs an event loop, beside whatever else the process does.
///
/// ```swift
/// let thread = try LoopThread.start(name: "network")
/// let answer = try await thread.run { loop in
///   try await sleep(for: .milliseconds(10))
///   return 42
/// }
/// await thread.shutdown()
/// ```
///
/// It is the way for a program with an `async` main, or another library's run loop. The thread lives until
/// ``shutdown(grace:)``, or until somebody stops its loop; dropping this object does not end it.
public final class LoopThread: Sendable {
  /// The loop.
  public let loop: EventLoop

  private struct State {
    /// Whether the loop was asked to stop by `shutdown`, or has stopped.
    var isEnding = false
    var hasEnded = false
    var grace: Duration?
    var waiters: [CheckedContinuation<Void, Never>] = []
  }
  private let state = Locked(State())

  private init(loop: EventLoop) {
    self.loop = loop
  }

  /// Starts a thread that runs a new loop.
  ///
  /// - Parameters:
  ///   - name: The thread's name, for debuggers; of which Linux keeps 15 bytes.
  ///   - configuration: How the loop is to be.
  /// - Throws: ``SystemError`` when there are no descriptors or threads left.
  public static func start(
    name: String = "asyncio-loop", configuration: EventLoop.Configuration = .init()
  ) throws(SystemError) -> LoopThread {
    let thread = LoopThread(loop: try EventLoop(configuration: configuration))
    do {
      try PlainThread.start(name: name, takesSignals: true) { thread.main() }
    } catch {
      thread.loop.closeNow()
      throw error
    }
    return thread
  }

  /// Runs a body as a task of the loop, and returns its value.
  ///
  /// - Cancellation: Cancels the body's task, and waits for its end.
  /// - Threading: Any thread, in any Swift task.
  /// - Throws: The body's error; ``LoopClosedError`` when the thread has ended.
  @discardableResult
  public func run<Success: Sendable>(
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Success
  ) async throws -> Success {
    let future = loop.createFuture(of: LoopTask<Success>.self)
    try loop.callSoonThreadsafe { loop in
      // The closing tells the caller.
      if loop.isClosing { return }
      future.end(with: loop.createTask { try await body(loop) })
    }
    // A cancel that comes in between finds no task yet; the wait for the task hears it, then.
    try await future.waitUncancellably()
    let task = try future.result()
    // Not `value`, which a task of another loop may not await: this is the door between loops.
    try await task.waitFromOutside()
    return try task.result()
  }

  /// Cancels the loop's tasks, waits for them, closes the loop, and waits for the thread's end.
  ///
  /// - Parameter grace: How long the tasks may take to end, and after them the work of `runBlocking`; `nil`: as long as
  ///   they do. What has not ended then is reported, and left behind. The first call's counts.
  /// - Cancellation: Not heard: the thread's end is near.
  public func shutdown(grace: Duration? = nil) async {
    state.withLock { state in
      // A second stop would end the tasks' time to clean up.
      guard !state.isEnding else { return }
      state.isEnding = true
      state.grace = grace
      loop.stop()
    }
    await waitUntilEnded()
  }

  /// Waits for the thread's end, after somebody stopped the loop.
  ///
  /// - Cancellation: Not heard.
  public func waitUntilEnded() async {
    // Checked: see `AnyFuture.waitUncancellably`.
    await withCheckedContinuation { continuation in
      let hasEnded = state.withLock { state in
        if !state.hasEnded { state.waiters.append(continuation) }
        return state.hasEnded
      }
      if hasEnded { continuation.resume() }
    }
  }

  private func main() {
    // Nobody else has the loop yet, or can close it: running it does not fail.
    try? loop.runTurns()
    let grace = state.withLock { state in
      state.isEnding = true
      // Of a stop that came when the loop was stopping already.
      loop.isStopping.store(false, ordering: .relaxed)
      return state.grace
    }
    try? loop.endTasks(grace: grace)
    loop.closeNow()
    let waiters = state.withLock { state in
      state.hasEnded = true
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }
}
