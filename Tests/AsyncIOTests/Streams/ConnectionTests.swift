// SPDX-License-Identifier: Apache-2.0
//
// The life of a connection: closing, aborting, half-closing, being dropped; and its descriptor, which has one owner.

import AsyncIOTesting
import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ConnectionTests {
  /// How many bytes `fill` writes into a pair in memory.
  private static let filled = 2 * 65_536

  /// Whether a number is open in this process.
  private func isOpen(_ descriptor: Int32) -> Bool { fcntl(descriptor, F_GETFD) >= 0 }

  /// Writes until something is queued: of a pair in memory, twice as much as it has room for.
  private func fill(_ connection: Connection) throws {
    while connection.writer.queuedCount == 0 { try connection.writer.writeNow([UInt8](repeating: 1, count: 65_536)) }
  }

  @Test func `SW-10: after close, writing throws, and nothing goes to a number that was given away again`() throws {
    try withConnection { loop, connection, pair in
      connection.close()
      #expect(!isOpen(pair.near.rawValue))
      // The lowest free number: that of the connection.
      let other = try DescriptorPair.sockets()
      #expect([other.near, other.far].contains(pair.near))
      await #expect(throws: DescriptorClosedError.self) { try await connection.writer.write("x") }
      await #expect(throws: DescriptorClosedError.self) { try await connection.reader.read(upTo: 1) }
      connection.writer.closeWriting()
      connection.abort()
      connection.close()
      try await connection.waitClosed()
      #expect(isOpen(other.near.rawValue) && isOpen(other.far.rawValue))
      #expect(throws: Errno.wouldBlock) { try DescriptorPair.read(other.far) }
      #expect(throws: Errno.wouldBlock) { try DescriptorPair.read(other.near) }
    }
  }

  @Test func `SW-11: close sends what is queued first`() throws {
    try withConnectionPair { loop, near, far in
      try fill(near)
      try near.writer.writeNow("end")
      near.close()
      #expect(near.isClosing)
      #expect(near.stream.life == .closing)
      await #expect(throws: DescriptorClosedError.self) { try await near.writer.write("x") }
      let closed = loop.createTask { try await near.waitClosed() }
      try await loop.advance(by: .seconds(60))
      #expect(!closed.isDone)
      #expect(try await far.reader.read() == [UInt8](repeating: 1, count: Self.filled) + [UInt8](text: "end"))
      try await closed.value
      #expect(near.stream.life == .closed)
    }
  }

  @Test func `SW-11: what is queued is sent also when nobody holds the connection any more`() throws {
    try runInMemory { loop in
      let reports = Reports(of: loop)
      let far = try { () throws in
        let (near, far) = try connectionPair()
        try fill(near)
        near.close()
        return far
      }()
      defer { far.abort() }
      try await loop.advance(by: .seconds(60))
      #expect(loop.openThings.count == 2)
      #expect(try await far.reader.read().count == Self.filled)
      #expect(loop.openThings.count == 1)
      #expect(reports.count == 0)
    }
  }

  @Test func `SW-12: abort drops what is queued, and closes now; all who wait are told once`() throws {
    try withConnectionPair(options: StreamOptions(low: 0, high: 0)) { loop, near, far in
      try fill(near)
      let drain = loop.createTask { try await near.writer.drain() }
      let read = loop.createTask { try await near.reader.read(upTo: 1) }
      let closed = (0..<3).map { _ in loop.createTask { try await near.waitClosed() } }
      try await loop.waitAllTasksBlocked()
      near.abort()
      #expect(near.stream.life == .closed)
      #expect(near.writer.queuedCount == 0)
      await #expect(throws: DescriptorClosedError.self) { try await drain.value }
      await #expect(throws: DescriptorClosedError.self) { try await read.value }
      for task in closed { try await task.value }
      // What had been sent, and then no end.
      #expect(try await far.reader.readExactly(65_536).count == 65_536)
      await #expect(throws: SystemError(.connectionReset, in: "recv")) { try await far.reader.read(upTo: 1) }
    }
  }

  @Test func `SW-14: the peer ends its side, and we may write on`() throws {
    try withConnectionPair { _, near, far in
      try await far.writer.write("question")
      far.writer.closeWriting()
      #expect(try await String(near.reader.read()) == "question")
      #expect(near.reader.atEOF)
      try await near.writer.write("answer")
      near.writer.closeWriting()
      #expect(try await String(far.reader.read()) == "answer")
      await #expect(throws: StreamStateError.writingEnded) { try await near.writer.write("x") }
    }
  }

  @Test func `our side ends after what is queued, and reading goes on`() throws {
    try withConnectionPair { _, near, far in
      try fill(near)
      near.writer.closeWriting()
      near.writer.closeWriting()
      #expect(try await far.reader.read().count == Self.filled)
      try await far.writer.write("late")
      #expect(try await String(near.reader.read(upTo: 10)) == "late")
    }
  }

  @Test func `SW-19, SW-20: waiting for the end returns when it has come, also with data unread`() throws {
    try withConnectionPair { loop, near, far in
      try await far.writer.write("unread")
      _ = try await near.reader.read(upTo: 1)
      let begin = loop.now
      await #expect(throws: TimeoutError.self) { try await near.waitClosed(timeout: .seconds(60)) }
      #expect(begin.duration(to: loop.now) == .seconds(60))
      let waits = (0..<3).map { _ in loop.createTask { try await near.waitClosed() } }
      try await loop.waitAllTasksBlocked()
      waits[0].cancel()
      near.close()
      #expect(await outcome(of: waits[0]) == "cancelled")
      try await waits[1].value
      try await waits[2].value
      try await near.waitClosed()
    }
  }

  @Test func `SW-21: a connection that is dropped is closed, with one report`() throws {
    try runInMemory { loop in
      let reports = Reports(of: loop)
      for keep in [0, 1, 2] {
        var kept: Any?
        let far = try { () throws in
          let (near, far) = try connectionPair()
          if keep == 1 { kept = near.reader }
          if keep == 2 { kept = near.writer }
          return far
        }()
        #expect(loop.openThings.count == (keep == 0 ? 1 : 2))
        #expect(reports.count == max(keep, 1))
        withExtendedLifetime(kept) {}
        kept = nil
        #expect(loop.openThings.count == 1)
        #expect(reports.kinds == Array(repeating: .connectionNotClosed, count: keep + 1))
        #expect(try await far.reader.read() == [])
        far.close()
      }
    }
  }

  @Test func `a loop that is closed closes the connections that are open, without a report`() throws {
    let log = RecordingLog()
    let loop = try EventLoop(configuration: EventLoop.Configuration().with(log: log))
    nonisolated(unsafe) var kept: Connection?
    let number = try loop.whileIdle { loop in
      let pair = try DescriptorPair.sockets()
      let connection = try Connection(near: pair, on: loop)
      try fill(connection)
      unsafe kept = connection
      return pair.near.rawValue
    }
    loop.close()
    #expect(!isOpen(number))
    unsafe #expect(kept?.isClosing == true)
    unsafe kept = nil
    #expect(log.kinds == [])
  }

  @Test func `tasks that read and write when the loop ends leave no descriptor`() throws {
    let number = try EventLoop.run { loop in
      let pair = try DescriptorPair.sockets()
      let number = pair.near.rawValue
      loop.createTask {
        let connection = try Connection(near: pair, options: StreamOptions(low: 0, high: 0), on: loop)
        defer { connection.close() }
        loop.createTask { try await connection.writer.write([UInt8](repeating: 1, count: 4_000_000)) }
        _ = try await connection.reader.read()
      }
      try await turns(3)
      #expect(isOpen(number))
      return number
    }
    #expect(!isOpen(number))
  }

  @Test func `IO-13: a peer that has ended its side is no spin while nobody reads`() throws {
    try withConnection { _, connection, pair in
      let reader = connection.reader
      // Interest exists: somebody has waited.
      await #expect(throws: TimeoutError.self) { try await reader.read(upTo: 1, timeout: .milliseconds(1)) }
      pair.shutDownFar()
      #expect(try await idleProcessorTime() < .milliseconds(20))
      try pair.closeFar()
      #expect(try await idleProcessorTime() < .milliseconds(20))
      #expect(try await reader.read(upTo: 1) == [])
      #expect(try await idleProcessorTime() < .milliseconds(20))
    }
  }

  @Test func `IO-14: who only writes is told of the hang-up; who does neither costs nothing`() throws {
    try withConnection(options: StreamOptions(low: 0, high: 0)) { loop, connection, pair in
      try fill(connection)
      let drain = loop.createTask { try await connection.writer.drain() }
      try await turns()
      try pair.closeFar()
      #expect(await outcome(of: drain).contains("sendmsg"))
      #expect(try await idleProcessorTime() < .milliseconds(20))
    }
  }

  @Test func `IO-15: a peer that closes with data unread: all data, then the end`() throws {
    for isUnread in [false, true] {
      try withConnection { _, connection, pair in
        if isUnread { try await connection.writer.write("never read") }
        try pair.send("all of it")
        try pair.closeFar()
        #expect(try await String(connection.reader.readExactly(9)) == "all of it")
        // Linux tells of data that the peer has not read by a reset, after what it had sent.
        let end = await thrown { () async throws in #expect(try await connection.reader.read(upTo: 1) == []) }
        #expect(end == (isUnread ? "\(SystemError(.connectionReset, in: "recv"))" : "none"))
        #expect(try await idleProcessorTime() < .milliseconds(20))
      }
    }
  }

  @Test(.overSeeds(200)) func `T-65: after a cancelled read, the next one works`() throws {
    try withConnectionPair { loop, near, far in
      for _ in 0..<20 {
        let first = loop.createTask { try await near.reader.read(upTo: 1) }
        try await turns()
        first.cancel()
        let second = loop.createTask {
          _ = await outcome(of: first)
          return try await String(near.reader.read(upTo: 1))
        }
        try await far.writer.write("x")
        #expect(try await second.value == "x")
        #expect(first.isCancelled)
      }
    }
  }

  @Test func `SW-29: addresses after the end are the last known, or none`() throws {
    try runInMemory { loop in
      for isAsked in [false, true] {
        let (connection, far) = try connectionPair()
        if isAsked { #expect("\(connection.localAddress, default: "")".hasPrefix("127.0.0.1:")) }
        let known = isAsked ? connection.peerAddress.map { "\($0)" } : nil
        #expect((known != nil) == isAsked)
        connection.close()
        #expect(connection.peerAddress.map { "\($0)" } == known)
        #expect((connection.localAddress != nil) == isAsked)
        far.close()
      }
    }
  }

  @Test func `pipes are streams in one direction`() throws {
    try EventLoop.run { loop in
      let pipe = try FileDescriptor.pipe()
      for end in [pipe.readEnd, pipe.writeEnd] { _ = fcntl(end.rawValue, F_SETFL, O_NONBLOCK) }
      let reader = try StreamReader(
        owningPipe: OwnedSocket(owning: pipe.readEnd.rawValue, calls: loop.systemCalls), on: loop)
      let writer = try StreamWriter(
        owningPipe: OwnedSocket(owning: pipe.writeEnd.rawValue, calls: loop.systemCalls), on: loop)
      let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 13) }
      let write = loop.createTask {
        try await writer.write([[1, 2], bytes, [3]])
        writer.closeWriting()
        try await writer.waitClosed()
      }
      #expect(try await reader.read() == [1, 2] + bytes + [3])
      try await write.value
      reader.close()
      #expect(!isOpen(pipe.readEnd.rawValue) && !isOpen(pipe.writeEnd.rawValue))
    }
  }
}
