// SPDX-License-Identifier: Apache-2.0
//
// Where the combinators' tasks were made, and what their callers wait for, is said with the user's line.

import AsyncIOTesting
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct CreationSiteTests {
  typealias Body = @Sendable (isolated EventLoop) async throws -> Void

  private static var site: String? { AnyLoopTask.current?.creationSite }

  @Test func `DB-01: a task that a combinator makes for a body was made where the user called for it`() throws {
    try runVirtually { _ in
      let line: UInt = #line + 2
      let found = [
        try await gather([1]) { _ in Self.site }[0],
        try await gatherResults([1]) { _ in Self.site }[0].get(),
        try await shield { Self.site },
        try await withTimeout(.seconds(1)) { Self.site },
        try await withTimeout(.seconds(1)) { _ in Self.site },
        try await withTimeout(until: nil) { Self.site },
        try await withTimeout(until: nil) { _ in Self.site },
        try await withLoopTaskGroup { _ in Self.site },
      ]
      #expect(found == (UInt(0)..<8).map { "\(#fileID):\(line + $0)" })
    }
  }

  /// What the main task of a body waits for that hangs.
  private static func waited(_ body: @escaping Body) -> String? {
    var configuration = TestLoop.Configuration(leaks: .off)
    configuration.patience = .milliseconds(10)
    let error = #expect(throws: LoopHangsError.self) { try TestLoop.run(configuration, body) }
    return error?.tasks.first?.waitsFor
  }

  @Test func `DB-02: what a task waits for in a combinator is told with the user's line`() throws {
    let base: UInt = #line
    let found = [
      Self.waited { loop in _ = try await gather(loop.createFuture(of: Int.self), loop.endedFuture) },
      Self.waited { loop in _ = try await gather([loop.createFuture(of: Int.self)]) },
      Self.waited { loop in _ = try await gatherResults([loop.createFuture(of: Int.self)]) },
      Self.waited { loop in _ = try await shield(loop.createFuture(of: Int.self)) },
      Self.waited { loop in _ = try await wait([loop.createFuture(of: Int.self)]) },
      Self.waited { loop in for try await _ in asCompleted([loop.createFuture(of: Int.self)]) {} },
      Self.waited { loop in try await withTimeout(nil) { _ = try await loop.createFuture(of: Int.self).value } },
      Self.waited { loop in try await withLoopTaskGroup { _ in _ = try await loop.createFuture(of: Int.self).value } },
      Self.waited { loop in _ = try await waitFor(loop.createFuture(of: Int.self), timeout: nil) },
    ]
    func place(_ offset: UInt) -> String { "\(#fileID):\(base + 1 + offset)" }
    #expect(
      found == [
        "gather called at \(place(1)): 1 of 2 have not ended",
        "gather called at \(place(2)): 1 of 1 have not ended",
        "gather called at \(place(3)): 1 of 1 have not ended",
        "shield called at \(place(4)): 1 of 1 have not ended",
        "wait called at \(place(5)): 1 of 1 have not ended",
        "a future made at \(place(6))",
        "the body of withTimeout called at \(place(7))",
        "the task group called at \(place(8)): 1 have not ended",
        "a future made at \(place(9))",
      ])
  }

  @Test func `DB-02: a limit that has passed is no other thing to wait for`() throws {
    let found = Self.waited { loop in
      let stubborn = loop.createTask(name: "stubborn") { try await Self.waitForEver(on: loop) }
      _ = try await waitFor(stubborn, timeout: .seconds(1))
    }
    #expect(found == "task stubborn")
  }

  /// Hears no cancel.
  private static func waitForEver(on loop: isolated EventLoop) async throws {
    while true { _ = try? await loop.createFuture(of: Void.self).value }
  }
}

extension EventLoop {
  /// A future that has a value.
  fileprivate var endedFuture: Future<Int> {
    let future = createFuture(of: Int.self)
    future.end(with: 1)
    return future
  }
}
