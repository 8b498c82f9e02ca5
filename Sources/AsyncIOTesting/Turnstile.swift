// SPDX-License-Identifier: Apache-2.0
//
// Tests that run a loop block a thread of Swift's pool, which has as many as the machine has cores; side by side they
// would wait for each other. And what the process is asked at their ends is about one of them.

/// Lets one test pass at a time, first come, first served.
package actor Turnstile {
  private static let shared = Turnstile()

  /// Whether the present task has passed already.
  @TaskLocal private static var isInside = false

  private var isTaken = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  /// Calls a body when nobody else is inside. Within another call of it, at once.
  package nonisolated(nonsending) static func pass(
    _ body: nonisolated(nonsending) () async throws -> Void
  ) async throws {
    if isInside { return try await body() }
    await shared.enter()
    do {
      try await $isInside.withValue(true) { try await body() }
    } catch {
      await shared.leave()
      throw error
    }
    await shared.leave()
  }

  private func enter() async {
    if !isTaken {
      isTaken = true
      return
    }
    await withCheckedContinuation { waiting.append($0) }
  }

  private func leave() {
    if waiting.isEmpty {
      isTaken = false
    } else {
      waiting.removeFirst().resume()
    }
  }
}
