// SPDX-License-Identifier: Apache-2.0
//
// Tests that run a loop block a thread of Swift's pool, which has as many as the machine has cores; and some of them wait
// for other threads of that pool. Side by side they would wait for each other. And one by one, each can be asked what it
// left behind.

import AsyncIOTesting
import Testing

/// Runs the tests of all suites that have it one after the other, and fails those that leave a descriptor, a thread or a
/// child behind (DB-05).
struct OneAtATime: SuiteTrait, TestTrait, TestScoping {
  var isRecursive: Bool { true }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    // Once for each test case, not for the suite around it.
    guard testCase != nil else { return try await function() }
    try await Turnstile.pass {
      let before = ProcessSnapshot()
      try await function()
      for leak in await before.leftovers() { Issue.record("left behind: \(leak)") }
    }
  }
}

extension Trait where Self == OneAtATime {
  static var oneAtATime: Self { Self() }
}
