// SPDX-License-Identifier: Apache-2.0
//
// What clients over sockets get by what others do: elements of lists that they wait for, and what is published.

import AsyncIO
import AsyncIOTesting
import Testing

@testable import mini_redis

@Suite(.oneAtATime) struct ClientsTogetherTests {
  @Test func `who waits gets what another one pushes, and then the replies behind it`() throws {
    try withService { loop, service, server in
      let (waiter, pusher) = (
        try await openConnection(to: server.address), try await openConnection(to: server.address)
      )
      defer { for client in [waiter, pusher] { client.abort() } }
      try await waiter.writer.write("PING first\r\nBLPOP l 10\r\nBLPOP l 1\r\nPING\r\n")
      #expect(try await waiter.text() == "$5\r\nfirst\r\n")
      try await waiter.writer.write("QUIT\r\n")
      try await sleep(for: .milliseconds(10))
      try await pusher.writer.write("RPUSH l x\r\n")
      #expect(try await pusher.text() == ":1\r\n")
      #expect(try await waiter.rest() == "*2\r\n$1\r\nl\r\n$1\r\nx\r\n*-1\r\n+PONG\r\n+OK\r\n")
    }
  }

  @Test(arguments: ["ends its side", "is gone", "is lost"])
  func `who waits and goes leaves the queue, and takes no element`(way: String) throws {
    try withService { loop, service, server in
      let (waiter, pusher) = (
        try await openConnection(to: server.address), try await openConnection(to: server.address)
      )
      defer { for client in [waiter, pusher] { client.abort() } }
      try await waiter.writer.write("BLPOP l 0\r\n")
      try await sleep(for: .milliseconds(10))
      #expect(service.blocked.count == 1)
      switch way {
      case "ends its side": waiter.writer.closeWriting()
      case "is gone": waiter.close()
      default: waiter.abort()
      }
      try await sleep(for: .milliseconds(10))
      #expect(service.blocked.count == 0 && service.statistics.clients == 1)
      try await pusher.writer.write("RPUSH l x\r\nLLEN l\r\n")
      #expect(try await pusher.text() == ":1\r\n:1\r\n")
    }
  }

  @Test func `an element is for one of two who wait, whatever comes in the same turn`() throws {
    try withService { loop, service, server in
      let (first, second) = (try await openConnection(to: server.address), try await openConnection(to: server.address))
      let pusher = try await openConnection(to: server.address)
      defer { for client in [first, second, pusher] { client.abort() } }
      try await first.writer.write("BLPOP l 0\r\n")
      try await sleep(for: .milliseconds(10))
      try await second.writer.write("BLPOP l 0\r\n")
      try await sleep(for: .milliseconds(10))
      // Both arrive at the same time.
      try pusher.writer.writeNow("RPUSH l x\r\n")
      first.abort()
      try await sleep(for: .milliseconds(10))
      try await pusher.writer.write("RPUSH l y\r\n")
      let got = try await second.text()
      #expect(got == "*2\r\n$1\r\nl\r\n$1\r\nx\r\n" || got == "*2\r\n$1\r\nl\r\n$1\r\ny\r\n")
      #expect(service.blocked.count == 0)
    }
  }

  @Test func `who sends too much behind the wait is sent away, and takes no element`() throws {
    try withService(Settings(with: { $0.limits.request.request = 100_000 })) { loop, service, server in
      let (waiter, pusher) = (
        try await openConnection(to: server.address), try await openConnection(to: server.address)
      )
      defer { for client in [waiter, pusher] { client.abort() } }
      let sending = loop.createTask {
        try await waiter.writer.write("BLPOP l 0\r\n" + String(repeating: "PING\r\n", count: 50_000))
      }
      #expect(try await waiter.rest() == "-ERR Protocol error: too big request\r\n")
      _ = try? await sending.value
      try await pusher.writer.write("RPUSH l x\r\nLLEN l\r\n")
      #expect(try await pusher.text() == ":1\r\n:1\r\n")
    }
  }

  @Test func `what one client publishes in one piece comes to all in one piece, in order`() throws {
    try withService { loop, service, server in
      var subscribers: [Connection] = []
      defer { for client in subscribers { client.abort() } }
      for _ in 0..<20 {
        let client = try await openConnection(to: server.address)
        subscribers.append(client)
        try await client.writer.write("SUBSCRIBE news\r\n")
        #expect(try await client.text() == "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n")
      }
      let heard = try await exchange("PUBLISH news 1\r\nPUBLISH news 2\r\n", with: server.address)
      #expect(heard == ":20\r\n:20\r\n")
      let messages = ["1", "2"].map { "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\n\($0)\r\n" }.joined()
      for client in subscribers { #expect(try await client.text() == messages) }
    }
  }

  @Test func `who does not take what is published is sent away, and nobody else`() throws {
    try withService(Settings(with: { $0.limits.push = 200_000 })) { loop, service, server in
      let (slow, quick) = (try await openConnection(to: server.address), try await openConnection(to: server.address))
      let publisher = try await openConnection(to: server.address)
      defer { for client in [slow, quick, publisher] { client.abort() } }
      for client in [slow, quick] {
        try await client.writer.write("SUBSCRIBE news\r\n")
        #expect(try await client.text() == "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n")
      }
      let text = String(repeating: "x", count: 10_000)
      let message = Array("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$10000\r\n\(text)\r\n".utf8)
      var heard = ":2\r\n"
      var count = 0
      while heard == ":2\r\n" {
        try await publisher.writer.write("PUBLISH news \(text)\r\n")
        heard = try await publisher.text()
        #expect(try await quick.reader.readExactly(message.count) == message)
        count += 1
        try #require(count < 100)
      }
      #expect(heard == ":1\r\n")
      // What waits for the slow one, and what the network holds.
      #expect(count > 20)
      #expect(service.statistics.clients == 2)
    }
  }
}
