// SPDX-License-Identifier: Apache-2.0
//
// Tests that run a loop block a thread of Swift's pool, which has as many as the machine has cores; and some of them wait
// for other threads of that pool. Side by side they would wait for each other.

import Testing

/// Runs the tests of all suites that have it one after the other.
struct OneAtATime: SuiteTrait, TestTrait, TestScoping {
  var isRecursive: Bool { true }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    // Once for each test case, not for the suite around it.
    guard testCase != nil else { return try await function() }
    await turnstile.enter()
    defer { Task { await turnstile.leave() } }
    try await function()
  }
}

extension Trait where Self == OneAtATime {
  static var oneAtATime: Self { Self() }
}

private let turnstile = Turnstile()

/// Lets one pass at a time, first come, first served.
private actor Turnstile {
  private var isTaken = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  func enter() async {
    if !isTaken {
      isTaken = true
      return
    }
    await withCheckedContinuation { waiting.append($0) }
  }

  func leave() {
    if waiting.isEmpty {
      isTaken = false
    } else {
      waiting.removeFirst().resume()
    }
  }
}
