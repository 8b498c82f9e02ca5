// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 14, the side of the server: SV-05 to SV-07, SV-12 to SV-18.

import AsyncIOTesting
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

  @Test func `SV-12, SV-13: a closed server takes nobody, keeps its clients, and has ended after the last`() throws {
    try runInMemory { loop in
      let server = try await serve { connection in try await echo(connection) }
      let client = try await openConnection(to: server.address)
      try await client.writer.write("a")
      #expect(try await client.reader.readExactly(1) == Array("a".utf8))
      server.close()
      server.close()
      #expect(!server.isServing && server.connectionCount == 1)
      let error = await #expect(throws: ConnectError.self) { try await openConnection(to: server.address) }
      #expect(error?.failures.map(\.error.errno) == [.connectionRefused])
      let waits = (0..<3).map { _ in loop.createTask { try await server.waitClosed() } }
      let cancelled = loop.createTask { try await server.waitClosed() }
      try await linger()
      #expect(!waits.contains { $0.isDone })
      cancelled.cancel()
      #expect(await outcome(of: cancelled) == "cancelled")
      try await client.writer.write("b")
      #expect(try await client.reader.readExactly(1) == Array("b".utf8))
      client.close()
      for wait in waits { try await wait.value }
      #expect(server.connectionCount == 0)
      try await server.waitClosed()
    }
  }

  @Test(.overSeeds(200)) func `SV-14: a close in any turn after a connect harms nobody`() throws {
    // In memory, the request comes after a millisecond, the answer after two, and the client's reset after three.
    try runInMemory { loop in
      for milliseconds in 0...4 {
        for tick in 0...5 {
          let server = try await serve { connection in try await echo(connection) }
          let address = server.address
          let client = loop.createTask { try? await openConnection(to: address).abort() }
          try await sleep(for: .milliseconds(milliseconds))
          try await turns(tick)
          server.close()
          _ = try await client.value
          try await server.waitClosed()
          #expect(server.connectionCount == 0)
        }
      }
    }
    let before = ProcessFacts.descriptors.count
    for tick in 0...10 {
      try EventLoop.run { loop in
        for _ in 0..<50 {
          let server = try await serve { connection in try await echo(connection) }
          let address = server.address
          let client = loop.createTask { try? await openConnection(to: address).abort() }
          try await turns(tick)
          server.close()
          _ = try await client.value
          try await server.waitClosed()
          #expect(server.connectionCount == 0)
        }
      }
    }
    #expect(ProcessFacts.descriptors.count == before)
  }

  @Test func `SV-14: so does the end of the loop`() throws {
    let before = ProcessFacts.descriptors.count
    for tick in 0...10 {
      for _ in 0..<10 {
        try EventLoop.run { loop in
          let server = try await serve { connection in try await echo(connection) }
          let address = server.address
          loop.createTask { try? await openConnection(to: address).abort() }
          try await turns(tick)
        }
      }
    }
    #expect(ProcessFacts.descriptors.count == before)
  }

  @Test(.overSeeds(200))
  func `SV-14: a server that is closed and let go of while its listener is ready, in one turn, harms nobody`() throws {
    try runInMemory { loop in
      // Watched before each listener: in order, who reads it hears of its byte before the server hears of a client that
      // comes at the same time.
      let (bell, ringer) = try connectionPair()
      for _ in 0..<20 {
        try await ringer.writer.write("x")
        _ = try await bell.reader.readExactly(1)
        var server: Server? = try await serve { _ in }
        let address = try #require(server?.address)
        let client = try OwnedSocket.open(.ipv4, Int32(SOCK_STREAM.rawValue), calls: loop.systemCalls)
        _ = try client.connect(to: address)
        weak let core = server?.core
        try await ringer.writer.write("x")
        _ = try await bell.reader.readExactly(1)
        if loop.testSeed == nil { #expect(server?.connectionCount == 0) }
        server?.close()
        server = nil
        try await loop.waitAllTasksBlocked()
        #expect(core == nil)
      }
      bell.abort()
      ringer.abort()
    }
  }

  @Test func `SV-15: clients that finish within the grace are not interrupted`() throws {
    try runInMemory { loop in
      let log = Log()
      let server = try await serve { connection in
        try await sleep(for: .milliseconds(20))
        log.add("finished")
        try await connection.writer.write("done")
      }
      let address = server.address
      let client = loop.createTask { try await exchange(with: address) }
      try await settle { server.connectionCount == 1 }
      try await server.closeClients(grace: .seconds(10))
      #expect(try await client.value == "done")
      #expect(log.entries == ["finished"] && server.connectionCount == 0)
    }
  }

  @Test func `SV-15: after the grace the handlers are cancelled, and may clean up`() throws {
    try runInMemory { loop in
      let server = try await serve { connection in
        do {
          try await sleep(for: .seconds(3_600))
        } catch {
          try await connection.writer.write("sorry")
          throw error
        }
      }
      let address = server.address
      let client = loop.createTask { try await exchange(with: address) }
      try await settle { server.connectionCount == 1 }
      try await server.closeClients(grace: .milliseconds(20))
      #expect(try await client.value == "sorry")
      #expect(server.connectionCount == 0)
    }
  }

  @Test func `SV-15: those that do not listen to that have their connections aborted`() throws {
    try runInMemory { loop in
      let ended = Log()
      let server = try await serve { connection in
        for _ in 0..<2 { try? await sleep(for: .seconds(3_600)) }
        ended.add("end")
      }
      let client = try await openConnection(to: server.address)
      try await settle { server.connectionCount == 1 }
      try await server.closeClients(grace: .milliseconds(5))
      let end = await thrown { _ = try await client.reader.read() }
      #expect(end == "\(SystemError(.connectionReset, in: "recv"))")
      #expect(ended.entries == [])
      client.abort()
      for task in loop.allTasks where task !== AnyLoopTask.current { task.cancel() }
      try await server.waitClosed()
      #expect(ended.entries == ["end"])
    }
  }

  @Test func `SV-15: one that goes on after its cancel, and then finds its connection aborted, is no failure`() throws {
    try runInMemory { loop in
      let reports = Reports(of: loop)
      let server = try await serve { connection in
        for _ in 0..<2 { try? await sleep(for: .seconds(3_600)) }
        _ = try await connection.reader.read()
      }
      let client = try await openConnection(to: server.address)
      defer { client.abort() }
      try await settle { server.connectionCount == 1 }
      let handler = try #require(loop.allTasks.first { $0 !== AnyLoopTask.current })
      try await server.closeClients(grace: .milliseconds(5))
      handler.cancel()
      try await server.waitClosed()
      #expect(reports.kinds == [])
    }
  }

  @Test func `SV-15: aborting ends all at once`() throws {
    try runInMemory { loop in
      let server = try await serve { connection in try await echo(connection) }
      var clients: [Connection] = []
      for _ in 0..<10 { clients.append(try await openConnection(to: server.address)) }
      try await settle { server.connectionCount == 10 }
      server.abortClients()
      try await server.waitClosed()
      for client in clients {
        let rest = try? await client.reader.read()
        #expect(rest ?? [] == [])
        client.abort()
      }
    }
  }

  @Test func `SV-16: serving for ever ends with the close, or by a cancel, which closes; and not twice`() throws {
    try runInMemory { loop in
      let server = try await serve { _ in }
      let serving = loop.createTask { try await server.serveForever() }
      try await turns(2)
      server.close()
      #expect(await outcome(of: serving) == "()")
      await #expect(throws: ServerClosedError.self) { try await server.serveForever() }

      let second = try await serve { _ in }
      let cancelled = loop.createTask { try await second.serveForever() }
      try await turns(2)
      cancelled.cancel()
      #expect(await outcome(of: cancelled) == "cancelled")
      #expect(!second.isServing)
      await #expect(throws: ServerClosedError.self) { try await second.serveForever() }
    }
  }

  @Test func `SV-17: a handler that fails is reported once, one that is cancelled is not; both are closed`() throws {
    try runInMemory { loop in
      let reports = Reports(of: loop)
      let server = try await serve { connection in
        let line = try await connection.reader.readLine()
        if line == "fail" { throw Oops(number: 7) }
        if line == "cancel" { throw CancellationError() }
      }
      for line in ["fail\n", "cancel\n", "\n"] { #expect(try await exchange(line, with: server.address) == "") }
      server.close()
      try await server.waitClosed()
      #expect(reports.kinds == [.connectionHandlerFailed])
      #expect(reports.value.first?.error as? Oops == Oops(number: 7))
    }
  }

  @Test(.overSeeds(200)) func `SV-17: a handler that is cancelled before its start leaves no connection`() throws {
    try runInMemory { loop in
      let started = Counter()
      let server = try await serve { _ in
        started.value += 1
        try await sleep(for: .seconds(3_600))
      }
      let address = server.address
      // Who reads it hears of its byte in the turn in which the server hears of the client, in order just after it.
      let (bell, ringer) = try connectionPair()
      let client = loop.createTask { try await exchange(with: address) }
      try await ringer.writer.write("x")
      _ = try await bell.reader.readExactly(1)
      while server.connectionCount == 0 { try await turns() }
      let startedBefore = started.value
      if loop.testSeed == nil { #expect(startedBefore == 0) }
      for task in loop.allTasks where task !== AnyLoopTask.current && task !== client { task.cancel() }
      server.close()
      try await server.waitClosed()
      #expect(started.value == startedBefore)
      // It has found the end.
      #expect(try await client.value == "")
      bell.abort()
      ringer.abort()
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
