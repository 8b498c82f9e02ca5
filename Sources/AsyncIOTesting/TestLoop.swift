// SPDX-License-Identifier: Apache-2.0
//
// The doors of the test kit: run a body on a loop whose time, order and kernel are the test's.

public import AsyncIO

/// An event loop for tests: the same ``/AsyncIO/EventLoop``, with another clock, another order, another kernel.
///
/// ```swift
/// @Test func `gives up after an hour`() throws {
///   try TestLoop.run { loop in
///     let answer = loop.createFuture(of: Int.self)
///     await #expect(throws: TimeoutError.self) {
///       try await waitFor(answer, timeout: .seconds(3_600))     // takes no time
///     }
///   }
/// }
/// ```
///
/// Time stands still while there is work, and jumps to the next deadline when every task waits. A body on which nothing
/// is left to happen fails with ``LoopHangsError``, which names the tasks that wait and what for. What a body leaves
/// behind, fails it with ``LeakError``.
public enum TestLoop {
  /// Runs a body on a fresh loop on this thread, to its end.
  ///
  /// - Parameters:
  ///   - configuration: How time, order and kernel are to be.
  ///   - body: The test. It gets the loop, isolated.
  /// - Returns: The body's value.
  /// - Throws: The body's error; ``LoopHangsError``; ``LeakError``.
  @available(*, noasync, message: "it blocks the thread; from asynchronous code, call it with await")
  @discardableResult
  public static func run<Success: Sendable>(
    _ configuration: Configuration = Configuration(),
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Success
  ) throws -> Success {
    try TestRun(configuration).run(body).get()
  }

  /// Runs a body on a fresh loop on a thread of its own, to its end; as the synchronous one in all else.
  ///
  /// - Cancellation: Cancels the body's task, and waits for its end.
  @discardableResult
  public static func run<Success: Sendable>(
    _ configuration: Configuration = Configuration(),
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Success
  ) async throws -> Success {
    try await TestRun(configuration).runOnThread(body).get()
  }

  /// Runs a body in the order of one seed: the way to see a failure again.
  @available(*, noasync, message: "it blocks the thread; from asynchronous code, call it with await")
  @discardableResult
  public static func run<Success: Sendable>(
    seed: UInt64, _ configuration: Configuration = Configuration(),
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Success
  ) throws -> Success {
    try TestRun(configuration.seeded(seed)).run(body).get()
  }

  /// Runs a body in the order of one seed, on a thread of its own; as the synchronous one in all else.
  ///
  /// - Cancellation: Cancels the body's task, and waits for its end.
  @discardableResult
  public static func run<Success: Sendable>(
    seed: UInt64, _ configuration: Configuration = Configuration(),
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Success
  ) async throws -> Success {
    try await TestRun(configuration.seeded(seed)).runOnThread(body).get()
  }

  /// Runs a body, and writes down what ran.
  ///
  /// Two recordings with the same configuration are equal, as long as the body asks nothing outside of its loop: two
  /// recordings of a seed, above all.
  ///
  /// - Returns: How the body ended, and the steps.
  @available(*, noasync, message: "it blocks the thread")
  public static func record<Success: Sendable>(
    _ configuration: Configuration = Configuration(),
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Success
  ) throws -> (result: Result<Success, any Error>, trace: Trace) {
    var configuration = configuration
    configuration.isTraced = true
    let run = try TestRun(configuration)
    let result = run.run(body)
    return (result, run.trace)
  }
}
