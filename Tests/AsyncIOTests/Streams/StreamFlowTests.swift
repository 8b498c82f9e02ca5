// SPDX-License-Identifier: Apache-2.0
//
// Much traffic: what the kernel may answer, slow peers, peers that never pause, and what it all costs.

import AsyncIOTesting
import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct StreamFlowTests {
  private struct Random {
    var state: UInt64
    mutating func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(bound))
    }
  }

  private static func answers(_ count: Int, _ random: inout Random) -> [ScriptedSocket.Answer] {
    (0..<count).map { _ in
      switch random.next(6) {
      case 0: .error(.resourceTemporarilyUnavailable)
      case 1: .error(.interrupted)
      case 2: .error(.noBufferSpace)
      case 3: .count(1)
      default: .count(1 + random.next(40_000))
      }
    }
  }

  @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
  func `IO-27: whatever the kernel answers, no byte is lost or doubled`(seed: UInt64) throws {
    var random = Random(state: seed)
    let incoming = (0..<Amount.of(300_000, usually: 60_000)).map { _ in UInt8(random.next(256)) }
    let outgoing = (0..<60).map { _ in
      (0..<[random.next(10), random.next(30_000)][random.next(2)]).map { _ in UInt8(random.next(256)) }
    }
    let (receiving, sending) = (Self.answers(200, &random), Self.answers(200, &random))
    let kinds = (0..<10_000).map { _ in random.next(4) }
    // Of the pauses after each shortage none is real.
    try runVirtually { loop in
      let socket = ScriptedSocket(incoming, receiving: receiving, sending: sending)
      let (connection, pair) = try loop.scripted(socket, options: StreamOptions(low: 1_000, high: 5_000))
      defer { withExtendedLifetime(pair) { connection.abort() } }
      let write = loop.createTask {
        for (place, bytes) in outgoing.enumerated() {
          switch place % 3 {
          case 0: try await connection.writer.write(bytes)
          case 1: try await connection.writer.write(bytes.span)
          default: try await connection.writer.write([Array(bytes.prefix(7)), Array(bytes.dropFirst(7))])
          }
        }
      }
      var received: [UInt8] = []
      var own = [UInt8](repeating: 0, count: 3_000)
      var place = 0
      while !connection.reader.atEOF {
        place += 1
        switch kinds[place % kinds.count] {
        case 0: received += try await connection.reader.read(upTo: 5_000)
        case 1:
          var span = own.mutableSpan
          let count = try await connection.reader.read(into: &span)
          received += own[..<count]
        case 2:
          do {
            received += try await connection.reader.readUntil([0x0A, 0x00])
          } catch let error as IncompleteReadError {
            received += error.partial
          } catch let error as LimitOverrunError {
            received += try await connection.reader.readExactly(error.consumed)
          }
        default:
          do {
            received += try await connection.reader.readExactly(777)
          } catch let error as IncompleteReadError {
            received += error.partial
          }
        }
      }
      #expect(received == incoming)
      try await write.value
      try await settle { connection.writer.queuedCount == 0 }
      #expect(socket.sent == outgoing.flatMap(\.self))
    }
  }

  @Test func `SW-24: much data through a small window: exact bytes, bounded memory`() throws {
    try withConnectionPair(capacity: 4_096) { loop, connection, peer in
      // Each byte is looked at, which takes long where nothing is optimized.
      let total = 300_000
      let block = 10_007
      let mark = connection.writer.waterMarks.high
      var greatest = 0
      let write = loop.createTask {
        var sent = 0
        while sent < total {
          let count = min(block, total - sent)
          try await connection.writer.write(
            (sent..<(sent + count)).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) })
          greatest = max(greatest, connection.writer.queuedCount)
          sent += count
        }
        connection.writer.closeWriting()
      }
      var received = 0
      var isRight = true
      for try await chunk in peer.reader.chunks {
        for byte in chunk {
          if byte != UInt8(truncatingIfNeeded: received &* 7 &+ received >> 8) { isRight = false }
          received += 1
        }
      }
      try await write.value
      #expect(isRight)
      #expect(received == total)
      #expect(greatest > 0 && greatest <= mark + block)
    }
  }

  @Test func `a peer that never pauses, and one that takes all, leave others their turns`() throws {
    for isReading in [true, false] {
      let endless = [UInt8](repeating: 0x0A, count: 100_000)
      try runVirtually { loop in
        let socket = ScriptedSocket(endless)
        let (connection, pair) = try loop.scripted(socket)
        defer { withExtendedLifetime(pair) { connection.abort() } }
        var rounds = 0
        let task = loop.createTask {
          while true {
            if isReading {
              _ = try await connection.reader.readLine()
            } else {
              try await connection.writer.write("x")
            }
            rounds += 1
            if rounds > 10_000 { return }
          }
        }
        try await turns(10)
        #expect(rounds > 0 && rounds <= 10 * 129)
        task.cancel()
        _ = await outcome(of: task)
      }
    }
  }

  @Test func `a request costs one call to receive and one to send, and no change of interest after the first`() throws {
    let counting = CountingCalls()
    try EventLoop.run { loop in
      let pair = try DescriptorPair.sockets()
      let connection = try Connection(near: pair, calls: counting, on: loop)
      let serve = loop.createTask {
        for try await chunk in connection.reader.chunks { try await connection.writer.write(chunk) }
      }
      let peer = try Connection(
        owning: OwnedSocket(owning: dup(pair.far.rawValue), calls: loop.systemCalls), on: loop)
      for number in 0..<100 {
        try await peer.writer.write("request \(number)")
        _ = try await peer.reader.read(upTo: 100)
      }
      #expect(counting.received == 100)
      #expect(counting.sent == 100)
      peer.close()
      try pair.closeFar()
      try await serve.value
      connection.close()
    }
  }

  @Test func `an idle reader holds no block, one that waits with little holds little`() throws {
    try withConnectionPair { loop, near, far in
      let reader = near.reader
      let task = loop.createTask { try await reader.readExactly(100) }
      try await loop.waitAllTasksBlocked()
      #expect(reader.buffer.capacity == 0)
      try await far.writer.write("12345")
      try await loop.advance(by: .milliseconds(1))
      #expect(reader.bufferedCount == 5 && near.stream.readable.isWaiting)
      #expect(reader.buffer.capacity <= 64)
      try await far.writer.write(String(repeating: "x", count: 95))
      #expect(try await task.value.count == 100)
      #expect(reader.buffer.capacity == 0)
    }
  }
}

/// Calls of the kernel that are counted.
private final class CountingCalls: PartialCalls {
  private let counts = Shared((received: 0, sent: 0))
  var received: Int { counts.value.received }
  var sent: Int { counts.value.sent }

  func receive(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    counts.change { $0.received += 1 }
    return try unsafe LinuxSystemCalls().receive(descriptor, into: buffer)
  }

  func send(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int {
    counts.change { $0.sent += 1 }
    return try unsafe LinuxSystemCalls().send(descriptor, buffer)
  }
}
