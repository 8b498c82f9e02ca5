// SPDX-License-Identifier: Apache-2.0
//
// Several loops, and servers on all of them.

import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct EventLoopGroupTests {
  @Test func `SV-13: after the shutdown a server of the group is closed, and its clients are gone`() async throws {
    let group = try EventLoopGroup.start(loops: 2)
    let server = try await group.startServer(host: "127.0.0.1", port: 0) { connection, _ in try await echo(connection) }
    await group.shutdown()
    try await server.waitClosed()
    try await server.closeClients(grace: .zero)
    #expect(try await server.connectionCounts() == [0, 0])
    server.close()
  }

  @Test func `SV-13: who waits for its end while the group is shut down is told of that`() async throws {
    let group = try EventLoopGroup.start(loops: 2)
    let server = try await group.startServer(host: "127.0.0.1", port: 0) { connection, _ in try await echo(connection) }
    async let end: Void = server.waitClosed()
    for thread in group.threads {
      while try await thread.run({ loop in loop.allTasks.count }) < 2 { await Task.yield() }
    }
    await group.shutdown()
    try await end
  }

  @Test func `loops come in turn, and a loop of the group is its own choice`() async throws {
    let group = try EventLoopGroup.start(loops: 3, name: "test-group")
    #expect(group.loops.count == 3)
    let turn = (0..<6).map { _ in group.next().loop }
    #expect(Set(turn.map(ObjectIdentifier.init)).count == 3)
    #expect(turn[0] === turn[3] && turn[1] === turn[4])
    for thread in group.threads {
      let isOwn = try await thread.run { loop in group.any.loop === loop }
      #expect(isOwn)
    }
    #expect(group.loops.contains { $0 === group.any.loop })
    await group.shutdown()
    #expect(group.loops.allSatisfy { $0.isClosed })
    #expect(throws: InvalidArgumentError.self) { try EventLoopGroup.start(loops: 0) }
  }

  @Test func `a server is on all loops, and each client stays on one`() async throws {
    let group = try EventLoopGroup.start(loops: 2)
    let seen = Shared<Set<ObjectIdentifier>>([])
    let server = try await group.startServer(host: "127.0.0.1", port: 0) { connection, loop in
      loop.callSoon {}
      seen.change { _ = $0.insert(ObjectIdentifier(loop)) }
      try await echo(connection)
    }
    let address = try #require(server.addresses.first)
    let client = group.threads[0]
    for number in 0..<200 where seen.count < 2 || number < 20 {
      #expect(try await client.run { _ in try await exchange("x\(number)", with: address) } == "x\(number)")
    }
    #expect(seen.count == 2)
    server.close()
    try await server.waitClosed()
    #expect(try await server.connectionCounts() == [0, 0])
    await group.shutdown()
  }

  @Test func `a group's server ends its clients on all loops`() async throws {
    let group = try EventLoopGroup.start(loops: 2)
    let server = try await group.startServer(host: "127.0.0.1", port: 0) { connection, _ in
      try await echo(connection)
    }
    let address = try #require(server.addresses.first)
    let clients = try LoopThread.start()
    let held = try await clients.run { loop in
      let tasks = try await withConnections(20, to: address, on: loop)
      return tasks
    }
    while try await server.connectionCounts().reduce(0, +) < 20 { try await Task.sleep(for: .milliseconds(1)) }
    try await server.closeClients(grace: .milliseconds(10))
    try await server.waitClosed()
    for task in held { #expect(try await clients.run { _ in try await task.value } == []) }
    await clients.shutdown()
    await group.shutdown()
  }

  @Test func `a shutdown ends clients and servers`() async throws {
    // The first one of a process opens descriptors that stay.
    try await Task.sleep(for: .milliseconds(1))
    let before = ProcessFacts.descriptors.count
    let group = try EventLoopGroup.start(loops: 2)
    let server = try await group.startServer(host: "127.0.0.1", port: 0) { connection, _ in
      try await echo(connection)
    }
    let address = try #require(server.addresses.first)
    let client = try LoopThread.start()
    let task = try await client.run { loop in try await withConnections(4, to: address, on: loop) }
    while try await server.connectionCounts().reduce(0, +) < 4 { try await Task.sleep(for: .milliseconds(1)) }
    await group.shutdown(grace: .seconds(5))
    for task in task { #expect(try await client.run { _ in try await task.value } == []) }
    await client.shutdown()
    await #expect(throws: LoopClosedError.self) {
      try await group.startServer(host: "127.0.0.1", port: 0) { _, _ in }
    }
    #expect(ProcessFacts.descriptors.count == before)
  }

  @Test func `a port that is taken is an error, and no loop listens`() async throws {
    let group = try EventLoopGroup.start(loops: 2)
    let taken = try ListeningSocket(bindingTo: SocketAddress(host: "127.0.0.1", port: 0))
    let port = try taken.localAddress.port
    await #expect(throws: AddressError.self) {
      try await group.startServer(host: "127.0.0.1", port: port) { _, _ in }
    }
    await group.shutdown()
  }
}

/// Tasks that hold a connection each, until the peer ends it.
private func withConnections(
  _ count: Int, to address: SocketAddress, on loop: isolated EventLoop
) async throws -> [LoopTask<[UInt8]>] {
  var tasks: [LoopTask<[UInt8]>] = []
  for _ in 0..<count {
    let connection = try await openConnection(to: address)
    tasks.append(
      loop.createTask {
        defer { connection.abort() }
        return try await connection.reader.read()
      })
  }
  return tasks
}
