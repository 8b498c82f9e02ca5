// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 14, taking clients: SV-08, SV-09, SV-18, SV-20, SV-21, limits; UX-03, UX-04 of servers.

import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct AcceptTests {
  private func configuration(_ calls: ScriptedAccept, virtual: Bool = false) -> EventLoop.Configuration {
    var configuration = virtual ? EventLoop.Configuration.virtual() : EventLoop.Configuration()
    configuration.seams.systemCalls = calls
    return configuration
  }

  @Test func `SV-08: up to backlog and one are taken for each readiness, then it is the others' turn`() throws {
    let calls = ScriptedAccept([])
    try EventLoop.run(configuration: configuration(calls)) { loop in
      var options = ServerOptions()
      options.backlog = 4
      let listener = try ListeningSocket(bindingTo: SocketAddress(host: "127.0.0.1", port: 0))
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
      core.abortClients(on: loop)
      for client in clients { client.abort() }
    }
  }

  @Test func `SV-08: clients that are gone before they are taken are skipped`() throws {
    let calls = ScriptedAccept([.connectionAbort, .protocolError, .notPermitted, .networkDown])
    try EventLoop.run(configuration: configuration(calls)) { loop in
      let reports = Reports(of: loop)
      let server = try await serve { connection in try await echo(connection) }
      #expect(try await exchange("x", with: server.address) == "x")
      #expect(reports.kinds == [])
      #expect(calls.rest == 0)
      server.close()
    }
  }

  @Test(arguments: [Errno.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noBufferSpace, .noMemory, .invalidArgument])
  func `SV-09: a shortage is reported once, and asked about after growing delays, by one timer`(errno: Errno) throws {
    let calls = ScriptedAccept(Array(repeating: errno, count: 6))
    try EventLoop.run(configuration: configuration(calls, virtual: true)) { loop in
      let reports = Reports(of: loop)
      let server = try await serve { connection in try await echo(connection) }
      let client = try await openConnection(to: server.address)
      var times: [Duration] = []
      let start = loop.now
      while calls.rest > 0 {
        let before = calls.rest
        while calls.rest == before { try await sleep(for: .milliseconds(1)) }
        times.append(start.duration(to: loop.now))
        #expect(loop.executor.timers.count == 1)
      }
      while server.connectionCount == 0 { try await sleep(for: .milliseconds(1)) }
      let gaps = zip(times.dropFirst(), times).map { ($0 - $1).components.seconds }
      // The first attempt may have been made while the client was being connected.
      #expect(gaps.count >= 4)
      #expect(gaps == [1, 2, 4, 8, 16].suffix(gaps.count))
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
    let calls = ScriptedAccept([.tooManyOpenFiles, .tooManyOpenFiles])
    try EventLoop.run(configuration: configuration(calls, virtual: true)) { loop in
      let reports = Reports(of: loop)
      let server = try await serve { _ in }
      _ = try await exchange(with: server.address)
      calls.script.change { $0 = [.noMemory] }
      let start = loop.now
      _ = try await exchange(with: server.address)
      #expect(start.duration(to: loop.now) >= .seconds(1) && start.duration(to: loop.now) < .seconds(2))
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
    let calls = ScriptedAccept([])
    try EventLoop.run(configuration: configuration(calls)) { loop in
      let reports = Reports(of: loop)
      let server = try await serve { connection in try await echo(connection) }
      let first = try await openConnection(to: server.address)
      try await settle { server.connectionCount == 1 }
      calls.script.change { $0 = [.tooManyOpenFiles] }
      let second = try await openConnection(to: server.address)
      try await settle { reports.count == 1 }
      let start = loop.now
      first.abort()
      try await second.writer.write("x")
      _ = try await second.reader.readExactly(1)
      #expect(start.duration(to: loop.now) < .milliseconds(900))
      second.abort()
      server.close()
    }
  }

  @Test func `above the limit clients wait for those before them`() throws {
    try EventLoop.run { loop in
      var options = ServerOptions()
      options.maximumConnections = 2
      let server = try await serve(options) { connection in try await echo(connection) }
      var clients: [Connection] = []
      for _ in 0..<5 { clients.append(try await openConnection(to: server.address)) }
      for client in clients { try await client.writer.write("x") }
      try await settle { server.connectionCount == 2 }
      try await linger()
      #expect(server.connectionCount == 2)
      #expect(try await idleProcessorTime() < .milliseconds(30))
      for client in clients {
        #expect(try await client.reader.readExactly(1) == Array("x".utf8))
        #expect(server.connectionCount <= 2)
        client.close()
      }
      server.close()
      try await server.waitClosed()
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
          waiting.append(try await openConnection(to: server.address, timeout: .milliseconds(50)))
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

/// Calls of which the test says how accepting fails, before it goes to the kernel.
final class ScriptedAccept: PartialCalls, Sendable {
  let script: Shared<[Errno]>

  init(_ script: [Errno]) { self.script = Shared(script) }

  var rest: Int { script.count }

  func accept(_ descriptor: Int32) throws(Errno) -> Int32 {
    var failure: Errno?
    script.change { if !$0.isEmpty { failure = $0.removeFirst() } }
    if let failure { throw failure }
    return try LinuxSystemCalls().accept(descriptor)
  }
}
