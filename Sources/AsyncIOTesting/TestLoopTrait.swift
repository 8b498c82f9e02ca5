// SPDX-License-Identifier: Apache-2.0
//
// The door for Swift Testing: a test whose body is a task of a loop under test.

public import Testing

/// Runs the body of each test as a task of a fresh loop under test. See ``Testing/Trait/testLoop``.
public struct TestLoopTrait: TestTrait, SuiteTrait, TestScoping {
  let configuration: TestLoop.Configuration
  let seeds: [UInt64]

  /// Tests in a suite that has it, have it.
  public var isRecursive: Bool { true }

  /// Runs a test.
  public func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    // Once for each test case, and not for the suite around it.
    guard testCase != nil else { return try await function() }
    // The loop's task has let go of the body when its run is over: one that is left behind, cancelled, and goes on all the
    // same, stops the program here.
    try await withoutActuallyEscaping(function) { function in
      try await Turnstile.pass {
        if seeds.isEmpty {
          try await TestLoop.run(configuration) { _ in try await function() }
        } else {
          try await TestLoop.run(seeds: seeds, configuration) { _ in try await function() }
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
  /// Such tests run one after the other. `EventLoop.running` is the loop.
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
