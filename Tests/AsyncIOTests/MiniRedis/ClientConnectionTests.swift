// SPDX-License-Identifier: Apache-2.0
//
// Clients of the service over sockets: replies, what others send, and the ways to an end. The sockets are in memory, and
// each test runs in many orders of what is ready together.

import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

@testable import mini_redis

@Suite(.oneAtATime) struct ClientConnectionTests {
  // MARK: Replies

  @Test func `the replies to requests of one piece come in one piece, and QUIT ends the connection`() throws {
    try withService { loop, service, server in
      let client = try await openConnection(to: server.address)
      defer { client.abort() }
      try await client.writer.write("PING\r\nSET a 1\r\nINCR a\r\n")
      #expect(try await client.text() == "+PONG\r\n+OK\r\n:2\r\n")
      try await client.writer.write("GET a\r\nQUIT\r\nPING\r\n")
      #expect(try await client.rest() == "$1\r\n2\r\n+OK\r\n")
    }
  }

  @Test func `a request in two pieces is answered when it is whole, and others are meanwhile`() throws {
    try withService { loop, service, server in
      let (client, other) = (try await openConnection(to: server.address), try await openConnection(to: server.address))
      defer { for client in [client, other] { client.abort() } }
      let request = Array(TestClient.request("ECHO 'a value that is not short at all'").utf8)
      for place in 1..<request.count {
        try await client.writer.write(Array(request[..<place]))
        try await other.writer.write("PING\r\n")
        #expect(try await other.text() == "+PONG\r\n")
        try await sleep(for: .milliseconds(5))
        #expect(client.reader.bufferedCount == 0)
        try await client.writer.write(Array(request[place...]))
        #expect(try await client.text() == "$32\r\na value that is not short at all\r\n")
      }
    }
  }

  @Test func `what was sent before the end of a client's side is answered`() throws {
    try withService { loop, service, server in
      let replies = try await exchange("PING\r\n*2\r\n$4\r\nECHO\r\n$1\r\nx\r\n*1\r\n", with: server.address)
      #expect(replies == "+PONG\r\n$1\r\nx\r\n")
    }
  }

  @Test func `broken bytes are told, and end their connection; no other client is harmed`() throws {
    try withService { loop, service, server in
      let (broken, other) = (try await openConnection(to: server.address), try await openConnection(to: server.address))
      defer { for client in [broken, other] { client.abort() } }
      try await other.writer.write("PI")
      try await broken.writer.write("PING\r\n*1\r\n:1\r\nSET a 1\r\n")
      #expect(try await broken.rest() == "+PONG\r\n-ERR Protocol error: expected '$', got ':'\r\n")
      try await other.writer.write("NG\r\nEXISTS a\r\n")
      #expect(try await other.text() == "+PONG\r\n:0\r\n")
      #expect(service.statistics.clients == 1)
    }
  }

  @Test func `who does not take its replies is held back, and loses none`() throws {
    try withService { loop, service, server in
      let client = try await openConnection(to: server.address)
      defer { client.abort() }
      let value = String(repeating: "v", count: 10_000)
      try await client.writer.write("SET a \(value)\r\n")
      #expect(try await client.text() == "+OK\r\n")
      let sending = loop.createTask {
        for _ in 0..<50 { try await client.writer.write(String(repeating: "GET a\r\n", count: 20)) }
      }
      try await sleep(for: .seconds(5))
      // What fits into the buffers of both sides.
      #expect(service.statistics.commands < 100)
      let reply = "$10000\r\n\(value)\r\n"
      for _ in 0..<1_000 { _ = try await client.reader.readExactly(reply.utf8.count) }
      try await client.writer.write("PING\r\n")
      #expect(try await client.text() == "+PONG\r\n")
      try await sending.value
    }
  }

  @Test func `who sends without a pause lets others have their turn`() throws {
    let count = Amount.of(60_000, usually: 30_000)
    try withService(capacity: 2 << 20) { loop, service, server in
      let (busy, other) = (try await openConnection(to: server.address), try await openConnection(to: server.address))
      defer { for client in [busy, other] { client.abort() } }
      // Both arrive at the same time.
      try busy.writer.writeNow(String(repeating: "SET a 1\r\n", count: count))
      try other.writer.writeNow("INFO stats\r\n")
      let commands = try await other.text().firstMatch(of: /total_commands_processed:([0-9]+)/).flatMap { Int($0.1) }
      #expect((1..<20_000).contains(try #require(commands)))
    }
  }

  @Test func `a request beyond the limit is refused`() throws {
    try withService(Settings(with: { $0.limits.request.request = 100_000 })) { loop, service, server in
      let client = try await openConnection(to: server.address)
      defer { client.abort() }
      let sending = loop.createTask {
        try await client.writer.write("*2\r\n$4\r\nECHO\r\n$99999\r\n" + String(repeating: "x", count: 200_000))
      }
      #expect(try await client.rest() == "-ERR Protocol error: too big request\r\n")
      _ = try? await sending.value
    }
  }

  @Test func `clients beyond the limit are told, and sent away`() throws {
    try withService(Settings(with: { $0.maximumClients = 1 })) { loop, service, server in
      let first = try await openConnection(to: server.address)
      defer { first.abort() }
      try await first.writer.write("PING\r\n")
      #expect(try await first.text() == "+PONG\r\n")
      let second = try await openConnection(to: server.address)
      defer { second.abort() }
      #expect(try await second.rest() == "-ERR max number of clients reached\r\n")
      try await first.writer.write("PING\r\n")
      #expect(try await first.text() == "+PONG\r\n")
    }
  }

  // MARK: The end

  @Test func `at the end of the service those who wait, listen or do nothing are let go, behind their replies`() throws
  {
    try withService { loop, service, server in
      var clients: [Connection] = []
      defer { for client in clients { client.abort() } }
      for request in ["", "BLPOP l 0\r\n", "SUBSCRIBE a\r\n", "*1\r\n"] {
        let client = try await openConnection(to: server.address)
        clients.append(client)
        try await client.writer.write(request)
      }
      let slow = try await openConnection(to: server.address)
      clients.append(slow)
      let value = String(repeating: "v", count: 200_000)
      try await slow.writer.write(TestClient.request("SET a \(value)") + "GET a\r\n")
      try await sleep(for: .milliseconds(100))
      #expect(service.statistics.clients == 5 && service.blocked.count == 1)
      let closing = loop.createTask { try await server.closeClients(grace: .seconds(1)) }
      // It has been cancelled by then.
      try await sleep(for: .milliseconds(1_500))
      #expect(server.connectionCount == 1)
      #expect(try await slow.rest() == "+OK\r\n$200000\r\n\(value)\r\n")
      try await closing.value
      #expect(try await clients[0].rest() == "")
      #expect(try await clients[1].rest() == "")
      #expect(try await clients[2].rest() == "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n")
      #expect(try await clients[3].rest() == "")
    }
  }

  @Test func `a client that is served in the turn in which the server asks it to go, goes`() throws {
    try withService { loop, service, server in
      let client = try await openConnection(to: server.address)
      defer { client.abort() }
      try await client.writer.write("BLPOP l 0\r\n")
      try await settle { service.blocked.count == 1 }
      let begin = loop.now
      let pusher = TestClient(of: service)
      defer { pusher.session.close(on: loop) }
      let turns = (loop.testSeed ?? 0) % 5
      loop.callLater(.seconds(60)) {
        loop.createTask {
          for _ in 0..<turns { try await sleep(for: .zero) }
          pusher.call("RPUSH l x", on: loop)
        }
      }
      try await server.closeClients(grace: .seconds(60))
      #expect(begin.duration(to: loop.now) < .seconds(61))
    }
  }

  @Test func `each call of the system may fail once: nothing is left, and nobody hangs`() throws {
    let runs = try TestLoop.run(
      failingEachCallWith: [.connectionReset], of: [.accept, .receive, .send], .network()
    ) { loop in
      try await serve(Settings(), on: loop) { loop, service, server in
        for requests in ["PING\r\nQUIT\r\n", "BLPOP l 1\r\nQUIT\r\n", "SUBSCRIBE a\r\nQUIT\r\n"] {
          _ = try? await exchange(requests, with: server.address)
        }
        try await settle { service.statistics.clients == 0 }
      }
    }
    #expect(runs > 20)
  }
}
