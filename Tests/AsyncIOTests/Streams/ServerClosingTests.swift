// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 14, the end of a server and of its clients: SV-12 to SV-17.

import AsyncIOTesting
import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ServerClosingTests {
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
        for _ in 0..<Amount.of(300, usually: 50) {
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
    // By libevent, whose watch ends while it is active.
    try EventLoop.run { loop in
      for _ in 0..<20 {
        var server: Server? = try await serve { _ in }
        let address = try #require(server?.address)
        let client = try OwnedSocket.open(.ipv4, Int32(SOCK_STREAM.rawValue), calls: LinuxSystemCalls())
        _ = try client.connect(to: address)
        weak let core = server?.core
        // It stands before what the kernel tells of in the turn that follows.
        loop.callSoon {
          server?.close()
          server = nil
        }
        try await turns(2)
        #expect(core == nil)
      }
    }
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
}
