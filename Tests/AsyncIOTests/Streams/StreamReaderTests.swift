// SPDX-License-Identifier: Apache-2.0
//
// Reading, as the contract's section on readers has it.

import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct StreamReaderTests {
  @Test func `SR-02: reading none gives none and keeps what is there; up to a number; to the end`() throws {
    try withReader(of: "abcdef".utf8, in: [4]) { _, reader async throws in
      #expect(try await reader.read(upTo: 0) == [])
      #expect(try await String(reader.read(upTo: 3)) == "abc")
      #expect(try await reader.read(upTo: 0) == [])
      #expect(reader.bufferedCount == 1)
      #expect(try await String(reader.read(upTo: 3)) == "d")
      #expect(try await String(reader.read()) == "ef")
      #expect(try await reader.read(upTo: 3) == [])
      #expect(try await reader.read() == [])
      await #expect(throws: InvalidArgumentError.self) { try await reader.read(upTo: -1) }
    }
  }

  @Test func `SR-03: a line with its newline, at the end the rest, then none`() throws {
    try withReader(of: "one\ntwo\n\nrest".utf8, in: [2, 3, 1]) { _, reader async throws in
      #expect(try await String(reader.readLineBytes()) == "one\n")
      #expect(try await String(reader.readLineBytes()) == "two\n")
      #expect(try await String(reader.readLineBytes()) == "\n")
      #expect(try await String(reader.readLineBytes()) == "rest")
      #expect(try await reader.readLineBytes() == [])
    }
    try withReader(of: "one\r\n\ntwo\r\nrest\r".utf8) { _, reader async throws in
      #expect(try await reader.readLine() == "one")
      #expect(try await reader.readLine() == "")
      #expect(try await reader.readLine(strippingNewline: false) == "two\r\n")
      #expect(try await reader.readLine() == "rest\r")
      #expect(try await reader.readLine() == nil)
      #expect(try await reader.readLine() == nil)
    }
  }

  @Test func `a line that is no UTF-8 is repaired`() throws {
    try withReader(of: [0x61, 0xFF, 0x0A]) { _, reader async throws in
      #expect(try await reader.readLine() == "a\u{FFFD}")
    }
  }

  @Test(arguments: [[], [3], [8, 1], [9], [10], [11], Array(repeating: 1, count: 40)])
  func `SR-04: a line that is too long is an error, and all of it is there`(pieces: [Int]) throws {
    try withReader(of: "0123456789abc\nnext\n".utf8, in: pieces, limit: 8) { _, reader async throws in
      #expect(await thrown { _ = try await reader.readLine() } == "\(LimitOverrunError(consumed: 9))")
      #expect(await thrown { _ = try await reader.readLine() } == "\(LimitOverrunError(consumed: 9))")
      #expect(try await String(reader.readExactly(9)) == "012345678")
      #expect(try await reader.readLine() == "9abc")
      #expect(try await reader.readLine() == "next")
      #expect(try await reader.readLine() == nil)
    }
  }

  @Test func `SR-04: a line may be as long as the limit`() throws {
    try withReader(of: "01234567\n01234567\n".utf8, in: [8, 1, 3], limit: 8) { _, reader async throws in
      #expect(try await reader.readLine() == "01234567")
      #expect(try await reader.readLine() == "01234567")
    }
  }

  @Test func `SR-04: what never ends is not received for ever`() throws {
    let endless = [UInt8](repeating: 0x61, count: 4_000_000)
    try withReader(of: endless, limit: 1_000) { _, reader async throws in
      for _ in 0..<10 {
        await #expect(throws: LimitOverrunError.self) { try await reader.readLine() }
      }
      #expect(reader.bufferedCount <= 65_536)
    }
  }

  @Test func `SR-09: so many bytes exactly, none, too few, a negative number`() throws {
    try withReader(of: "abcdefg".utf8, in: [1, 1, 1]) { _, reader async throws in
      #expect(try await reader.readExactly(0) == [])
      #expect(try await String(reader.readExactly(2)) == "ab")
      #expect(try await String(reader.readExactly(3)) == "cde")
      await #expect(throws: InvalidArgumentError.self) { try await reader.readExactly(-1) }
      let error = await #expect(throws: IncompleteReadError.self) { try await reader.readExactly(3) }
      #expect(error == IncompleteReadError(partial: [UInt8](text: "fg"), expected: 3))
      #expect(reader.atEOF)
      #expect(try await reader.readExactly(0) == [])
    }
  }

  @Test func `SR-10: more than the limit may be asked for`() throws {
    let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    try withReader(of: bytes, in: Array(repeating: 999, count: 100), limit: 10) { _, reader async throws in
      #expect(try await reader.readExactly(299_999) == bytes.dropLast())
      #expect(try await reader.readExactly(1) == [bytes[299_999]])
    }
  }

  @Test(arguments: [0, -1, Int.min])
  func `SR-11: a limit has to be positive`(limit: Int) throws {
    try runVirtually { loop in
      let pair = try DescriptorPair.sockets()
      #expect(throws: InvalidArgumentError.self) {
        try Connection(near: pair, options: StreamOptions(limit: limit), on: loop)
      }
    }
  }

  @Test func `SR-12: an error comes after what came before it, and stays`() throws {
    try runVirtually { loop in
      let socket = ScriptedSocket(
        [UInt8](text: "ab"), receiving: [.count(2), .error(.resourceTemporarilyUnavailable), .error(.connectionReset)])
      let (connection, pair) = try loop.scripted(socket)
      defer { withExtendedLifetime(pair) {} }
      let reset = "\(SystemError(.connectionReset, in: "recv"))"
      #expect(try await connection.reader.read(upTo: 1) == [0x61])
      #expect(await thrown { _ = try await connection.reader.readExactly(2) } == reset)
      #expect(try await connection.reader.read(upTo: 5) == [0x62])
      #expect(await thrown { _ = try await connection.reader.read(upTo: 5) } == reset)
      #expect(await thrown { _ = try await connection.reader.readLine() } == reset)
      #expect(await thrown { try await connection.writer.write("x") } == reset)
      #expect(await thrown { try await connection.waitClosed() } == reset)
      #expect(socket.closed == 1)
      #expect(connection.isClosing)
    }
  }

  @Test func `SR-12: a reader that waits is told of the reset`() throws {
    let reset = "\(SystemError(.connectionReset, in: "recv"))"
    try withConnectionPair { loop, near, far in
      let task = loop.createTask { try await near.reader.readExactly(3) }
      try await loop.waitAllTasksBlocked()
      far.abort()
      #expect(await outcome(of: task) == reset)
    }
    // What the kernel's reset wakes.
    try EventLoop.run { loop in
      let pair = try DescriptorPair.tcp()
      let connection = try Connection(near: pair, on: loop)
      let task = loop.createTask { try await connection.reader.readExactly(3) }
      try await turns()
      try pair.resetFar()
      #expect(await outcome(of: task) == reset)
    }
  }

  @Test func `SR-12: a reset that a send was told of is no end for the reader, after what had come`() throws {
    for errno in [Errno.connectionReset, .timedOut, .noRouteToHost] {
      try runVirtually { loop in
        let socket = ScriptedSocket([UInt8](text: "ab"), sending: [.error(errno)])
        let (connection, pair) = try loop.scripted(socket)
        defer { withExtendedLifetime(pair) {} }
        let lost = "\(SystemError(errno, in: "send"))"
        #expect(await thrown { try await connection.writer.write("x") } == lost)
        #expect(try await connection.reader.readExactly(2) == [UInt8](text: "ab"))
        for _ in 0..<2 { #expect(await thrown { _ = try await connection.reader.read(upTo: 5) } == lost) }
        #expect(!connection.reader.atEOF)
        #expect(await thrown { try await connection.waitClosed() } == lost)
      }
    }
  }

  @Test func `SR-12: a peer that has ended its side, and takes no more, is an end for the reader`() throws {
    try runVirtually { loop in
      let socket = ScriptedSocket([UInt8](text: "ab"), sending: [.error(.brokenPipe)])
      let (connection, pair) = try loop.scripted(socket)
      defer { withExtendedLifetime(pair) { connection.abort() } }
      await #expect(throws: SystemError(.brokenPipe, in: "send")) { try await connection.writer.write("x") }
      #expect(try await connection.reader.read() == [UInt8](text: "ab"))
      #expect(connection.reader.atEOF)
    }
  }

  @Test func `SR-12: the kernel tells a reset once, to whoever asks first`() throws {
    try EventLoop.run { loop in
      let pair = try DescriptorPair.tcp()
      let connection = try Connection(near: pair, on: loop)
      try pair.resetFar()
      let lost = await thrown { while true { try await connection.writer.write("x") } }
      #expect(lost == "\(SystemError(.connectionReset, in: "send"))")
      #expect(await thrown { _ = try await connection.reader.read() } == lost)
    }
  }

  @Test func `SR-13: a reader that is cancelled loses no byte`() throws {
    try withConnectionPair { loop, near, far in
      let reader = near.reader
      for read in [
        { _ = try await reader.readExactly(100) }, { _ = try await reader.readLine() }, { _ = try await reader.read() },
        { _ = try await reader.readUntil([0, 0]) },
      ] as [() async throws -> Void] {
        let task = loop.createTask { try await read() }
        try await far.writer.write("ab")
        try await loop.advance(by: .milliseconds(1))
        #expect(reader.bufferedCount == 2)
        task.cancel()
        #expect(await outcome(of: task) == "cancelled")
        #expect(try await String(reader.readExactly(2)) == "ab")
      }
    }
  }

  @Test(.overSeeds(200)) func `SR-13: a cancel that meets the arrival loses no byte, in either order`() throws {
    for cancelFirst in [true, false] {
      try withConnectionPair { loop, near, far in
        let (bell, ringer) = try connectionPair()
        defer {
          bell.abort()
          ringer.abort()
        }
        // It hears of a byte of its own in the turn in which the others arrive, in order before the reader does.
        var reading: LoopTask<[UInt8]>?
        let cancelling = loop.createTask {
          _ = try await bell.reader.readExactly(1)
          if loop.testSeed == nil && !cancelFirst {
            // The readiness has come, and the reader has not gone on.
            #expect(!near.stream.readable.isWaiting && reading?.isDone == false)
          }
          reading?.cancel()
        }
        try await loop.waitAllTasksBlocked()
        let task = loop.createTask { try await near.reader.readExactly(2) }
        reading = task
        try await loop.waitAllTasksBlocked()
        if cancelFirst { task.cancel() }
        try await far.writer.write("ab")
        try await ringer.writer.write("x")
        try await cancelling.value
        if await outcome(of: task) == "cancelled" {
          #expect(try await String(near.reader.readExactly(2)) == "ab")
        } else {
          #expect(try await task.value == [UInt8](text: "ab"))
        }
        #expect(near.reader.bufferedCount == 0)
      }
    }
  }

  @Test func `SR-14: the second of two readers gets an error, and the first reads on`() throws {
    try withConnectionPair { loop, near, far in
      let first = loop.createTask { try await String(near.reader.readExactly(2)) }
      try await loop.waitAllTasksBlocked()
      await #expect(throws: StreamStateError.alreadyReading) { try await near.reader.read(upTo: 1) }
      await #expect(throws: StreamStateError.alreadyReading) { try await near.reader.readLine() }
      #expect(throws: StreamStateError.alreadyReading) { try near.reader.consume { $0.count } }
      try await far.writer.write("ab")
      #expect(try await first.value == "ab")
      try await far.writer.write("c")
      #expect(try await String(near.reader.read(upTo: 5)) == "c")
    }
  }

  @Test func `SR-15: who does not read receives nothing, and the peer is held back`() throws {
    try withConnectionPair(capacity: 10_000) { loop, near, far in
      let bytes = [UInt8](repeating: 1, count: 65_536)
      try far.writer.writeNow(bytes)
      try await loop.advance(by: .seconds(60))
      #expect(near.reader.bufferedCount == 0)
      #expect(far.writer.queuedCount == bytes.count - 10_000)
      #expect(try await near.reader.readExactly(bytes.count) == bytes)
    }
  }

  @Test func `SR-16: the end is told when all was read`() throws {
    try withReader(of: "ab".utf8) { _, reader async throws in
      #expect(!reader.atEOF)
      #expect(try await reader.read(upTo: 1) == [0x61])
      #expect(!reader.atEOF)
      #expect(try await reader.fill() == false)
      #expect(!reader.atEOF)
      #expect(try await reader.read(upTo: 1) == [0x62])
      #expect(reader.atEOF)
    }
  }

  @Test func `SR-17: lines and chunks are sequences that end with the stream`() throws {
    try withReader(of: "a\nbc\r\nd".utf8, in: [1, 1, 2]) { _, reader async throws in
      var lines: [String] = []
      for try await line in reader.lines { lines.append(line) }
      #expect(lines == ["a", "bc", "d"])
      var rest = reader.lines.makeAsyncIterator()
      let afterTheEnd = try await rest.next()
      #expect(afterTheEnd == nil)
    }
    try withReader(of: "abcdef".utf8, in: [1, 2]) { _, reader async throws in
      var chunks: [String] = []
      for try await chunk in reader.chunks { chunks.append(String(chunk)) }
      #expect(chunks == ["a", "bc", "def"])
    }
  }

  @Test func `a time limit ends the wait, and loses nothing`() throws {
    try withConnectionPair { loop, near, far in
      let reader = near.reader
      try await far.writer.write("ab")
      let begin = loop.now
      await #expect(throws: TimeoutError.self) { try await reader.readExactly(3, timeout: .milliseconds(5)) }
      await #expect(throws: TimeoutError.self) { try await reader.readLine(timeout: .milliseconds(5)) }
      await #expect(throws: TimeoutError.self) { try await reader.read(timeout: .zero) }
      #expect(try await String(reader.read(upTo: 9, timeout: .zero)) == "ab")
      await #expect(throws: TimeoutError.self) { try await reader.read(upTo: 9, timeout: .milliseconds(5)) }
      #expect(begin.duration(to: loop.now) == .milliseconds(15))
      try await far.writer.write("c")
      #expect(try await String(reader.read(upTo: 9, timeout: .seconds(9))) == "c")
      #expect(begin.duration(to: loop.now) == .milliseconds(16))
    }
  }
}
