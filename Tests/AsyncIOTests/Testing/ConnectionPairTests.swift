// SPDX-License-Identifier: Apache-2.0
//
// Two connections back to back, in the network in memory.

import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ConnectionPairTests {
  @Test func `what is written to one is read from the other, after the latency, without a configured network too`()
    throws
  {
    for configuration in [TestLoop.Configuration(), .network()] {
      try TestLoop.run(configuration) { loop in
        let (near, far) = try connectionPair()
        defer {
          near.abort()
          far.abort()
        }
        let begin = loop.now
        try await near.writer.write("there")
        near.writer.closeWriting()
        #expect(try await far.reader.read() == Array("there".utf8))
        #expect(begin.duration(to: loop.now) == .milliseconds(1))
        try await far.writer.write("and back\n")
        #expect(try await near.reader.readLine() == "and back")
        #expect(begin.duration(to: loop.now) == .milliseconds(2))
        #expect(near.peerAddress == far.localAddress)
        #expect(far.peerAddress == near.localAddress)
        #expect(near.localAddress != far.localAddress)
      }
    }
  }

  private static let text = (0..<5_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

  /// The far end sends back what comes.
  private static let echoing: @Sendable (isolated EventLoop) async throws -> Void = { loop in
    _ = Reports(of: loop)
    let (near, far) = try connectionPair()
    defer {
      near.abort()
      far.abort()
    }
    let server = loop.createTask {
      do {
        try await echo(far)
      } catch {
        far.abort()
        throw error
      }
    }
    defer { server.cancel() }
    let writer = loop.createTask {
      do {
        try await near.writer.write(text)
        near.writer.closeWriting()
      } catch {
        near.abort()
        throw error
      }
    }
    defer { writer.cancel() }
    let echoed = try await near.reader.readExactly(text.count)
    #expect(echoed == text)
    try await writer.value
    try await server.value
  }

  @Test func `SR-20: the network's latency and capacity, and the script's cuts, are theirs`() throws {
    let configuration = TestLoop.Configuration.network {
      $0.system.isSplitting = true
      $0.system.percentOfWouldBlock = 20
      $0.network?.latency = .zero ... .milliseconds(20)
      $0.network?.capacity = 500
    }
    try TestLoop.run(seeds: 0..<50, configuration, Self.echoing)
    // Of the same seed the same comes.
    let first = try TestLoop.record(configuration.seeded(3), Self.echoing)
    let second = try TestLoop.record(configuration.seeded(3), Self.echoing)
    try first.result.get()
    #expect(first.trace.firstDifference(from: second.trace) == nil)
    // And without a network that is named.
    var plain = TestLoop.Configuration()
    plain.system.isSplitting = true
    try TestLoop.run(seeds: 0..<20, plain, Self.echoing)
  }

  @Test func `IO-27, DB-05: each of their calls fails once: nothing hangs or is left`() throws {
    var configuration = TestLoop.Configuration()
    configuration.leaks = .afterShutdown
    let runs = try TestLoop.run(
      failingEachCallWith: [.connectionReset, .interrupted], of: [.receive, .send, .watch], configuration,
      Self.echoing)
    #expect(runs > 20)
  }

  @Test func `SW-08: a network that loses all connections loses them`() throws {
    try TestLoop.run { loop in
      let (near, far) = try connectionPair()
      defer {
        near.abort()
        far.abort()
      }
      try loop.resetConnections()
      for end in [near, far] {
        await #expect(throws: SystemError(.connectionReset, in: "recv")) { _ = try await end.reader.readLine() }
      }
    }
  }

  @Test func `IO-26: water marks that are set after the end do not touch the number, which is another one's by then`()
    throws
  {
    try TestLoop.run(seeds: 0..<10) { loop in
      let (near, far) = try connectionPair()
      try near.writer.setWaterMarks(low: 0, high: 10_000_000)
      try await near.writer.write([UInt8](repeating: 1, count: 1_000_000))
      #expect(near.writer.queuedCount > 0)
      near.writer.closeWriting()
      near.close()
      var count = 0
      while case let bytes = try await far.reader.read(upTo: .max), !bytes.isEmpty { count += bytes.count }
      #expect(count == 1_000_000)
      try await near.waitClosed()
      far.close()
      let (other, peer) = try connectionPair()
      try near.writer.setWaterMarks(low: 0, high: 1)
      try await other.writer.write("x")
      try await peer.writer.write("y")
      #expect(try await peer.reader.read(upTo: 10) == Array("x".utf8))
      #expect(try await other.reader.read(upTo: 10) == Array("y".utf8))
      other.close()
      peer.close()
    }
  }

  @Test func `DB-05: ends that are left are named with the place of the pair`() throws {
    let kept = Shared<Smuggled<[Connection]>?>(nil)
    // In a macro's closure each line is the macro's.
    let line: UInt = #line + 1
    let error = #expect(throws: LeakError.self) {
      try TestLoop.run { _ in
        let (near, far) = try connectionPair()
        kept.change { $0 = Smuggled([near, far]) }
      }
    }
    #expect(error?.leaks.map(\.kind) == [.connection, .connection])
    #expect(error?.leaks.allSatisfy { $0.creationSite == "\(#fileID):\(line)" } == true)
    kept.change { $0 = nil }
  }

  @Test func `on a loop that no test made there is none`() throws {
    try EventLoop.run { _ in
      #expect(throws: NoTestLoopError.self) { _ = try connectionPair() }
    }
    #expect(throws: NoRunningLoopError.self) { _ = try connectionPair() }
  }
}
