// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 14, the side of the server: SV-05 to SV-07, SV-18.

import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ServerTests {
  @Test func `clients share the plain state of the code around the handler`() throws {
    try runInMemory { loop in
      let served = Counter()
      let server = try await serve { connection in
        served.value += 1
        loop.callSoon {}
        try await echo(connection)
      }
      for number in 1...5 {
        #expect(try await exchange("hello \(number)", with: server.address) == "hello \(number)")
        #expect(served.value == number)
      }
      server.close()
      try await server.waitClosed()
    }
  }

  @Test func `what a handler wrote is flushed when it returns, and then its connection is closed`() throws {
    try runInMemory { loop in
      let text = String(repeating: "x", count: 1_000_000)
      let server = try await serve { connection in try connection.writer.writeNow(text) }
      #expect(try await exchange(with: server.address).count == text.count)
      server.close()
      try await server.waitClosed()
    }
  }

  @Test func `SV-05: options that cannot be are refused`() throws {
    try runInMemory { loop in
      for change in [
        { $0.backlog = 0 }, { $0.maximumConnections = 0 }, { $0.stream.limit = 0 },
        { $0.flushLimit = .nanoseconds(-1) },
      ] as [(inout ServerOptions) -> Void] {
        var options = ServerOptions()
        change(&options)
        await #expect(throws: InvalidArgumentError.self) { try await serve(options) { _ in } }
      }
      for port in [-1, 65_536] {
        await #expect(throws: InvalidArgumentError.self) { try await startServer(host: nil, port: port) { _ in } }
      }
    }
  }

  @Test func `SV-05: what is no listening stream socket is refused, and stays its owner's`() throws {
    try EventLoop.run { loop in
      let calls = LinuxSystemCalls()
      let datagrams = try OwnedSocket.open(.ipv4, Int32(SOCK_DGRAM.rawValue), calls: calls)
      try datagrams.bind(to: SocketAddress(host: "127.0.0.1", port: 0))
      let mute = try OwnedSocket.open(.ipv4, Int32(SOCK_STREAM.rawValue), calls: calls)
      let pipe = try DescriptorPair.pipe()
      let pair = try DescriptorPair.sockets()
      for number in [datagrams.rawValue, mute.rawValue, pipe.near.rawValue, pair.near.rawValue, -1, 1 << 30] {
        let error = await #expect(throws: InvalidArgumentError.self) {
          try await startServer(listeningOn: FileDescriptor(rawValue: number)) { _ in }
        }
        #expect(error?.description.contains("descriptor \(number) is no stream socket") == true)
        #expect((fcntl(number, F_GETFD) >= 0) == (number >= 0 && number != 1 << 30))
      }
    }
  }

  @Test func `SV-05: a socket that listens is served, and closed with its server`() throws {
    try EventLoop.run { loop in
      // As its maker has it: it blocks.
      let listener = try DescriptorPair.listener()
      let server = try await startServer(listeningOn: listener) { connection in try await echo(connection) }
      #expect(server.address.host == "127.0.0.1" && server.address.port > 0)
      #expect(fcntl(listener.rawValue, F_GETFL) & O_NONBLOCK != 0)
      for _ in 0..<3 { #expect(try await exchange("hello", with: server.address) == "hello") }
      server.close()
      #expect(fcntl(listener.rawValue, F_GETFD) < 0)
      try await server.waitClosed()
    }
  }

  @Test func `SV-06: a server that ends each client at once harms none`() throws {
    try runInMemory { loop in
      let server = try await serve { connection in connection.close() }
      for _ in 0..<50 { #expect(try await exchange(with: server.address) == "") }
      server.close()
      try await server.waitClosed()
      #expect(server.connectionCount == 0)
    }
  }

  @Test func `SV-07: what a client sends before its end arrives`() throws {
    try runInMemory { loop in
      let heard = Log()
      let server = try await serve { connection in
        heard.add(String(decoding: try await connection.reader.read(), as: UTF8.self))
      }
      _ = try await exchange("all of it", with: server.address)
      try await settle { heard.entries == ["all of it"] }
      server.close()
    }
  }

  @Test func `a server that is open when its loop is closed gives its descriptors back`() throws {
    let before = ProcessFacts.descriptors.count
    try EventLoop.run { loop in
      _ = try await serve { connection in try await echo(connection) }
      _ = try await serve { connection in try await echo(connection) }
    }
    #expect(ProcessFacts.descriptors.count == before)
  }

  @Test func `a handler of another actor is refused`() throws {
    try runInMemory { loop in
      await #expect(throws: InvalidArgumentError.self) { try await serve { @MainActor _ in } }
    }
  }
}
