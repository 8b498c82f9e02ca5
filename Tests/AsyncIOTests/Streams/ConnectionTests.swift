// SPDX-License-Identifier: Apache-2.0
//
// The life of a connection: closing, aborting, half-closing, being dropped; and its descriptor, which has one owner.

import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ConnectionTests {
  /// Whether a number is open in this process.
  private func isOpen(_ descriptor: Int32) -> Bool { fcntl(descriptor, F_GETFD) >= 0 }

  /// Writes until something is queued.
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
    try withConnection { loop, connection, pair in
      try fill(connection)
      try connection.writer.writeNow("end")
      let total = 0
      connection.close()
      #expect(connection.isClosing)
      #expect(isOpen(pair.near.rawValue))
      await #expect(throws: DescriptorClosedError.self) { try await connection.writer.write("x") }
      let closed = loop.createTask { try await connection.waitClosed() }
      var last = ""
      var count = total
      try await settle {
        while let part = try? DescriptorPair.read(pair.far, 1_000_000), !part.isEmpty {
          count += part.utf8.count
          last = part
        }
        return closed.isDone
      }
      while let part = try? DescriptorPair.read(pair.far, 1_000_000), !part.isEmpty { last = part }
      #expect(last.hasSuffix("end"))
      try await closed.value
      #expect(!isOpen(pair.near.rawValue))
    }
  }

  @Test func `SW-11: what is queued is sent also when nobody holds the connection any more`() throws {
    try EventLoop.run { loop in
      let pair = try DescriptorPair.sockets()
      let reports = Reports(of: loop)
      try { () throws in
        let connection = try Connection(near: pair, on: loop)
        try fill(connection)
        connection.close()
      }()
      #expect(isOpen(pair.near.rawValue))
      try await settle {
        try? pair.drainFar()
        return !isOpen(pair.near.rawValue)
      }
      #expect(reports.count == 0)
    }
  }

  @Test func `SW-12: abort drops what is queued, and closes now; all who wait are told once`() throws {
    try withConnection(options: StreamOptions(low: 0, high: 0)) { loop, connection, pair in
      try fill(connection)
      let drain = loop.createTask { try await connection.writer.drain() }
      let read = loop.createTask { try await connection.reader.read(upTo: 1) }
      let closed = (0..<3).map { _ in loop.createTask { try await connection.waitClosed() } }
      try await turns(2)
      connection.abort()
      #expect(!isOpen(pair.near.rawValue))
      #expect(connection.writer.queuedCount == 0)
      await #expect(throws: DescriptorClosedError.self) { try await drain.value }
      await #expect(throws: DescriptorClosedError.self) { try await read.value }
      for task in closed { try await task.value }
    }
  }

  @Test func `SW-14: the peer ends its side, and we may write on`() throws {
    try withConnection { _, connection, pair in
      try pair.send("question")
      pair.shutDownFar()
      #expect(try await String(connection.reader.read()) == "question")
      #expect(connection.reader.atEOF)
      try await connection.writer.write("answer")
      connection.writer.closeWriting()
      #expect(try DescriptorPair.read(pair.far) == "answer")
      #expect(try DescriptorPair.read(pair.far) == "")
      await #expect(throws: StreamStateError.writingEnded) { try await connection.writer.write("x") }
    }
  }

  @Test func `our side ends after what is queued, and reading goes on`() throws {
    try withConnection { _, connection, pair in
      try fill(connection)
      connection.writer.closeWriting()
      connection.writer.closeWriting()
      var hasEnded = false
      try await settle {
        while let part = try? DescriptorPair.read(pair.far, 100_000) { if part.isEmpty { hasEnded = true; break } }
        return hasEnded
      }
      try pair.send("late")
      #expect(try await String(connection.reader.read(upTo: 10)) == "late")
    }
  }

  @Test func `SW-19, SW-20: waiting for the end returns when it has come, also with data unread`() throws {
    try withConnection { loop, connection, pair in
      try pair.send("unread")
      _ = try await connection.reader.read(upTo: 1)
      await #expect(throws: TimeoutError.self) { try await connection.waitClosed(timeout: .milliseconds(1)) }
      let waits = (0..<3).map { _ in loop.createTask { try await connection.waitClosed() } }
      try await turns()
      waits[0].cancel()
      connection.close()
      #expect(await outcome(of: waits[0]) == "cancelled")
      try await waits[1].value
      try await waits[2].value
      try await connection.waitClosed()
    }
  }

  @Test func `SW-21: a connection that is dropped is closed, with one report`() throws {
    try EventLoop.run { loop in
      let reports = Reports(of: loop)
      for keep in [0, 1, 2] {
        let pair = try DescriptorPair.sockets()
        var kept: Any?
        try { () throws in
          let connection = try Connection(near: pair, on: loop)
          if keep == 1 { kept = connection.reader }
          if keep == 2 { kept = connection.writer }
        }()
        #expect(isOpen(pair.near.rawValue) == (keep != 0))
        #expect(reports.count == max(keep, 1))
        withExtendedLifetime(kept) {}
        kept = nil
        #expect(!isOpen(pair.near.rawValue))
        #expect(reports.kinds == Array(repeating: .connectionNotClosed, count: keep + 1))
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

  @Test func `T-65: after a cancelled read, the next one works`() throws {
    try withConnection { loop, connection, pair in
      for _ in 0..<20 {
        let first = loop.createTask { try await connection.reader.read(upTo: 1) }
        try await turns()
        first.cancel()
        let second = loop.createTask {
          _ = await outcome(of: first)
          return try await String(connection.reader.read(upTo: 1))
        }
        try pair.send("x")
        #expect(try await second.value == "x")
        #expect(first.isCancelled)
      }
    }
  }

  @Test func `SW-29: addresses after the end are the last known, or none`() throws {
    try EventLoop.run { loop in
      for isAsked in [false, true] {
        let connection = try Connection(near: .tcp(), on: loop)
        if isAsked { #expect("\(connection.localAddress, default: "")".hasPrefix("127.0.0.1:")) }
        let known = isAsked ? connection.peerAddress.map { "\($0)" } : nil
        #expect((known != nil) == isAsked)
        connection.close()
        #expect(connection.peerAddress.map { "\($0)" } == known)
        #expect((connection.localAddress != nil) == isAsked)
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
