// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 14: SV-13, SV-15, SV-17, clients that do not read what their handlers have written.

import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ServerFlushTests {
  /// More than the network has room for.
  private static let much = [UInt8](repeating: 7, count: 1_000_000)
  private static let reset = "\(SystemError(.connectionReset, in: "recv"))"

  /// How a stream ends for who reads it to the end.
  private func end(of client: Connection) async -> String {
    await thrown { while try await !client.reader.read(upTo: .max).isEmpty {} }
  }

  @Test func `SV-13: a client that reads nothing leaves its place to the next one after the limit, by a reset`() throws
  {
    for limit in [Duration.seconds(30), .seconds(2)] {
      try TestLoop.runInEachOrder(.network()) { loop in
        let reports = Reports(of: loop)
        var options = ServerOptions()
        #expect(options.flushLimit == .seconds(30))
        options.flushLimit = limit
        options.maximumConnections = 1
        let server = try await serve(options) { try $0.writer.writeNow(Self.much) }
        let mute = try await openConnection(to: server.address)
        let next = try await openConnection(to: server.address)
        let begin = loop.now
        #expect(try await next.reader.readExactly(1) == [7])
        let waited = begin.duration(to: loop.now)
        #expect(waited > limit - .milliseconds(100) && waited < limit * 2 + .milliseconds(100))
        #expect(await end(of: mute) == Self.reset)
        mute.abort()
        next.abort()
        server.close()
        try await server.waitClosed()
        #expect(reports.kinds == [])
      }
    }
  }

  @Test func `SV-13: a client that reads slowly, and goes on, gets all, however long that takes`() throws {
    try TestLoop.runInEachOrder(.network()) { loop in
      var options = ServerOptions()
      options.flushLimit = .seconds(2)
      let server = try await serve(options) { try $0.writer.writeNow(Self.much) }
      let slow = try await openConnection(to: server.address)
      var count = 0
      while count < Self.much.count {
        try await sleep(for: .seconds(1))
        count += try await slow.reader.readExactly(min(65_536, Self.much.count - count)).count
      }
      #expect(try await slow.reader.read() == [])
      slow.abort()
      server.close()
      try await server.waitClosed()
    }
  }

  @Test func `SV-17: a run that ends takes no more clients`() throws {
    var configuration = TestLoop.Configuration.network { $0.shutdownGrace = nil }
    configuration.leaks = .off
    for configuration in configuration.inEachOrder {
      let served = Shared(0)
      try TestLoop.run(configuration) { loop in
        let server = try await serve { _ in served.change { $0 += 1 } }
        let address = server.address
        loop.createTask {
          do {
            try await sleep(for: .seconds(3_600))
          } catch {
            let late = try await openConnection(to: address)
            try await sleep(for: .seconds(5))
            late.abort()
          }
        }
        try await exchangeNothing(with: address)
        while served.value == 0 { try await sleep(for: .milliseconds(10)) }
      }
      #expect(served.value == 1, "\(configuration.order)")
    }
  }

  private func exchangeNothing(with address: SocketAddress) async throws {
    try await openConnection(to: address).abort()
  }

  @Test func `SV-13: without a limit it keeps its place, and gets all when it reads at last`() throws {
    try TestLoop.runInEachOrder(.network()) { loop in
      var options = ServerOptions()
      options.flushLimit = nil
      let server = try await serve(options) { try $0.writer.writeNow(Self.much) }
      let slow = try await openConnection(to: server.address)
      try await sleep(for: .seconds(100_000))
      #expect(server.connectionCount == 1)
      #expect(try await slow.reader.read() == Self.much)
      slow.abort()
      server.close()
      try await server.waitClosed()
    }
  }

  @Test func `SV-17: a run ends though a client reads nothing of what a cancelled handler has written`() throws {
    var configuration = TestLoop.Configuration.network { $0.shutdownGrace = nil }
    configuration.leaks = .off
    for configuration in configuration.inEachOrder {
      for hasEnded in [true, false] {
        nonisolated(unsafe) var kept: Connection?
        try TestLoop.run(configuration) { loop in
          let server = try await serve { connection in
            try connection.writer.writeNow(Self.much)
            if !hasEnded { try await sleep(for: .seconds(3_600)) }
          }
          let mute = try await openConnection(to: server.address)
          #expect(try await mute.reader.readExactly(1) == [7])
          // The client does not go before the server.
          unsafe kept = mute
        }
        unsafe #expect(kept != nil)
        unsafe kept = nil
      }
    }
  }

  @Test func `SV-15: a flush that is going on may end within the second grace`() throws {
    try TestLoop.runInEachOrder(.network()) { loop in
      let server = try await serve { try $0.writer.writeNow(Self.much) }
      let client = try await openConnection(to: server.address)
      let reading = loop.createTask {
        try await sleep(for: .seconds(7))
        return try await client.reader.read()
      }
      let begin = loop.now
      try await server.closeClients(grace: .seconds(5))
      let waited = begin.duration(to: loop.now)
      #expect(waited > .seconds(7) && waited < .seconds(8))
      #expect(server.connectionCount == 0)
      #expect(try await reading.value == Self.much)
      client.abort()
    }
  }

  @Test func `SV-15: a flush that has not ended after the second grace is a reset`() throws {
    try TestLoop.runInEachOrder(.network()) { loop in
      let server = try await serve { try $0.writer.writeNow(Self.much) }
      let mute = try await openConnection(to: server.address)
      let begin = loop.now
      try await server.closeClients(grace: .seconds(5))
      #expect(begin.duration(to: loop.now) == .seconds(10))
      try await server.waitClosed()
      #expect(begin.duration(to: loop.now) == .seconds(10))
      #expect(await end(of: mute) == Self.reset)
      mute.abort()
    }
  }

  @Test func `SV-15: a second cancel ends the flush`() throws {
    try TestLoop.runInEachOrder(.network()) { loop in
      let server = try await serve { try $0.writer.writeNow(Self.much) }
      let mute = try await openConnection(to: server.address)
      #expect(try await mute.reader.readExactly(1) == [7])
      for isLast in [false, true] {
        for task in loop.allTasks where task !== AnyLoopTask.current { task.cancel() }
        try await loop.waitAllTasksBlocked()
        #expect(server.connectionCount == (isLast ? 0 : 1))
      }
      #expect(await end(of: mute) == Self.reset)
      mute.abort()
      server.close()
    }
  }
}
