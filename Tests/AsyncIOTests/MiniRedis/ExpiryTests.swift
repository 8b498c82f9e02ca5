// SPDX-License-Identifier: Apache-2.0
//
// Keys with a time to live.

import AsyncIO
import Testing

@testable import mini_redis

@Suite(.oneAtATime) struct ExpiryTests {
  @Test func `a key goes when its time has come, and not before`() throws {
    try runVirtually(mayLeave: true) { loop in
      let service = Service(on: loop)
      let client = TestClient(of: service)
      #expect(client.call("SET a 1 EX 10", on: loop) == "+OK|")
      #expect(client.call("SET b 1 PX 1500", on: loop) == "+OK|")
      #expect(client.call("TTL a", on: loop) == ":10|")
      #expect(client.call("PTTL b", on: loop) == ":1500|")
      try await sleep(for: .milliseconds(1_499))
      #expect(client.call("PTTL b", on: loop) == ":1|")
      #expect(client.call("TTL a", on: loop) == ":9|")
      try await sleep(for: .milliseconds(2))
      #expect(client.call("EXISTS a b", on: loop) == ":1|")
      #expect(client.call("TTL b", on: loop) == ":-2|")
      try await sleep(for: .seconds(9))
      #expect(client.call("DBSIZE", on: loop) == ":0|")
      #expect(service.keyspace.expired == 2)
      #expect(service.keyspace.countWithTimeToLive == 0)
    }
  }

  @Test func `EXPIRE moves the time, forward and back; zero or less removes the key`() throws {
    try runVirtually(mayLeave: true) { loop in
      let service = Service(on: loop)
      let client = TestClient(of: service)
      client.call("SET a 1 EX 10", on: loop)
      #expect(client.call("EXPIRE a 100", on: loop) == ":1|")
      try await sleep(for: .seconds(20))
      #expect(client.call("TTL a", on: loop) == ":80|")
      #expect(client.call("PEXPIRE a 500", on: loop) == ":1|")
      try await sleep(for: .milliseconds(501))
      #expect(client.call("GET a", on: loop) == "$-1|")
      #expect(client.call("EXPIRE a 10", on: loop) == ":0|")
      for command in ["EXPIRE a 0", "PEXPIRE a -5", "EXPIRE a -9223372036854775"] {
        client.call("SET a 1", on: loop)
        #expect(client.call(command, on: loop) == ":1|")
        #expect(client.call("EXISTS a", on: loop) == ":0|")
      }
    }
  }

  @Test func `what changes a value keeps its time, what replaces it does not`() throws {
    try runVirtually(mayLeave: true) { loop in
      let service = Service(on: loop)
      let client = TestClient(of: service)
      for (command, stays) in [
        ("INCR a", true), ("SET a 2 KEEPTTL", true), ("SET a 2", false), ("MSET a 2", false), ("PERSIST a", false),
        ("SET a 2 XX", false), ("SET a 2 GET", false), ("GETDEL a", false),
      ] {
        client.call("SET a 1 EX 100", on: loop)
        client.call(command, on: loop)
        #expect((service.keyspace.countWithTimeToLive == 1) == stays, "\(command)")
        client.call("DEL a", on: loop)
        #expect(service.keyspace.countWithTimeToLive == 0)
      }
      #expect(client.call("PERSIST none", on: loop) == ":0|")
    }
  }

  @Test func `a new value is not removed at the time of an old one`() throws {
    try runVirtually(mayLeave: true) { loop in
      let service = Service(on: loop)
      let client = TestClient(of: service)
      for command in ["SET a 2", "DEL a", "FLUSHALL", "GETDEL a", "PERSIST a", "SET a 2 EX 100"] {
        client.call("SET a 1 EX 1", on: loop)
        client.call(command, on: loop)
        client.call("SET a 3 KEEPTTL", on: loop)
        try await sleep(for: .seconds(2))
        #expect(client.call("GET a", on: loop) == "$1|3|", "\(command)")
      }
      // A list that is used up, and begun again.
      client.call("DEL a", on: loop)
      client.call("RPUSH a 1", on: loop)
      client.call("EXPIRE a 1", on: loop)
      client.call("LPOP a", on: loop)
      client.call("RPUSH a 2", on: loop)
      try await sleep(for: .seconds(2))
      #expect(client.call("LRANGE a 0 -1", on: loop) == "*1|$1|2|")
    }
  }

  @Test func `EXPIRE with a condition`() throws {
    try runVirtually(mayLeave: true) { loop in
      let service = Service(on: loop)
      let client = TestClient(of: service)
      client.call("SET a 1", on: loop)
      for (command, reply) in [
        ("EXPIRE a 10 XX", ":0|"), ("EXPIRE a 10 GT", ":0|"), ("EXPIRE a 10 LT", ":1|"), ("EXPIRE a 20 NX", ":0|"),
        ("EXPIRE a 5 GT", ":0|"), ("EXPIRE a 20 GT", ":1|"), ("EXPIRE a 30 LT", ":0|"), ("EXPIRE a 15 XX", ":1|"),
        ("TTL a", ":15|"), ("PERSIST a", ":1|"), ("EXPIRE a 10 NX", ":1|"),
        ("EXPIRE a 1 NX XX", "-ERR NX and XX, GT or LT options at the same time are not compatible|"),
        ("EXPIRE a 1 GT LT", "-ERR GT and LT options at the same time are not compatible|"),
        ("EXPIRE a 1 FOO", "-ERR Unsupported option FOO|"),
        ("EXPIRE a x", "-ERR value is not an integer or out of range|"),
        ("EXPIRE a 9223372036854775807", "-ERR invalid expire time in 'expire' command|"),
        ("PEXPIRE a 9223372036854775807", "-ERR invalid expire time in 'pexpire' command|"),
      ] { #expect(client.call(command, on: loop) == reply, "\(command)") }
    }
  }

  /// A million of them with all seeds, or in an optimized build.
  @Test(.inOrder) func `many keys go at their times`() throws {
    let count = Amount.of(1_000_000, usually: 20_000)
    try runVirtually(mayLeave: true) { loop in
      let service = Service(on: loop)
      let client = TestClient(of: service)
      for number in 0..<count {
        client.call("SET key:\(number) x PX \(1_000 + number % 1_000)", on: loop)
      }
      #expect(service.keyspace.countWithTimeToLive == count)
      try await sleep(for: .milliseconds(1_500))
      try await sleep(for: .microseconds(1))
      #expect((count / 2 - count / 200...count / 2 + count / 200).contains(service.keyspace.count))
      try await sleep(for: .milliseconds(501))
      #expect(service.keyspace.count == 0)
      #expect(service.keyspace.expired == count)
    }
  }
}
