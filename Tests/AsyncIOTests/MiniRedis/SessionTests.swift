// SPDX-License-Identifier: Apache-2.0
//
// One client: bytes in any pieces, replies with room for them or without, and the ways to an end.

import AsyncIO
import Testing

@testable import mini_redis

@Suite(.oneAtATime) struct SessionTests {
  @Test func `requests in any pieces are carried out once each, in order`() throws {
    try runVirtually { loop in
      let text =
        TestClient.request("SET a 1") + "INCR a\r\n"
        + TestClient.request("RPUSH l x 'a value that is not short at all'")
        + TestClient.request("LRANGE l 0 -1") + "GET a\r\n"
      let expected = "+OK|:2|:2|*2|$1|x|$32|a value that is not short at all|$1|2|"
      let bytes = Array(text.utf8)
      for place in 0...bytes.count {
        let client = TestClient(of: Service(on: loop))
        let replies = client.send(bytes[..<place], on: loop) + client.send(bytes[place...], on: loop)
        #expect(replies == expected, "at \(place)")
      }
      for seed in 1...300 {
        var random = SeededBytes(seed: UInt64(seed))
        let client = TestClient(of: Service(on: loop))
        var (rest, replies) = (bytes[...], "")
        while !rest.isEmpty {
          let piece = rest.prefix(1 + random.next(20))
          rest = rest.dropFirst(piece.count)
          replies += client.send(piece, on: loop)
        }
        #expect(replies == expected, "seed \(seed)")
      }
    }
  }

  @Test func `broken bytes are told, and end the session; nothing behind them is carried out`() throws {
    try runVirtually { loop in
      let service = Service(on: loop)
      let client = TestClient(of: service)
      let replies = client.send("PING\r\n*1\r\n$x\r\nSET a 1\r\n", on: loop)
      #expect(replies == "+PONG|-ERR Protocol error: invalid bulk length|")
      #expect(client.session.hasEnded)
      #expect(client.send("SET a 1\r\n", on: loop) == "")
      #expect(service.keyspace.count == 0)
      #expect(
        TestClient(of: service).send("*1\r\n:1\r\n", on: loop) == "-ERR Protocol error: expected '$', got ':'|")
    }
  }

  @Test func `QUIT ends the session behind its reply`() throws {
    try runVirtually { loop in
      let client = TestClient(of: Service(on: loop))
      #expect(client.send("PING\r\nQUIT\r\nPING\r\n", on: loop) == "+PONG|+OK|")
      #expect(client.session.hasEnded)
    }
  }

  @Test func `with much to send, requests wait until it is sent`() throws {
    try runVirtually { loop in
      let client = TestClient(of: Service(on: loop))
      let value = String(repeating: "v", count: 10_000)
      client.call("SET a \(value)", on: loop)
      var requests = Array(String(repeating: "GET a\r\n", count: 1_000).utf8)
      var total = 0
      var rounds = 0
      repeat {
        requests.removeFirst(client.session.receive(requests.span, on: loop))
        #expect(client.session.output.count < 300_000)
        total += client.session.output.take().count
        rounds += 1
      } while client.session.isHeldBack
      #expect(requests.isEmpty)
      #expect(total == 1_000 * "$10000\r\n\(value)\r\n".utf8.count)
      #expect(rounds > 30)
    }
  }

  @Test func `a request that never ends is refused at the limit`() throws {
    try runVirtually { loop in
      var settings = Settings()
      settings.limits.request.request = 100_000
      let client = TestClient(of: Service(settings, on: loop))
      var replies = client.send("*1000000\r\n", on: loop)
      var sent = 0
      while !client.session.hasEnded {
        replies += client.send("$1000\r\n\(String(repeating: "x", count: 1_000))\r\n", on: loop)
        sent += 1_009
        try #require(sent < 200_000)
      }
      #expect(replies == "-ERR Protocol error: too big request|")
      #expect(sent > 98_000)
    }
  }

  @Test func `the service counts those who are there`() throws {
    try runVirtually { loop in
      var settings = Settings()
      settings.maximumClients = 2
      let service = Service(settings, on: loop)
      let (first, second) = (TestClient(of: service), TestClient(of: service))
      #expect(service.isFull)
      let third = TestClient(of: service)
      #expect(third.session.hasEnded)
      #expect(third.send("PING\r\n", on: loop) == "-ERR max number of clients reached|")
      third.session.close(on: loop)
      #expect(second.call("CLIENT ID", on: loop) == ":2|")
      first.session.close(on: loop)
      first.session.close(on: loop)
      #expect(!service.isFull)
      #expect(service.statistics.clients == 1)
      #expect(service.statistics.connections == 3)
    }
  }
}
