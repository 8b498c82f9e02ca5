// SPDX-License-Identifier: Apache-2.0
//
// What Swift Testing is told while a body runs: its expectations do not throw, so a run over many seeds has to listen.

import AsyncIO
import Testing

/// The issues of a test.
package enum Issues {
  /// Calls a body; issues count as ever.
  ///
  /// - Returns: The issues that were recorded meanwhile. None outside of a test of Swift Testing.
  package static func watching(_ body: () -> Void) throws -> [String] { try collecting(isKnown: false, body) }

  /// Calls a body a second time, for its trace; issues count as known ones.
  static func silencing(_ body: () -> Void) throws -> [String] { try collecting(isKnown: true, body) }

  /// As the synchronous one.
  nonisolated(nonsending) static func watching(
    _ body: nonisolated(nonsending) () async -> Void
  ) async throws -> [String] { try await collecting(isKnown: false, body) }

  /// As the synchronous one.
  nonisolated(nonsending) static func silencing(
    _ body: nonisolated(nonsending) () async -> Void
  ) async throws -> [String] { try await collecting(isKnown: true, body) }

  private static func collecting(isKnown: Bool, _ body: () -> Void) throws -> [String] {
    if Test.current == nil {
      body()
      return []
    }
    let found = Found()
    withKnownIssue(isIntermittent: true) {
      body()
    } matching: {
      found.add($0, isKnown)
    }
    return found.all
  }

  private nonisolated(nonsending) static func collecting(
    isKnown: Bool, _ body: nonisolated(nonsending) () async -> Void
  ) async throws -> [String] {
    if Test.current == nil {
      await body()
      return []
    }
    let found = Found()
    await withKnownIssue(isIntermittent: true) {
      await body()
    } matching: {
      found.add($0, isKnown)
    }
    return found.all
  }

  private final class Found: Sendable {
    private let locked = Locked<[String]>([])

    var all: [String] { locked.withLock { $0 } }

    func add(_ issue: Issue, _ isKnown: Bool) -> Bool {
      let text = "\(issue)" + (issue.sourceLocation.map { " at \($0)" } ?? "")
      locked.withLock { $0.append(text) }
      return isKnown
    }
  }
}
