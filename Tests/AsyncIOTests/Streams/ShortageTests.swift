// SPDX-License-Identifier: Apache-2.0
//
// Contract, IO-27: a kernel without memory for a socket (ENOBUFS), whose readiness does not tell when it has some.

import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ShortageTests {
  private static func shortages(_ count: Int) -> [ScriptedSocket.Answer] {
    Array(repeating: .error(.noBufferSpace), count: count)
  }

  /// Runs loops on virtual time, in FIFO order and over seeds, with a connection over a script, whose descriptor is always
  /// ready.
  private func run(
    _ script: @escaping @Sendable @autoclosure () -> ScriptedSocket, low: Int = 0, high: Int = 0,
    _ body: @escaping @Sendable (isolated EventLoop, Connection, ScriptedSocket) async throws -> Void
  ) throws {
    try runVirtually { loop in
      let socket = script()
      let (connection, pair) = try loop.scripted(socket, options: StreamOptions(low: low, high: high))
      defer { withExtendedLifetime(pair) { connection.abort() } }
      try await body(loop, connection, socket)
      #expect(loop.executor.timers.count == 0)
    }
  }

  @Test func `IO-27: a shortage while sending is waited out by growing pauses, and no byte is lost`() throws {
    try run(ScriptedSocket(sending: Self.shortages(8) + [.count(2)])) { loop, connection, socket in
      let start = loop.now
      try await connection.writer.write("hello")
      #expect(String(socket.sent) == "hello")
      // 1 + 2 + 4 + … + 64 + 64 ms, and one call for each.
      #expect(start.duration(to: loop.now) == .milliseconds(191))
      #expect(socket.calls == Array(repeating: "send 105", count: 8) + ["send 2", "send 3"])
    }
  }

  @Test func `IO-27: the same of several pieces; what is written meanwhile goes behind`() throws {
    try run(ScriptedSocket(sending: [.count(1)] + Self.shortages(2)), low: 0, high: 100) { _, connection, socket in
      try await connection.writer.write([[1, 2], [3]])
      try await connection.writer.write([4])
      connection.writer.closeWriting()
      connection.close()
      try await connection.waitClosed()
      #expect(socket.sent == [1, 2, 3, 4])
      #expect(socket.closed == 1)
      #expect(socket.calls.count == 4)
    }
  }

  @Test func `IO-27: a later shortage begins with the first pause`() throws {
    try run(ScriptedSocket(sending: Self.shortages(3))) { loop, connection, socket in
      try await connection.writer.write("a")
      try await sleep(for: .seconds(1))
      socket.send(answers: Self.shortages(1))
      let start = loop.now
      try await connection.writer.write("b")
      #expect(start.duration(to: loop.now) == .milliseconds(1))
    }
  }

  @Test func `IO-27: a shortage while receiving is waited out by growing pauses`() throws {
    try run(ScriptedSocket(Array("hello".utf8), receiving: Self.shortages(8) + [.count(2)])) {
      loop, connection, socket in
      let start = loop.now
      let text = try await String(connection.reader.readExactly(5))
      #expect(text == "hello")
      #expect(start.duration(to: loop.now) == .milliseconds(191))
      #expect(socket.calls == Array(repeating: "recv 105", count: 8) + ["recv 2", "recv 3"])
    }
  }

  @Test func `a cancel, a timeout and an end are heard in a pause, and leave no timer`() throws {
    try run(ScriptedSocket([1], receiving: Self.shortages(12), sending: Self.shortages(100))) { loop, connection, _ in
      let read = loop.createTask { try await connection.reader.read(upTo: 1) }
      let write = loop.createTask { try await connection.writer.write("x") }
      try await sleep(for: .milliseconds(50))
      read.cancel()
      write.cancel()
      #expect(await outcome(of: read) == "cancelled")
      #expect(await outcome(of: write) == "cancelled")
      await #expect(throws: TimeoutError.self) { try await connection.writer.drain(timeout: .milliseconds(3)) }
      await #expect(throws: TimeoutError.self) {
        try await connection.reader.read(upTo: 1, timeout: .milliseconds(3))
      }
      // Once the kernel has memory again, the reader goes on.
      let last = try await connection.reader.read(upTo: 1)
      #expect(last == [1])
      let drain = loop.createTask { try await connection.writer.drain() }
      try await turns()
      connection.abort()
      await #expect(throws: DescriptorClosedError.self) { try await drain.value }
    }
  }

  @Test func `an error after a shortage is the end, and who waits is told`() throws {
    try run(ScriptedSocket(sending: Self.shortages(2) + [.error(.brokenPipe)])) { _, connection, _ in
      #expect(await thrown { try await connection.writer.write("x") }.contains("\(Errno.brokenPipe)"))
    }
  }
}
