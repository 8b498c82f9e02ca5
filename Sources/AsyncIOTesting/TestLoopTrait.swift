// SPDX-License-Identifier: Apache-2.0
//
// The door for Swift Testing: a test whose body is a task of a loop under test.

import AsyncIO
public import Testing

/// Runs the body of each test as a task of a fresh loop under test. See ``Testing/Trait/testLoop``.
public struct TestLoopTrait: TestTrait, SuiteTrait, TestScoping {
  private final class Identity: Sendable {}

  let configuration: TestLoop.Configuration
  let seeds: [UInt64]
  private let identity = Identity()

  init(configuration: TestLoop.Configuration, seeds: [UInt64]) {
    self.configuration = configuration
    self.seeds = seeds
  }

  /// Tests in a suite that has it, have it; a test's own goes before.
  public var isRecursive: Bool { true }

  /// Runs a test.
  public func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    // Once for each test case, and not for the suite around it.
    guard testCase != nil else { return try await function() }
    let innermost = test.traits.lazy.compactMap { $0 as? Self }.last
    guard innermost?.identity === identity else { return try await function() }
    // The loop's task has let go of the body when its run is over: one that was left behind, though it was cancelled, stops
    // the program here, and its words are said before.
    try await withoutActuallyEscaping(function) { function in
      let isInBody = Locked(false)
      let body: @Sendable (isolated EventLoop) async throws -> Void = { _ in
        isInBody.withLock { $0 = true }
        defer { isInBody.withLock { $0 = false } }
        try await function()
      }
      try await Turnstile.pass {
        do {
          if seeds.isEmpty {
            try await TestLoop.run(configuration, body)
          } else {
            try await TestLoop.run(seeds: seeds, configuration, body)
          }
        } catch {
          if isInBody.withLock({ $0 }) { Issue.record(error) }
          throw error
        }
      }
    }
  }
}

extension Trait where Self == TestLoopTrait {
  /// Runs the test's body as a task of a fresh loop whose time jumps, and fails when something is left behind.
  ///
  /// ```swift
  /// @Test(.testLoop) func `an hour passes in no time`() async throws {
  ///   try await sleep(for: .seconds(3_600))
  /// }
  /// ```
  ///
  /// Such tests run one after the other. `EventLoop.running` is the loop. A body that hangs is cancelled; one that swallows
  /// even that, and waits on, ends the program, after the error was recorded.
  public static var testLoop: Self { Self(configuration: .init(), seeds: []) }

  /// The same, on a loop of another configuration.
  public static func testLoop(of configuration: TestLoop.Configuration) -> Self {
    Self(configuration: configuration, seeds: [])
  }

  /// The same, on a fresh loop for each of so many seeds, from 0 on.
  public static func testLoops(
    overSeeds count: UInt64, of configuration: TestLoop.Configuration = .init()
  ) -> Self {
    Self(configuration: configuration, seeds: Array(0..<count))
  }
}
