// SPDX-License-Identifier: Apache-2.0
//
// Writing, as the contract's section on writers has it: at once, in order, and held back by the peer.

import AsyncIOTesting
import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct StreamWriterTests {
  /// Runs loops on virtual time, in FIFO order and over seeds, with a connection over a script, and closes it.
  private func withScript(
    _ sending: [ScriptedSocket.Answer], low: Int = 16_384, high: Int = 65_536,
    _ body: @escaping @Sendable (isolated EventLoop, Connection, ScriptedSocket) async throws -> Void
  ) throws {
    try runVirtually { loop in
      let socket = ScriptedSocket(sending: sending)
      let (connection, pair) = try loop.scripted(socket, options: StreamOptions(low: low, high: high))
      defer { withExtendedLifetime(pair) { connection.abort() } }
      try await body(loop, connection, socket)
    }
  }

  @Test func `SW-01: a small write on an idle socket is sent at once, by one call`() throws {
    try withScript([]) { _, connection, socket in
      try await connection.writer.write("hello")
      #expect(socket.calls == ["send 5"])
      #expect(connection.writer.queuedCount == 0)
      try await connection.writer.write([UInt8]())
      try await connection.writer.write("")
      #expect(socket.calls == ["send 5"])
    }
  }

  @Test func `SW-02: what there is no room for is queued, and sent in order`() throws {
    try withScript([.count(2), .error(.wouldBlock), .count(3), .error(.wouldBlock)]) { _, connection, socket in
      try await connection.writer.write("abcd")
      try await connection.writer.write("efgh")
      #expect(connection.writer.queuedCount == 6)
      #expect(socket.calls == ["send 2"])
      try await settle { connection.writer.queuedCount == 0 }
      #expect(String(socket.sent) == "abcdefgh")
      #expect(socket.calls == ["send 2", "send 11", "send 3", "send 11", "send 3"])
    }
  }

  @Test func `SW-04: a write above the high mark waits until the queue is at the low one`() throws {
    try withScript([.error(.wouldBlock), .count(3), .count(3)], low: 4, high: 8) { loop, connection, socket in
      let writer = connection.writer
      try await writer.write("12345678")
      #expect(writer.queuedCount == 8)
      let task = loop.createTask {
        try await writer.write("9")
        return writer.queuedCount
      }
      // Nine bytes, then six, then three: it went on at three.
      let countThen = try await task.value
      #expect(countThen == 3)
      #expect(socket.calls.prefix(3) == ["send 11", "send 3", "send 3"])
      try await settle { writer.queuedCount == 0 }
      #expect(String(socket.sent) == "123456789")
    }
  }

  @Test func `SW-05: many pieces obey the same marks, and go out by one call`() throws {
    try withScript([], low: 4, high: 8) { loop, connection, socket in
      try await connection.writer.write([[1], [], [2, 3], [UInt8](repeating: 4, count: 20_000)])
      #expect(socket.calls == ["sendmsg 2: 20003"])
      #expect(socket.sent.prefix(4) == [1, 2, 3, 4])
      try await connection.writer.write([[UInt8]]())
      try await connection.writer.write([[], []] as [[UInt8]])
      #expect(socket.calls.count == 1)
    }
    try withScript([.error(.wouldBlock), .count(4)], low: 4, high: 8) { loop, connection, socket in
      let task = loop.createTask { try await connection.writer.write([[1, 2, 3, 4], [5, 6, 7, 8], [9]]) }
      try await settle { task.isDone }
      #expect(socket.calls == ["send 11", "send 4", "send 5"])
      #expect(socket.sent == [1, 2, 3, 4, 5, 6, 7, 8, 9])
    }
  }

  @Test(arguments: [(-1, 5), (6, 5), (0, -1), (Int.min, Int.max)])
  func `SW-06: marks that cannot be are refused`(low: Int, high: Int) throws {
    try withScript([]) { loop, connection, _ in
      #expect(throws: InvalidArgumentError.self) { try connection.writer.setWaterMarks(low: low, high: high) }
      #expect(connection.writer.waterMarks == (16_384, 65_536))
      let pair = try DescriptorPair.sockets()
      #expect(throws: InvalidArgumentError.self) {
        try Connection(near: pair, options: StreamOptions(low: low, high: high), on: loop)
      }
    }
  }

  @Test func `SW-06: marks may be changed while something is queued`() throws {
    try withScript([.error(.wouldBlock), .error(.wouldBlock), .error(.wouldBlock)]) { loop, connection, _ in
      let writer = connection.writer
      #expect(try writer.writeNow("12345678"))
      try writer.setWaterMarks(low: 2, high: 7)
      let task = loop.createTask { try await writer.drain() }
      try await turns()
      #expect(!task.isDone)
      try writer.setWaterMarks(low: 9, high: 9)
      try await task.value
      #expect(try writer.writeNow("9"))
      #expect(try writer.writeNow("0") == false)
    }
  }

  @Test func `SW-07: a drain returns at once below the mark; above it waits, and all who wait go on`() throws {
    try withConnectionPair(options: StreamOptions(low: 0, high: 0)) { loop, near, far in
      let writer = near.writer
      try await writer.drain()
      while try writer.writeNow([UInt8](repeating: 1, count: 65_536)) {}
      #expect(writer.queuedCount == 65_536)
      let drains = (0..<5).map { _ in loop.createTask { try await writer.drain() } }
      try await loop.advance(by: .seconds(60))
      #expect(drains.allSatisfy { !$0.isDone })
      // The room for what is queued.
      #expect(try await far.reader.readExactly(65_536).count == 65_536)
      for drain in drains { try await drain.value }
      #expect(writer.queuedCount == 0)
    }
  }

  @Test func `SW-08: when the connection is lost while draining, the drain throws, and the next one, and a write`()
    throws
  {
    try withScript([.error(.wouldBlock), .error(.brokenPipe)], low: 0, high: 0) {
      loop, connection, socket async throws in
      let writer = connection.writer
      let lost = "\(SystemError(.brokenPipe, in: "sendmsg"))"
      #expect(try writer.writeNow("abc") == false)
      #expect(await thrown { try await writer.drain() } == lost)
      #expect(await thrown { try await writer.drain() } == lost)
      #expect(await thrown { try await writer.write("d") } == lost)
      #expect(writer.queuedCount == 0)
      // What the peer had sent before it left can be read: of a pair of sockets, all of the script.
      #expect(socket.closed == 0)
      connection.close()
      #expect(await thrown { try await connection.waitClosed() } == lost)
      #expect(socket.closed == 1)
    }
  }

  @Test func `SW-09: a drain that is cancelled harms no other`() throws {
    try withConnectionPair(options: StreamOptions(low: 0, high: 0)) { loop, near, far in
      let writer = near.writer
      while try writer.writeNow([UInt8](repeating: 1, count: 65_536)) {}
      let drains = (0..<3).map { _ in loop.createTask { try await writer.drain() } }
      try await loop.waitAllTasksBlocked()
      drains[1].cancel()
      #expect(await outcome(of: drains[1]) == "cancelled")
      let begin = loop.now
      await #expect(throws: TimeoutError.self) { try await writer.drain(timeout: .seconds(60)) }
      #expect(begin.duration(to: loop.now) == .seconds(60))
      #expect(!drains[0].isDone && !drains[2].isDone)
      #expect(try await far.reader.readExactly(65_536).count == 65_536)
      try await drains[0].value
      try await drains[2].value
      try await writer.drain()
    }
  }

  @Test func `T-66: a write that is cancelled has taken all of its bytes, and leaves one interest`() throws {
    try withConnectionPair(options: StreamOptions(low: 0, high: 0)) { loop, near, far in
      let writer = near.writer
      let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      let task = loop.createTask { try await writer.write(bytes) }
      try await loop.waitAllTasksBlocked()
      #expect(!task.isDone && writer.queuedCount == bytes.count - 65_536)
      task.cancel()
      #expect(await outcome(of: task) == "cancelled")
      await #expect(throws: TimeoutError.self) { try await writer.write("end", timeout: .milliseconds(1)) }
      #expect(try await far.reader.readExactly(bytes.count) == bytes)
      #expect(try await String(far.reader.readExactly(3)) == "end")
    }
  }

  @Test func `SW-16: a write to a peer that is gone throws, and SIGPIPE does not end the process`() throws {
    let old = signal(SIGPIPE, nil)
    defer { signal(SIGPIPE, old) }
    try EventLoop.run { loop in
      let pair = try DescriptorPair.tcp()
      let connection = try Connection(near: pair, on: loop)
      defer { connection.abort() }
      try pair.resetFar()
      for _ in 0..<3 {
        await #expect(throws: SystemError.self) { try await connection.writer.write("x") }
      }
    }
  }

  @Test func `SW-16: a pipe without a reader throws, and SIGPIPE does not end the process`() throws {
    let old = signal(SIGPIPE, nil)
    defer { signal(SIGPIPE, old) }
    try EventLoop.run { loop in
      let pipe = try FileDescriptor.pipe()
      let socket = OwnedSocket(owning: pipe.writeEnd.rawValue, calls: loop.systemCalls)
      let writer = try StreamWriter(owningPipe: socket, on: loop)
      try pipe.readEnd.close()
      #expect(await thrown { try await writer.write("x") } == "\(SystemError(.brokenPipe, in: "write"))")
      writer.close()
    }
  }

  @Test(.inOrder) func `SW-25: more pieces than a call takes, and empty ones`() throws {
    try withScript([]) { _, connection, socket in
      let pieces = (0..<3_000).map { [UInt8](repeating: UInt8(truncatingIfNeeded: $0), count: 16_384 * ($0 % 2)) }
      connection.stream.highWaterMark = .max
      try connection.writer.writeNow(pieces)
      #expect(socket.calls == ["sendmsg 1024: \(16_384 * 1_024)"])
      try await settle { connection.writer.queuedCount == 0 }
      #expect(socket.calls.count == 2)
      #expect(socket.sent == pieces.flatMap(\.self))
    }
  }

  @Test func `SW-27: the bytes of one write stay together, whoever writes meanwhile`() throws {
    // No write fits in its room, and none is a multiple of it.
    try withConnectionPair(capacity: 4_096) { loop, near, far in
      let size = 10_007
      let tasks = (0..<20).map { number in
        loop.createTask {
          for _ in 0..<4 { try await near.writer.write([UInt8](repeating: UInt8(number), count: size)) }
        }
      }
      var counts = [Int](repeating: 0, count: 20)
      for _ in 0..<80 {
        let block = try await far.reader.readExactly(size)
        #expect(block == [UInt8](repeating: block[0], count: size))
        counts[Int(block[0])] += 1
      }
      #expect(counts == [Int](repeating: 4, count: 20))
      for task in tasks { try await task.value }
    }
  }
}
