// SPDX-License-Identifier: Apache-2.0
//
// Clients and servers in the network in memory, over seeds: short reads, latency, lost connections. What was planted is
// found, and the seed finds it again.

import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ServiceTests {
  typealias Body = @Sendable (isolated EventLoop) async throws -> Void

  /// What the seed of a failure does when it is run again: the same, to the letter.
  private static func firstFailure(
    _ configuration: TestLoop.Configuration, _ body: @escaping Body
  ) throws -> SeedFailure {
    let failure = #expect(throws: SeedFailure.self) { try TestLoop.run(seeds: 0..<500, configuration, body) }
    let found = try #require(failure)
    #expect(found.hasFailedAgain)
    for _ in 0..<3 {
      let again = try TestLoop.record(configuration.seeded(found.seed), body)
      #expect(throws: (any Error).self) { try again.result.get() }
      #expect(again.trace == found.trace)
    }
    return found
  }

  // MARK: Short reads and writes

  /// A server that answers each line with its length, and a client that sends lines.
  private static func counting(isCareful: Bool) -> Body {
    { loop in
      let server = try await serve { connection in
        while let line = try await connection.reader.readLine() { try await connection.writer.write("\(line.count)\n") }
      }
      defer { server.abortClients() }
      let connection = try await openConnection(to: server.address)
      defer { connection.abort() }
      for count in [1, 10, 100] {
        try await connection.writer.write(String(repeating: "x", count: count) + "\n")
        let answer =
          if isCareful {
            try await connection.reader.readLine() ?? ""
          } else {
            // One read is one answer, is it not?
            String(String(try await connection.reader.read(upTo: 100)).dropLast())
          }
        if answer != "\(count)" { throw Oops(number: count) }
      }
    }
  }

  @Test func `a client that takes one read for one answer is found by short reads alone, and by its seed again`() throws
  {
    try TestLoop.run(seeds: 0..<50, .network(), Self.counting(isCareful: false))
    let split = TestLoop.Configuration.network { $0.system.isSplitting = true }
    let found = try Self.firstFailure(split, Self.counting(isCareful: false))
    #expect(found.error is Oops)
    try TestLoop.run(seeds: 0..<200, split, Self.counting(isCareful: true))
  }

  @Test func `SR-20, SW-27: lines of many clients come whole, however they are cut on their way`() throws {
    let configuration = TestLoop.Configuration.network {
      $0.system.isSplitting = true
      $0.system.percentOfWouldBlock = 20
      $0.network?.latency = .zero ... .milliseconds(20)
      $0.network?.capacity = 50
    }
    try TestLoop.run(seeds: 0..<30, configuration) { loop in
      let server = try await serve { connection in
        for try await line in connection.reader.lines { try await connection.writer.write(line.uppercased() + "\n") }
      }
      defer { server.abortClients() }
      let address = server.address
      let clients = (0..<5).map { client in
        loop.createTask {
          let answer = try await exchange((0..<10).map { "client \(client) line \($0)\n" }.joined(), with: address)
          #expect(answer == (0..<10).map { "CLIENT \(client) LINE \($0)\n" }.joined())
        }
      }
      try await gather(clients)
    }
  }

  @Test func `TM-24: time does not jump while a socket is ready, though the call says that it would block`() throws {
    let configuration = TestLoop.Configuration.network {
      $0.system.faults = [TestLoop.Fault(.send, count: 5, error: .resourceTemporarilyUnavailable)]
    }
    try TestLoop.run(configuration) { loop in
      let server = try await serve { try await echo($0) }
      defer { server.abortClients() }
      let answer = try await withTimeout(.seconds(1)) { try await exchange("hello", with: server.address) }
      #expect(answer == "hello")
    }
  }

  // MARK: Latency

  /// Two connections of one client: the first may be the slower one.
  private static let assumingOrder: Body = { loop in
    var arrived: [String] = []
    let server = try await serve { arrived.append(try await $0.reader.readLine() ?? "") }
    defer { server.abortClients() }
    let (first, second) = (try await openConnection(to: server.address), try await openConnection(to: server.address))
    defer {
      first.abort()
      second.abort()
    }
    try await first.writer.write("first\n")
    try await sleep(for: .milliseconds(2))
    try await second.writer.write("second\n")
    try await sleep(for: .seconds(1))
    if arrived != ["first", "second"] { throw Oops() }
  }

  @Test func `a client that relies on the latency of two connections is found, and by its seed again`() throws {
    try TestLoop.run(seeds: 0..<50, .network(), Self.assumingOrder)
    _ = try Self.firstFailure(.network { $0.network?.latency = .zero ... .milliseconds(9) }, Self.assumingOrder)
  }

  // MARK: Lost connections

  /// Asks for one more until it was told that it was done; where it asks without a number, some are counted twice.
  private static func ordering(isNumbered: Bool) -> Body {
    { loop in
      _ = Reports(of: loop)
      var done: Set<String> = []
      var count = 0
      let server = try await serve { connection in
        for try await order in connection.reader.lines {
          if !isNumbered || done.insert(order).inserted { count += 1 }
          try await connection.writer.write("ok\n")
        }
      }
      defer { server.abortClients() }
      func tryOnce(_ number: Int) async throws -> Bool {
        let connection = try await openConnection(to: server.address, timeout: .seconds(10))
        defer { connection.abort() }
        try await connection.writer.write("order \(number)\n")
        return try await connection.reader.readLine(timeout: .seconds(10)) == "ok"
      }
      for number in 0..<10 {
        while true {
          do { if try await tryOnce(number) { break } } catch is SystemError {}
        }
      }
      if count != 10 { throw Oops(number: count) }
    }
  }

  @Test func `a client that asks again after a loss, without a number, is found, and by its seed again`() throws {
    try TestLoop.run(seeds: 0..<20, .network(), Self.ordering(isNumbered: false))
    let lossy = TestLoop.Configuration.network { $0.network?.resetsPerThousand = 50 }
    _ = try Self.firstFailure(lossy, Self.ordering(isNumbered: false))
    try TestLoop.run(seeds: 0..<200, lossy, Self.ordering(isNumbered: true))
  }

  @Test func `SW-08, SR-12: all connections are lost at once, and both sides are told`() throws {
    try TestLoop.run(seeds: 0..<50, .network()) { loop in
      let reports = Reports(of: loop)
      let server = try await serve { _ = try await $0.reader.readLine() }
      defer { server.abortClients() }
      let connection = try await openConnection(to: server.address)
      defer { connection.abort() }
      let reading = loop.createTask { _ = try await connection.reader.readLine() }
      try await sleep(for: .seconds(1))
      try loop.resetConnections()
      let end = await thrown { try await reading.value }
      #expect(end.contains("reset"))
      try await loop.waitAllTasksBlocked()
      // Which is no failure of the handler's.
      #expect(reports.kinds == [])
      #expect(server.connectionCount == 0)
      // The next one is as good as any.
      let next = try await openConnection(to: server.address)
      next.abort()
    }
  }

  @Test func `SW-08: connections are lost, too, that are just being made, or that nobody has accepted`() throws {
    for millisecond in 1...30 {
      try TestLoop.run(seeds: 0..<10, .network { $0.network?.latency = .milliseconds(1) ... .milliseconds(20) }) {
        loop in
        let server = try await serve { connection in
          try await connection.writer.write("hello\n")
          _ = try await connection.reader.readLine()
        }
        defer { server.abortClients() }
        let client = loop.createTask {
          let connection = try await openConnection(to: server.address)
          defer { connection.abort() }
          while try await connection.reader.readLine() != nil {}
        }
        loop.callLater(.milliseconds(millisecond)) { try loop.resetConnections() }
        try await sleep(for: .seconds(1))
        if !client.isDone {
          // It had not yet come; so it is served.
          #expect(server.connectionCount == 1)
          try loop.resetConnections()
        }
        let end = await thrown { try await client.value }
        #expect(end.contains("reset"))
        try await settle { server.connectionCount == 0 }
      }
    }
  }

  @Test func `a network that stalls lets time limits pass, and delivers afterwards`() throws {
    try TestLoop.run(seeds: 0..<20, .network()) { loop in
      let server = try await serve { try await echo($0) }
      defer { server.abortClients() }
      let connection = try await openConnection(to: server.address)
      defer { connection.abort() }
      try loop.stallNetwork(for: .seconds(60))
      let begin = loop.now
      try await connection.writer.write("late\n")
      await #expect(throws: TimeoutError.self) { try await connection.reader.readLine(timeout: .seconds(5)) }
      #expect(begin.duration(to: loop.now) == .seconds(5))
      let line = try await connection.reader.readLine()
      #expect(line == "late")
      // There, and back.
      #expect(begin.duration(to: loop.now) == .seconds(60) + .milliseconds(2))
    }
  }
}
