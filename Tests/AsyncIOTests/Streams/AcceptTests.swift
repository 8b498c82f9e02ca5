// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 14, taking clients: SV-08, SV-09, SV-18, SV-20, SV-21, limits; UX-03, UX-04 of servers.

import AsyncIOTesting
import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct AcceptTests {
  @Test(.inOrder) func `SV-08: up to backlog and one are taken for each readiness, then it is the others' turn`() throws
  {
    try runInMemory { loop in
      var options = ServerOptions()
      options.backlog = 4
      let listener = try ListeningSocket(
        bindingTo: SocketAddress(host: "127.0.0.1", port: 0), calls: loop.systemCalls)
      let target = try listener.localAddress
      var clients: [Connection] = []
      for _ in 0..<12 { clients.append(try await openConnection(to: target)) }
      var seen: [Int] = []
      let sockets = [ListeningSocketBox(listener)]
      let core = try ServerCore(sockets, options, on: loop) { connection, _ in try await echo(connection) }
      while core.clients.count < 12 {
        let before = core.clients.count
        try await turns()
        if core.clients.count > before { seen.append(core.clients.count - before) }
      }
      #expect(seen == [5, 5, 2])
      core.close(on: loop)
      core.abortClients(on: loop)
      for client in clients { client.abort() }
    }
  }

  @Test func `SV-08: clients that are gone before they are taken are skipped`() throws {
    let gone = [Errno.connectionAbort, .protocolError, .notPermitted, .networkDown]
    let faults = gone.enumerated().map { TestLoop.Fault(.accept, number: $0.offset + 1, error: $0.element) }
    try runInMemory(faults: faults) { loop in
      let reports = Reports(of: loop)
      let server = try await serve { connection in try await echo(connection) }
      let start = loop.now
      #expect(try await exchange("x", with: server.address) == "x")
      // The request, the answer to it, the byte, the byte: no wait for anything else.
      #expect(start.duration(to: loop.now) == .milliseconds(4))
      #expect(reports.kinds == [])
      server.close()
    }
  }

  @Test(arguments: [Errno.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noBufferSpace, .noMemory, .invalidArgument])
  func `SV-09: a shortage is reported once, and asked about after growing delays, by one timer`(errno: Errno) throws {
    try runInMemory(faults: [TestLoop.Fault(.accept, count: 6, error: errno)]) { loop in
      let reports = Reports(of: loop)
      let server = try await serve { connection in try await echo(connection) }
      // The request arrives before the answer to it.
      var due = loop.timeSource.now.advanced(by: .milliseconds(1))
      let client = try await openConnection(to: server.address)
      for delay in [1, 2, 4, 8, 16, 16] as [Int64] {
        #expect(server.connectionCount == 0)
        due = due.advanced(by: .seconds(delay))
        #expect(loop.executor.timers.count == 1)
        #expect(loop.executor.earliestDeadline == due)
        try await loop.advance(by: .seconds(delay))
      }
      #expect(server.connectionCount == 1)
      #expect(reports.kinds == [.acceptFailed])
      #expect(loop.executor.timers.count == 0)
      try await client.writer.write("still here")
      #expect(try await client.reader.readExactly(10).count == 10)
      client.abort()
      server.close()
      try await server.waitClosed()
    }
  }

  @Test func `SV-09: the next shortage is reported again, and begins with the first delay`() throws {
    let faults = [
      TestLoop.Fault(.accept, count: 2, error: .tooManyOpenFiles),
      // The third takes the first client, the fourth finds nobody.
      TestLoop.Fault(.accept, number: 5, error: .noMemory),
    ]
    try runInMemory(faults: faults) { loop in
      let reports = Reports(of: loop)
      let server = try await serve { _ in }
      _ = try await exchange(with: server.address)
      #expect(reports.kinds == [.acceptFailed])
      let start = loop.now
      _ = try await exchange(with: server.address)
      // The request, the delay, the end.
      #expect(start.duration(to: loop.now) == .seconds(1) + .milliseconds(2))
      #expect(reports.kinds == [.acceptFailed, .acceptFailed])
      server.close()
    }
  }

  @Test func `SV-09: on the kernel, a process without descriptors costs no processor time, and goes on`() throws {
    try EventLoop.run { loop in
      let reports = Reports(of: loop)
      let server = try await serve { connection in try await echo(connection) }
      let client = try OwnedSocket.open(.ipv4, Int32(SOCK_STREAM.rawValue), calls: LinuxSystemCalls())
      var limit = rlimit()
      unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      var short = limit
      short.rlim_cur = 0
      unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &short)
      _ = try client.connect(to: server.address)
      let time = try await idleProcessorTime()
      unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      #expect(time < .milliseconds(30))
      #expect(reports.kinds == [.acceptFailed])
      try await settle { server.connectionCount == 1 }
      server.abortClients()
      try await server.waitClosed()
    }
  }

  @Test func `SV-09: a client that leaves ends the wait`() throws {
    // The first call takes the first client, the second finds nobody.
    try runInMemory(faults: [TestLoop.Fault(.accept, number: 3, error: .tooManyOpenFiles)]) { loop in
      let reports = Reports(of: loop)
      let server = try await serve { connection in try await echo(connection) }
      let first = try await openConnection(to: server.address)
      let second = try await openConnection(to: server.address)
      try await loop.waitAllTasksBlocked()
      #expect(server.connectionCount == 1)
      #expect(reports.kinds == [.acceptFailed])
      let start = loop.now
      first.abort()
      try await second.writer.write("x")
      _ = try await second.reader.readExactly(1)
      // There and back.
      #expect(start.duration(to: loop.now) == .milliseconds(2))
      second.abort()
      server.close()
    }
  }

  @Test func `above the limit clients wait for those before them`() throws {
    try runInMemory { loop in
      var options = ServerOptions()
      options.maximumConnections = 2
      let server = try await serve(options) { connection in try await echo(connection) }
      var clients: [Connection] = []
      for _ in 0..<5 { clients.append(try await openConnection(to: server.address)) }
      for client in clients { try await client.writer.write("x") }
      try await loop.advance(by: .seconds(60))
      #expect(server.connectionCount == 2)
      for client in clients {
        #expect(try await client.reader.readExactly(1) == Array("x".utf8))
        #expect(server.connectionCount <= 2)
        client.close()
      }
      server.close()
      try await server.waitClosed()
    }
  }

  @Test func `clients that wait above the limit cost no processor time`() throws {
    try EventLoop.run { loop in
      var options = ServerOptions()
      options.maximumConnections = 1
      let server = try await serve(options) { connection in try await echo(connection) }
      var clients: [Connection] = []
      for _ in 0..<3 { clients.append(try await openConnection(to: server.address)) }
      try await settle { server.connectionCount == 1 }
      #expect(try await idleProcessorTime() < .milliseconds(30))
      #expect(server.connectionCount == 1)
      for client in clients { client.abort() }
      server.abortClients()
      server.close()
    }
  }

  @Test func `SV-18: port 0 is the same for all addresses; a taken one is an error that names it`() throws {
    try EventLoop.run { loop in
      for _ in 0..<20 {
        let server = try await startServer(host: nil, port: 0) { _ in }
        #expect(server.addresses.map(\.family) == [.ipv6, .ipv4])
        #expect(Set(server.addresses.map(\.port)).count == 1)
        #expect(server.addresses.allSatisfy { $0.port != 0 })
        let taken = try #require(server.addresses.last)
        let error = await #expect(throws: AddressError.self) { try await startServer(on: taken) { _ in } }
        #expect(error == AddressError(taken, SystemError(.addressInUse, in: "bind")))
        server.close()
      }
    }
  }

  @Test func `SV-18: a dual-stack listener takes clients of both families`() throws {
    try EventLoop.run { loop in
      var options = ServerOptions()
      options.dualStack = true
      let server = try await startServer(host: nil, port: 0, options: options) { connection in
        try await connection.writer.write("hi")
      }
      for host in ["127.0.0.1", "::1"] {
        let target = try SocketAddress(host: host, port: server.address.port)
        #expect(try await exchange(with: target) == "hi")
      }
      server.close()
    }
  }

  @Test func `SV-18: servers that say so share a port`() throws {
    try EventLoop.run { loop in
      var options = ServerOptions()
      options.reusePort = true
      let first = try await serve(options) { _ in }
      let second = try await startServer(on: first.address, options: options) { _ in }
      #expect(first.addresses == second.addresses)
      first.close()
      second.close()
    }
  }

  /// As many as the contract's ten minutes have: `ASYNCIO_SOAK=1 swift test --filter SV-20`.
  private static var rounds: Int { unsafe getenv("ASYNCIO_SOAK") == nil ? 3_000 : 600_000 }

  @Test func `SV-20: connections that are reset at once leave no descriptor`() throws {
    try EventLoop.run { loop in
      _ = Reports(of: loop)
      let server = try await serve { connection in try await echo(connection) }
      let before = ProcessFacts.descriptors.count
      for round in 1...Self.rounds {
        let socket = try await loop.connect([server.address], ConnectionOptions(), until: nil)
        try socket.setOption(SO_LINGER, of: SOL_SOCKET, to: 0)
        _ = consume socket
        if round % 1_000 == 0 {
          try await settle { server.connectionCount == 0 }
          #expect(ProcessFacts.descriptors.count == before)
        }
      }
      server.close()
    }
  }

  @Test func `SV-21: beyond the backlog clients wait or give up, and the server serves all who have stayed`() throws {
    try EventLoop.run { loop in
      let reports = Reports(of: loop)
      var options = ServerOptions()
      options.backlog = 1
      options.maximumConnections = 1
      let server = try await serve(options) { connection in try await echo(connection) }
      let first = try await openConnection(to: server.address)
      try await settle { server.connectionCount == 1 }
      var waiting: [Connection] = []
      var gaveUp = 0
      for _ in 0..<5 {
        do {
          waiting.append(try await openConnection(to: server.address, timeout: .milliseconds(20)))
        } catch is TimeoutError {
          gaveUp += 1
        }
      }
      #expect(gaveUp > 0 && !waiting.isEmpty)
      #expect(server.connectionCount == 1 && server.isServing)
      #expect(try await idleProcessorTime() < .milliseconds(30))
      // The kernel asks again for one that is patient.
      let address = server.address
      let patient = loop.createTask { try await exchange("patient", with: address) }
      try await turns(2)
      first.close()
      for client in waiting {
        try await client.writer.write("x")
        #expect(try await client.reader.readExactly(1) == Array("x".utf8))
        client.close()
      }
      // An end, and no reset: nobody's handler has failed.
      let answer = try await patient.value
      #expect(answer == "patient")
      #expect(reports.count == 0)
      server.close()
      try await server.waitClosed()
    }
  }

  @Test func `UX-01, UX-03, UX-04: a server of a path replaces a stale file, and takes its own away`() throws {
    let folder = TemporaryFolder()
    try EventLoop.run { loop in
      let path = folder.path("a.sock")
      for _ in 0..<2 {
        let server = try await startServer(unixPath: path) { connection in try await echo(connection) }
        #expect(folder.names == ["a.sock"] && server.address.unixPath == path)
        let client = try await openConnection(unixPath: path)
        #expect(client.peerAddress?.unixPath == path && client.localAddress == nil)
        try await client.writer.write("x")
        #expect(try await client.reader.readExactly(1) == Array("x".utf8))
        client.abort()
        await #expect(throws: AddressError.self) { try await startServer(unixPath: path) { _ in } }
        #expect(folder.names == ["a.sock"])
        server.close()
        #expect(folder.names == [])
        // What a crash leaves.
        let stale = try OwnedSocket.open(.unix, Int32(SOCK_STREAM.rawValue), calls: LinuxSystemCalls())
        try stale.bind(to: SocketAddress(unixPath: path))
      }
    }
  }
}
