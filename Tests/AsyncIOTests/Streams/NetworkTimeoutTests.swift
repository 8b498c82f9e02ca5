// SPDX-License-Identifier: Apache-2.0
//
// The time limits of waits that are no reads and writes: each costs no task, and leaves nothing behind.

import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct NetworkTimeoutTests {
  @Test func `waits for a descriptor end at their time, and the next ones work`() throws {
    try TestLoop.runInEachOrder { loop in
      let pair = try DescriptorPair.sockets()
      try pair.fillNear()
      for limit in [Duration.seconds(5), .zero, .seconds(-1)] {
        let begin = loop.now
        await #expect(throws: TimeoutError.self) { try await loop.waitReadable(pair.near, timeout: limit) }
        await #expect(throws: TimeoutError.self) { try await loop.waitWritable(pair.near, timeout: limit) }
        #expect(begin.duration(to: loop.now) == max(.zero, limit) * 2)
      }
      let tasks = loop.allTasks.count
      let waiting = loop.createTask { try await loop.waitReadable(pair.near, timeout: .seconds(5)) }
      try await turns(2)
      #expect(loop.allTasks.count == tasks + 1)
      try pair.send()
      try await waiting.value
      try await loop.waitReadable(pair.near, timeout: .zero)
    }
  }

  @Test func `waiting for the end of a server does, and the server goes on`() throws {
    try TestLoop.runInEachOrder(.network()) { loop in
      let server = try await serve { try await echo($0) }
      let begin = loop.now
      await #expect(throws: TimeoutError.self) { try await server.waitClosed(timeout: .seconds(5)) }
      #expect(begin.duration(to: loop.now) == .seconds(5))
      #expect(try await exchange("x", with: server.address) == "x")
      server.close()
      try await server.waitClosed(timeout: .seconds(5))
    }
  }

  @Test func `DN-05: a look-up that takes too long is given up`() throws {
    let lookup = ScriptedLookup()
    var configuration = EventLoop.Configuration()
    configuration.seams.nameLookup = lookup
    try EventLoop.run(configuration: configuration) { loop in
      await #expect(throws: TimeoutError.self) {
        try await lookUp(host: "slow.example", port: 1, timeout: .milliseconds(5))
      }
      await #expect(throws: TimeoutError.self) {
        try await openDatagramEndpoint(host: "slow.example", port: 1, timeout: .milliseconds(5))
      }
      lookup.isReleased.change { $0 = true }
      let found = try await lookUp(host: "two.example", port: 1, timeout: .seconds(60))
      #expect(found.count == 2)
    }
  }

  @Test func `waiting for the end of a server of a group does`() async throws {
    let group = try EventLoopGroup.start(loops: 2)
    let server = try await group.startServer(host: "127.0.0.1", port: 0) { connection, _ in try await echo(connection) }
    await #expect(throws: TimeoutError.self) { try await server.waitClosed(timeout: .milliseconds(5)) }
    server.close()
    try await server.waitClosed(timeout: .seconds(60))
    await group.shutdown()
  }
}
