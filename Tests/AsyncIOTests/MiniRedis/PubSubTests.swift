// SPDX-License-Identifier: Apache-2.0
//
// Publishing, and those who hear it.

import AsyncIO
import Testing

@testable import mini_redis

@Suite(.oneAtATime) struct PubSubTests {
  @Test func `a message comes to all who hear its channel, in order, and to nobody else`() throws {
    try runVirtually { loop in
      let service = Service(on: loop)
      let (both, one, publisher) = (TestClient(of: service), TestClient(of: service), TestClient(of: service))
      #expect(both.call("SUBSCRIBE a b", on: loop) == "*3|$9|subscribe|$1|a|:1|*3|$9|subscribe|$1|b|:2|")
      #expect(one.call("SUBSCRIBE a", on: loop) == "*3|$9|subscribe|$1|a|:1|")
      #expect(one.call("SUBSCRIBE a", on: loop) == "*3|$9|subscribe|$1|a|:1|")
      #expect(publisher.call("PUBLISH a 1", on: loop) == ":2|")
      #expect(publisher.call("PUBLISH b 'x y'", on: loop) == ":1|")
      #expect(publisher.call("PUBLISH c 1", on: loop) == ":0|")
      #expect(both.received(on: loop) == "*3|$7|message|$1|a|$1|1|*3|$7|message|$1|b|$3|x y|")
      #expect(one.received(on: loop) == "*3|$7|message|$1|a|$1|1|")
      #expect(publisher.received(on: loop) == "")
      #expect(both.notices == 2)
    }
  }

  @Test func `UNSUBSCRIBE from one, from all, from none`() throws {
    try runVirtually { loop in
      let service = Service(on: loop)
      let client = TestClient(of: service)
      #expect(client.call("UNSUBSCRIBE", on: loop) == "*3|$11|unsubscribe|$-1|:0|")
      client.call("SUBSCRIBE a b", on: loop)
      #expect(client.call("UNSUBSCRIBE a x", on: loop) == "*3|$11|unsubscribe|$1|a|:1|*3|$11|unsubscribe|$1|x|:1|")
      #expect(client.call("UNSUBSCRIBE", on: loop) == "*3|$11|unsubscribe|$1|b|:0|")
      #expect(service.channels.count == 0)
      #expect(client.call("GET a", on: loop) == "$-1|")
      #expect(client.call("SUBSCRIBE", on: loop) == "-ERR wrong number of arguments for 'subscribe' command|")
      #expect(client.call("PUBLISH a", on: loop) == "-ERR wrong number of arguments for 'publish' command|")
    }
  }

  @Test func `UNSUBSCRIBE from all goes in the order of the subscriptions`() throws {
    try runVirtually { loop in
      let client = TestClient(of: Service(on: loop))
      let names = (0..<50).map { "channel\($0 * 7 % 50)" }
      client.call("SUBSCRIBE \(names.joined(separator: " "))", on: loop)
      client.call("UNSUBSCRIBE \(names[3])", on: loop)
      client.call("SUBSCRIBE \(names[3])", on: loop)
      let left = names.filter { $0 != names[3] } + [names[3]]
      let replies = left.enumerated().map { "*3|$11|unsubscribe|$\($1.utf8.count)|\($1)|:\(49 - $0)|" }
      #expect(client.call("UNSUBSCRIBE", on: loop) == replies.joined())
    }
  }

  @Test func `what is published is given to the subscribers in the order in which they came`() throws {
    try runVirtually { loop in
      let service = Service(on: loop)
      var clients: [TestClient] = []
      var told: [Int] = []
      for number in 0..<50 {
        let client = TestClient(of: service)
        client.session.onPush = { told.append(number) }
        client.call("SUBSCRIBE a", on: loop)
        clients.append(client)
      }
      clients[7].call("UNSUBSCRIBE", on: loop)
      clients[7].call("SUBSCRIBE a", on: loop)
      let publisher = TestClient(of: service)
      for _ in 0..<2 {
        told = []
        #expect(publisher.call("PUBLISH a x", on: loop) == ":50|")
        #expect(told == (0..<50).filter { $0 != 7 } + [7])
      }
    }
  }

  @Test func `who hears a channel can do little else`() throws {
    try runVirtually { loop in
      let client = TestClient(of: Service(on: loop))
      client.call("SUBSCRIBE a", on: loop)
      #expect(client.call("PING", on: loop) == "*2|$4|pong|$0||")
      #expect(client.call("PING x", on: loop) == "*2|$4|pong|$1|x|")
      #expect(
        client.call("GET a", on: loop)
          == "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context|"
      )
      #expect(client.call("QUIT", on: loop) == "+OK|")
      #expect(client.session.hasEnded)
    }
  }

  @Test func `who does not take what is published is ended before that takes more memory than it may`() throws {
    try runVirtually { loop in
      let service = Service(Settings(with: { $0.limits.push = 1_000 }), on: loop)
      let (slow, quick) = (TestClient(of: service), TestClient(of: service))
      for client in [slow, quick] { client.call("SUBSCRIBE a", on: loop) }
      slow.session.unsentCount = { 990 }
      let publisher = TestClient(of: service)
      #expect(publisher.call("PUBLISH a 123456789", on: loop) == ":2|")
      #expect(!slow.session.hasEnded)
      #expect(publisher.call("PUBLISH a x", on: loop) == ":2|")
      #expect(slow.session.hasEnded && slow.notices == 2)
      #expect(!quick.session.hasEnded)
      #expect(quick.received(on: loop).contains("123456789"))
      #expect(!slow.received(on: loop).contains("$1|x|"))
    }
  }

  @Test func `a small request for more than may be held at once ends its client, who gets none of it`() throws {
    try runVirtually { loop in
      let service = Service(Settings(with: { $0.limits.reply = 1_000 }), on: loop)
      let client = TestClient(of: service)
      client.call("SET a \(String(repeating: "v", count: 400))", on: loop)
      #expect(client.call("MGET a a", on: loop).count > 800)
      #expect(client.call("MGET a a a", on: loop) == "")
      #expect(client.session.hasEnded)
    }
  }

  @Test func `who is gone hears nothing, and no channel is kept for it`() throws {
    try runVirtually { loop in
      let service = Service(on: loop)
      let client = TestClient(of: service)
      client.call("SUBSCRIBE a b c", on: loop)
      client.session.close(on: loop)
      #expect(service.channels.count == 0)
      #expect(TestClient(of: service).call("PUBLISH a 1", on: loop) == ":0|")
      #expect(client.received(on: loop) == "")
    }
  }
}
