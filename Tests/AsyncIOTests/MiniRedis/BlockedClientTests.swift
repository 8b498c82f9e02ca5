// SPDX-License-Identifier: Apache-2.0
//
// Waiting for an element of a list: who gets it, and when the wait ends.

import AsyncIO
import Testing

@testable import mini_redis

@Suite(.oneAtATime) struct BlockedClientTests {
  @Test func `an element that is there is taken at once, from the first list that has one`() throws {
    try runVirtually { loop in
      let service = Service(on: loop)
      let client = TestClient(of: service)
      client.call("RPUSH l 1 2 3", on: loop)
      #expect(client.call("BLPOP none l 0", on: loop) == "*2|$1|l|$1|1|")
      #expect(client.call("BRPOP l 0", on: loop) == "*2|$1|l|$1|3|")
      client.call("SET s 1", on: loop)
      #expect(client.call("BLPOP l s 0", on: loop) == "*2|$1|l|$1|2|")
      let wrongType = "-WRONGTYPE Operation against a key holding the wrong kind of value|"
      #expect(client.call("BLPOP l s 0", on: loop) == wrongType)
      for (limit, error) in [
        ("x", "timeout is not a float or out of range"), ("-1", "timeout is negative"),
        ("nan", "timeout is not a float or out of range"), ("1e30", "timeout is out of range"),
      ] { #expect(client.call("BLPOP l \(limit)", on: loop) == "-ERR \(error)|") }
    }
  }

  @Test func `those who wait are served in the order of coming`() throws {
    try runVirtually { loop in
      let service = Service(on: loop)
      let clients = (0..<5).map { _ in TestClient(of: service) }
      for client in clients { #expect(client.call("BLPOP l 0", on: loop) == "") }
      #expect(service.blocked.count == 5)
      let pusher = TestClient(of: service)
      // The length is that before the others have taken theirs.
      #expect(pusher.call("RPUSH l a b", on: loop) == ":2|")
      #expect(pusher.call("EXISTS l", on: loop) == ":0|")
      #expect(clients.map { $0.received(on: loop) } == ["*2|$1|l|$1|a|", "*2|$1|l|$1|b|", "", "", ""])
      #expect(pusher.call("LPUSH l c d", on: loop) == ":2|")
      #expect(clients.map { $0.received(on: loop) } == ["", "", "*2|$1|l|$1|d|", "*2|$1|l|$1|c|", ""])
      #expect(service.blocked.count == 1)
      #expect(clients.map { $0.session.waiter == nil } == [true, true, true, true, false])
    }
  }

  @Test func `one who waits for several lists is served once`() throws {
    try runVirtually { loop in
      let service = Service(on: loop)
      let client = TestClient(of: service)
      let pusher = TestClient(of: service)
      client.call("BLPOP a b a 0", on: loop)
      pusher.call("RPUSH b 1", on: loop)
      pusher.call("RPUSH a 2", on: loop)
      #expect(client.received(on: loop) == "*2|$1|b|$1|1|")
      #expect(pusher.call("LLEN a", on: loop) == ":1|")
      #expect(service.blocked.count == 0)
    }
  }

  @Test func `the wait ends at its limit, and others keep theirs`() throws {
    try runVirtually { loop in
      let service = Service(on: loop)
      let (first, second) = (TestClient(of: service), TestClient(of: service))
      let start = loop.now
      first.call("BLPOP l 0.5", on: loop)
      second.call("BLPOP l 2", on: loop)
      try await sleep(for: .milliseconds(499))
      #expect(first.received(on: loop) == "")
      try await sleep(for: .milliseconds(2))
      #expect(first.received(on: loop) == "*-1|")
      #expect(first.session.waiter == nil)
      #expect(TestClient(of: service).call("RPUSH l x", on: loop) == ":1|")
      #expect(second.received(on: loop) == "*2|$1|l|$1|x|")
      try await sleep(for: .seconds(5))
      #expect(second.received(on: loop) == "")
      #expect(start.duration(to: loop.now) > .seconds(5))
      #expect(first.call("PING", on: loop) == "+PONG|")
    }
  }

  @Test(.inOrder, arguments: [true, false])
  func `limit and push in one turn: one of them, whichever came first, and the element is not lost`(
    pushIsFirst: Bool
  ) throws {
    try runVirtually { loop in
      let service = Service(on: loop)
      let (client, pusher) = (TestClient(of: service), TestClient(of: service))
      let push = { _ = pusher.call("RPUSH l x", on: loop) }
      if pushIsFirst { loop.callLater(.seconds(1), push) }
      client.call("BLPOP l 1", on: loop)
      if !pushIsFirst { loop.callLater(.seconds(1), push) }
      try await sleep(for: .seconds(2))
      #expect(client.received(on: loop) == (pushIsFirst ? "*2|$1|l|$1|x|" : "*-1|"))
      #expect(pusher.received(on: loop) == "")
      #expect(pusher.call("LLEN l", on: loop) == (pushIsFirst ? ":0|" : ":1|"))
    }
  }

  @Test func `requests behind the wait are carried out after it, in order`() throws {
    try runVirtually { loop in
      let service = Service(on: loop)
      let client = TestClient(of: service)
      let requests = ["PING before", "BLPOP l 0", "PING after", "BLPOP l 1", "PING last"].map(TestClient.request)
        .joined()
      #expect(client.send(requests, on: loop) == "$6|before|")
      #expect(client.send("PING more\r\n", on: loop) == "")
      TestClient(of: service).call("RPUSH l x", on: loop)
      try await sleep(for: .milliseconds(1))
      #expect(client.received(on: loop) == "*2|$1|l|$1|x|$5|after|")
      try await sleep(for: .seconds(1))
      #expect(client.received(on: loop) == "*-1|$4|last|$4|more|")
    }
  }

  @Test func `one who is gone gets nothing, and takes nothing`() throws {
    try runVirtually { loop in
      let service = Service(on: loop)
      let clients = (0..<100).map { _ in TestClient(of: service) }
      for client in clients { client.call("BLPOP l k 10", on: loop) }
      for client in clients.dropLast() { client.session.close(on: loop) }
      #expect(service.blocked.count == 1)
      #expect(service.statistics.clients == 1)
      TestClient(of: service).call("RPUSH k x", on: loop)
      #expect(clients[99].received(on: loop) == "*2|$1|k|$1|x|")
      try await sleep(for: .seconds(20))
      for client in clients { #expect(client.received(on: loop) == "") }
      #expect(service.blocked.count == 0)
    }
  }
}
