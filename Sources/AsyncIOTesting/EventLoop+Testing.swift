// SPDX-License-Identifier: Apache-2.0
//
// What a test may ask of its loop.

public import AsyncIO

extension EventLoop {
  /// Waits until all other tasks wait for something that is not there, and nothing is ready to run.
  ///
  /// No time passes. Where it jumps by itself, it does so only when nobody waits here.
  ///
  /// - Cancellation: Throws `CancellationError`.
  /// - Throws: ``NoTestLoopError`` on a loop that no test made.
  public func waitAllTasksBlocked() async throws {
    let future = createFuture(of: Void.self)
    try testRun.clock.whenAllBlocked(future)
    try await future.value
  }

  /// Lets time pass, and all that comes due in it happen, in order, at its time.
  ///
  /// It returns at the end of that time, when all other tasks are blocked.
  ///
  /// - Cancellation: Throws `CancellationError`; the time stays where it had come to.
  /// - Throws: ``NoTestLoopError`` on a loop that no test made, or whose time is the real one.
  public func advance(by duration: Duration) async throws {
    let clock = try virtualClock
    let end = clock.now.advanced(by: duration)
    try await waitAllTasksBlocked()
    while let next = try testRun.nextEvent(on: self), next <= end {
      clock.move(to: next)
      try await waitAllTasksBlocked()
    }
    clock.move(to: end)
    try await waitAllTasksBlocked()
  }

  /// Lets time pass as if the code that runs now took so long. What comes due meanwhile runs after it.
  ///
  /// - Throws: ``NoTestLoopError`` on a loop that no test made, or whose time is the real one.
  public func elapse(_ duration: Duration) throws { try virtualClock.advance(by: duration) }

  /// What has run so far. Empty where the steps are not written down.
  public var trace: TestLoop.Trace { (try? testRun.trace) ?? TestLoop.Trace(steps: []) }

  /// Writes a note into the trace.
  public func note(_ text: String) { try? testRun.note(text) }

  /// The seed of the run; `nil` in FIFO order, and on a loop that no test made.
  ///
  /// For what a body chooses by chance: a generator that begins with it chooses the same when the seed is run again.
  public nonisolated var testSeed: UInt64? { TestRuns.run(of: self)?.seed }

  /// Loses all connections of the network in memory, at once and for both sides.
  public func resetConnections() throws { try testRun.network?.resetConnections() }

  /// Lets nothing arrive in the network in memory for a while.
  public func stallNetwork(for duration: Duration) throws { try testRun.network?.stall(for: duration) }

  private var testRun: TestRun {
    get throws(NoTestLoopError) {
      guard let run = TestRuns.run(of: self) else { throw NoTestLoopError() }
      return run
    }
  }

  private var virtualClock: TestClock {
    get throws(NoTestLoopError) {
      let clock = try testRun.clock
      guard clock.isVirtual else { throw NoTestLoopError() }
      return clock
    }
  }
}

extension TestRun {
  /// When something happens next.
  func nextEvent(on loop: isolated EventLoop) -> Deadline? {
    [loop.executor.earliestDeadline, networkEvent].compactMap(\.self).filter { $0 != .never }.min()
  }
}
