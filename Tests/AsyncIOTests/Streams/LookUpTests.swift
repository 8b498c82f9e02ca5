// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 16: DN-01, DN-02, DN-04 to DN-07, and connecting by name.

import AsyncIOTesting
import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct LookUpTests {
  private func configuration(_ lookup: ScriptedLookup) -> EventLoop.Configuration {
    var configuration = EventLoop.Configuration()
    configuration.seams.nameLookup = lookup
    return configuration
  }

  /// Runs on virtual time, in FIFO order and over seeds, with a resolver that was asked nothing at first.
  private func run(
    _ lookup: ScriptedLookup, network: TestLoop.Network? = nil,
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void
  ) throws {
    try runVirtually(configuration(lookup), network: network) { loop in
      lookup.asked.change { $0 = [] }
      try await body(loop)
    }
  }

  @Test func `DN-01: a literal address is looked up by nobody`() throws {
    let lookup = ScriptedLookup()
    try run(lookup) { loop in
      let four = try SocketAddress(host: "127.0.0.1", port: 80)
      let six = try SocketAddress(host: "::1", port: 80)
      #expect(try await lookUp(host: "127.0.0.1", port: 80) == [four])
      #expect(try await lookUp(host: "::1", port: 80, family: .ipv6) == [six])
      let error = await #expect(throws: NameLookupError.self) {
        try await lookUp(host: "::1", port: 80, family: .ipv4)
      }
      #expect(error?.reason == .noAddress)
      #expect(lookup.asked.value == [])
    }
  }

  @Test func `a name's addresses get the port, in the order of the answer`() throws {
    let lookup = ScriptedLookup()
    try run(lookup) { loop in
      let found = try await lookUp(host: "two.example", port: 443)
      #expect(found.map(\.description) == ["[::1]:443", "127.0.0.1:443"])
      #expect(lookup.asked.value == ["two.example"])
    }
  }

  @Test func `DN-02: what can be no name is refused without a look-up`() throws {
    let lookup = ScriptedLookup()
    try run(lookup) { loop in
      for host in ["", "a\0b", String(repeating: "a", count: 256), "127.0.0.1\0"] {
        await #expect(throws: InvalidArgumentError.self) { try await openConnection(host: host, port: 1) }
        await #expect(throws: InvalidArgumentError.self) { try await startServer(host: host, port: 1) { _ in } }
      }
      await #expect(throws: InvalidArgumentError.self) { try await lookUp(host: "a", port: 65_536) }
      #expect(lookup.asked.value == [])
    }
  }

  @Test func `DN-07: the resolver's failure is thrown, with its reason`() throws {
    try run(ScriptedLookup()) { loop in
      let error = await #expect(throws: NameLookupError.self) { try await openConnection(host: "no.example", port: 1) }
      #expect(error == NameLookupError("no.example", .notFound))
    }
  }

  @Test func `a cancel and a timeout end the wait at once, and the answer that comes late is dropped`() throws {
    let lookup = ScriptedLookup()
    try EventLoop.run(configuration: configuration(lookup)) { loop in
      let task = loop.createTask { _ = try await lookUp(host: "slow.example", port: 1) }
      try await settle { lookup.asked.value == ["slow.example"] }
      task.cancel()
      #expect(await outcome(of: task) == "cancelled")
      await #expect(throws: TimeoutError.self) {
        try await openConnection(host: "slow.example", port: 1, timeout: .milliseconds(5))
      }
      #expect(lookup.answered.value == 0)
      lookup.isReleased.change { $0 = true }
      // One whose time was over before it had a thread was not begun.
      try await settle { lookup.answered.value == lookup.asked.count }
    }
  }

  @Test func `DN-04: a loop is closed while a look-up goes on`() throws {
    let lookup = ScriptedLookup()
    try EventLoop.run(configuration: configuration(lookup)) { loop in
      loop.createTask { _ = try await lookUp(host: "slow.example", port: 1) }
      try await settle { lookup.asked.count == 1 }
    }
    lookup.isReleased.change { $0 = true }
    while lookup.answered.value == 0 { usleep(500) }
  }

  @Test func `DN-04: the end of a run waits for no look-up, and begins none that waits`() throws {
    let lookup = ScriptedLookup()
    var configuration = configuration(lookup)
    configuration.maximumLookUpThreads = 1
    let log = RecordingLog()
    let start = ContinuousClock.now
    try EventLoop.run(configuration: configuration.with(log: log)) { loop in
      for host in ["slow.example", "two.example"] {
        loop.createTask { _ = try await lookUp(host: host, port: 1) }
        try await settle { lookup.asked.count == 1 }
      }
      try await settle { loop.lookUpPool.queuedCount == 1 }
    }
    #expect(ContinuousClock.now - start < .seconds(5))
    lookup.isReleased.change { $0 = true }
    while lookup.answered.value == 0 { usleep(500) }
    while ProcessFacts.threadNames.contains("asyncio-lookup") { usleep(500) }
    #expect(lookup.asked.value == ["slow.example"])
    #expect(log.kinds == [])
  }

  @Test func `DN-05: a thousand look-ups, of which one hangs, on four threads: all others have their answers`() throws {
    let lookup = ScriptedLookup()
    try EventLoop.run(configuration: configuration(lookup)) { loop in
      let hung = loop.createTask { _ = try await lookUp(host: "slow.example", port: 1) }
      let names = (0..<999).map { _ in loop.createTask { try await lookUp(host: "two.example", port: 1).count } }
      for name in names {
        let count = try await name.value
        #expect(count == 2)
      }
      #expect(!hung.isDone)
      #expect(lookup.greatest.value <= 4)
      #expect(loop.lookUpPool.threadCount <= 4)
      lookup.isReleased.change { $0 = true }
      #expect(await outcome(of: hung).contains("slow.example"))
    }
  }

  @Test func `DN-05: look-ups that have all threads hold up no other work, and other work no look-up`() throws {
    let lookup = ScriptedLookup()
    var configuration = configuration(lookup)
    configuration.maximumBlockingThreads = 2
    try EventLoop.run(configuration: configuration) { loop in
      let hung = (0..<4).map { _ in loop.createTask { _ = try await lookUp(host: "slow.example", port: 1) } }
      try await settle { lookup.asked.count == 4 }
      #expect(try await runBlocking { 7 } == 7)
      // One more waits for a thread; a cancel takes it out, and it is never begun.
      let waiting = loop.createTask { _ = try await lookUp(host: "never.example", port: 1) }
      try await settle { loop.lookUpPool.queuedCount == 1 }
      waiting.cancel()
      #expect(await outcome(of: waiting) == "cancelled")
      #expect(loop.lookUpPool.queuedCount == 0)
      await #expect(throws: TimeoutError.self) {
        try await openConnection(host: "never.example", port: 1, timeout: .milliseconds(5))
      }
      #expect(loop.lookUpPool.queuedCount == 0)
      lookup.isReleased.change { $0 = true }
      for task in hung { _ = await outcome(of: task) }
      #expect(!lookup.asked.value.contains("never.example"))

      let gate = Gate()
      let blocked = try (0..<2).map { _ in try loop.runInExecutor { gate.wait() } }
      #expect(try await lookUp(host: "two.example", port: 1).count == 2)
      gate.open()
      for future in blocked { try await future.value }
    }
  }

  @Test func `DN-06: names are asked of the C library, and libevent's resolver is not linked`() throws {
    #expect(unsafe dlsym(nil, "evdns_base_new") == nil)
    #expect(unsafe dlsym(nil, "event_base_new") != nil)
  }

  @Test func `a connection to a name reaches the address that listens`() throws {
    try run(ScriptedLookup(), network: TestLoop.Network()) { loop in
      let server = try await serve { connection in try await connection.writer.write("hi") }
      let connection = try await openConnection(host: "two.example", port: server.address.port)
      #expect(try await connection.reader.read() == Array("hi".utf8))
      connection.close()
      server.close()
    }
  }

  @Test func `localhost is served and connected to by name`() throws {
    try EventLoop.run { loop in
      let server = try await startServer(host: "localhost", port: 0) { connection in
        try await connection.writer.write("hi")
      }
      let port = try #require(server.addresses.first).port
      let connection = try await openConnection(host: "localhost", port: port)
      #expect(try await connection.reader.read() == Array("hi".utf8))
      connection.close()
      server.close()
    }
  }
}

/// A resolver of the test's.
final class ScriptedLookup: NameLookup, Sendable {
  let asked = Notes<String>()
  let answered = Shared(0)
  /// The most that were looked up at a time.
  let greatest = Shared(0)
  private let running = Shared(0)
  let isReleased = Shared(false)

  func addresses(of host: HostName, _ family: SocketAddress.Family?) throws(NameLookupError) -> [SocketAddress] {
    asked.add(host.text)
    running.change { $0 += 1 }
    defer { running.change { $0 -= 1 } }
    greatest.change { $0 = max($0, running.value) }
    switch host.text {
    case "slow.example":
      while !isReleased.value { usleep(500) }
      answered.change { $0 += 1 }
      throw NameLookupError(host.text, .temporary)
    case "two.example": return ["::1", "127.0.0.1"].compactMap { SocketAddress.literal($0, 0) }
    default: throw NameLookupError(host.text, .notFound)
    }
  }
}
