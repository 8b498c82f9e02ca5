// SPDX-License-Identifier: Apache-2.0
//
// Waiting for a descriptor: what the kernel is told, and what may end the wait.

import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ReadinessWaitTests {
  /// Runs a body with a pair of sockets, and a wait for the near one.
  private func run(
    _ body:
      @escaping @Sendable (isolated EventLoop, DescriptorPair, ReadinessWait, Counts) async throws -> Void
  ) throws {
    let backend = try CountingBackend()
    let counts = backend.counts
    try EventLoop.run(configuration: .on(backend)) { loop in try await Self.check(loop, counts, body) }
  }

  /// The same on virtual time, where nothing is counted that depends on how often the kernel is asked.
  private func runVirtually(
    _ body:
      @escaping @Sendable (isolated EventLoop, DescriptorPair, ReadinessWait, Counts) async throws -> Void
  ) throws {
    try inEachOrder { configuration in
      let backend = try CountingBackend()
      let counts = backend.counts
      try AsyncIOTests.runVirtually(configuration.with(backend: backend)) { loop in
        try await Self.check(loop, counts, body)
      }
    }
  }

  private static func check(
    _ loop: isolated EventLoop, _ counts: Counts,
    _ body: (isolated EventLoop, DescriptorPair, ReadinessWait, Counts) async throws -> Void
  ) async throws {
    let pair = try DescriptorPair.sockets()
    let wait = ReadinessWait(pair.near, .readable, isOwned: true, on: loop)
    let watchesBefore = counts.watches.value
    try await body(loop, pair, wait, counts)
    wait.end()
    #expect(counts.watches.value == watchesBefore)
    try withExtendedLifetime(pair) { try pair.closeFar() }
  }

  @Test func `one watch serves all waits, and nothing is told to the kernel in between`() throws {
    try run { loop, pair, wait, counts in
      let watchesBefore = counts.watches.value
      for _ in 0..<10 {
        loop.callSoon { try pair.send("x") }
        try await wait.untilReady()
        try pair.receive()
      }
      #expect(counts.watches.value == watchesBefore + 1)
      #expect(counts.pauses.value == 0)
    }
  }

  @Test func `IO-13: what nobody takes is noted once, and is no spin`() throws {
    try run { loop, pair, wait, counts in
      try pair.send("x")
      try await wait.untilReady()
      let waitsBefore = counts.waits.value
      try await sleep(for: .milliseconds(20))
      #expect(counts.pauses.value == 1)
      #expect(counts.waits.value - waitsBefore < 10)
      // Noted: at once, and without a turn.
      var hasTurned = false
      loop.callSoon { hasTurned = true }
      try await wait.untilReady()
      #expect(!hasTurned)
      try pair.receive()
      // Taken up again.
      loop.callSoon { try pair.send("y") }
      try await wait.untilReady()
      #expect(counts.pauses.value == 1)
    }
  }

  @Test func `a cancel leaves the watch to the next wait`() throws {
    try runVirtually { loop, pair, wait, counts in
      let task = loop.createTask { try await wait.untilReady() }
      try await turns(2)
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      loop.callSoon { try pair.send("x") }
      try await wait.untilReady()
      #expect(counts.pauses.value == 0)
    }
  }

  @Test func `a deadline ends the wait with TimeoutError`() throws {
    try runVirtually { loop, _, wait, _ in
      await #expect(throws: TimeoutError.self) {
        try await wait.untilReady(by: loop.now.advanced(by: .milliseconds(1)).deadline)
      }
    }
  }

  @Test func `IO-26: the end of the interest ends the wait, and refuses later ones`() throws {
    try runVirtually { loop, _, wait, _ in
      loop.callSoon { wait.end() }
      await #expect(throws: DescriptorClosedError.self) { try await wait.untilReady() }
      await #expect(throws: DescriptorClosedError.self) { try await wait.untilReady() }
    }
  }
}
