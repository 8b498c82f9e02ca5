// SPDX-License-Identifier: Apache-2.0
//
// Combinators over a future that never ends leave nothing on it, and take no memory.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .inOrder) struct CombinatorMemoryTests {
  private static let rounds = Amount.of(20_000, usually: 3_000)

  /// Runs rounds over one pending future, and looks at what is left.
  private static func repeatRounds(
    _ round: @escaping @Sendable (Future<Int>, isolated EventLoop) async throws -> Void
  ) throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let kept = loop.createTask { try await shield(future) }
      try await turns()
      for _ in 0..<rounds / 10 { try await round(future, loop) }
      let before = ProcessFacts.residentKilobytes
      for _ in 0..<rounds { try await round(future, loop) }
      try await turns(3)
      let growth = ProcessFacts.residentKilobytes - before
      #expect(future.observerCount == 1)
      #expect(loop.executor.timers.count == 0)
      #expect(loop.allTasks.count == 2)
      // swift-testing keeps a backtrace of each error that is thrown, about 450 bytes. A task more would be 1,500.
      if !ProcessFacts.keepsFreedMemory { #expect(growth < Self.rounds, "\(growth) KiB") }
      #expect(!future.isDone)
      try future.setResult(1)
      #expect(await outcome(of: kept) == "1")
    }
  }

  /// Cancels the caller while it waits, and takes the request back.
  private static func interrupted(
    _ loop: isolated EventLoop, _ body: @escaping @Sendable () async throws -> Void
  ) async throws {
    let task = loop.createTask { try await body() }
    try await turns(2)
    task.cancel()
    let end = await ending { try await task.value }
    if end != "cancelled" { Issue.record("\(end)") }
  }

  @Test func `SH-10: shield, left by a cancel`() throws {
    try Self.repeatRounds { future, loop in try await Self.interrupted(loop) { try await shield(future) } }
  }

  @Test func `waitFor, of a task that is shielded from its limit`() throws {
    try Self.repeatRounds { future, loop in
      let shielded = loop.createTask { try await shield(future) }
      let end = await ending { try await waitFor(shielded, timeout: .microseconds(1)) }
      if end != "timeout" { Issue.record("\(end)") }
    }
  }

  @Test func `withTimeout, around a shield`() throws {
    try Self.repeatRounds { future, _ in
      let end = await ending { try await withTimeout(.microseconds(1)) { try await shield(future) } }
      if end != "timeout" { Issue.record("\(end)") }
    }
  }

  @Test func `gather, which ends by the first error`() throws {
    try Self.repeatRounds { future, loop in
      let failing = loop.createFuture(of: Int.self)
      loop.callSoon { try failing.setError(Boom()) }
      let end = await ending { try await gather(future, failing, future) }
      if end != "boom" { Issue.record("\(end)") }
    }
  }

  @Test func `WT-12: wait, with a limit, and for the first of two`() throws {
    try Self.repeatRounds { future, loop in
      _ = try await wait([future], timeout: .microseconds(1))
      let other = loop.createFuture(of: Int.self)
      loop.callSoon { try other.setResult(1) }
      _ = try await wait([future, other], timeout: .seconds(60), returnWhen: .firstCompleted)
    }
  }

  @Test func `AC-10: asCompleted, left half-way, by its limit, and by a cancel`() throws {
    try Self.repeatRounds { future, loop in
      let other = loop.createFuture(of: Int.self)
      loop.callSoon { try other.setResult(1) }
      for try await _ in asCompleted([future, other]) { break }
      let end = await ending { for try await _ in asCompleted([future], timeout: .microseconds(1)) {} }
      if end != "timeout" { Issue.record("\(end)") }
    }
    try Self.repeatRounds { future, loop in
      try await Self.interrupted(loop) { for try await _ in asCompleted([future]) {} }
    }
  }

  @Test func `a task group, of which a child waits for it`() throws {
    try Self.repeatRounds { future, _ in
      let end = await ending {
        try await withLoopTaskGroup { group in
          group.createTask { try await shield(future) }
          group.createTask { throw Boom() }
        }
      }
      if end != "group(boom)" { Issue.record("\(end)") }
    }
  }
}
