// SPDX-License-Identifier: Apache-2.0
//
// Clients that say nothing, or take nothing, for longer than they may.

import AsyncIO
import AsyncIOTesting
import Testing

@testable import mini_redis

@Suite(.oneAtATime) struct IdleClientTests {
  private static let settings = Settings(with: { $0.limits.idleSeconds = 300 })

  @Test func `a client that sends nothing for so long is sent away, and each byte begins the time anew`() throws {
    try withService(Self.settings) { loop, service, server in
      let client = try await openConnection(to: server.address)
      defer { client.abort() }
      for part in ["PI", "N", "G\r\n"] {
        try await sleep(for: .seconds(299))
        try await client.writer.write(part)
      }
      #expect(try await client.text() == "+PONG\r\n")
      let begin = loop.now
      #expect(try await client.reader.read() == [])
      let waited = begin.duration(to: loop.now)
      #expect(waited > .seconds(299) && waited < .seconds(301))
      #expect(service.statistics.clients == 0)
    }
  }

  @Test func `who hears a channel, or waits for an element, may be silent`() throws {
    try withService(Self.settings) { loop, service, server in
      let (hearing, waiting) = (
        try await openConnection(to: server.address), try await openConnection(to: server.address)
      )
      defer { for client in [hearing, waiting] { client.abort() } }
      try await hearing.writer.write("SUBSCRIBE a\r\n")
      #expect(try await hearing.text() == "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n")
      try await waiting.writer.write("BLPOP list 0\r\n")
      try await sleep(for: .seconds(100_000))
      #expect(try await exchange("PUBLISH a x\r\nRPUSH list y\r\n", with: server.address) == ":1\r\n:1\r\n")
      #expect(try await hearing.text() == "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n")
      #expect(try await waiting.text() == "*2\r\n$4\r\nlist\r\n$1\r\ny\r\n")
      // From here on they are clients like others.
      try await hearing.writer.write("UNSUBSCRIBE\r\n")
      #expect(try await hearing.text() == "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n")
      for client in [hearing, waiting] { #expect(try await client.reader.read() == []) }
    }
  }

  @Test func `a client that takes nothing of its replies is sent away, one that is slow is not`() throws {
    try withService(Self.settings) { loop, service, server in
      let value = String(repeating: "v", count: 300_000)
      #expect(try await exchange(TestClient.request("SET a \(value)"), with: server.address) == "+OK\r\n")
      let (mute, slow) = (try await openConnection(to: server.address), try await openConnection(to: server.address))
      defer { for client in [mute, slow] { client.abort() } }
      for client in [mute, slow] { try await client.writer.write("GET a\r\n") }
      var count = 0
      while count < 300_000 + 11 {
        // Its reader takes more at a time, three times within the limit.
        try await sleep(for: .seconds(30))
        count += try await slow.reader.read(upTo: 20_000).count
      }
      #expect(count == 300_000 + 11)
      let end = await thrown { while try await !mute.reader.read(upTo: .max).isEmpty {} }
      #expect(end.contains("reset"))
    }
  }

  @Test func `without a limit nobody is sent away`() throws {
    try withService { loop, service, server in
      let client = try await openConnection(to: server.address)
      defer { client.abort() }
      try await sleep(for: .seconds(100_000))
      try await client.writer.write("CONFIG GET timeout\r\n")
      #expect(try await client.text() == "*2\r\n$7\r\ntimeout\r\n$1\r\n0\r\n")
    }
  }
}
