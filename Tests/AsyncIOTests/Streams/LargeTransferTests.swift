// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 13: SW-24, much through a little window; SW-25, a piece of five gigabytes.

import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct LargeTransferTests {
  /// A gigabyte takes half a minute: `ASYNCIO_GIGABYTE=1 swift test --filter SW-24`.
  private static var total: Int { unsafe getenv("ASYNCIO_GIGABYTE") == nil ? 64 << 20 : 1 << 30 }

  /// Bytes of which each run of the same length looks different, wherever in a period it begins.
  private static let period = (0..<65_521).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

  @Test(.disabled(if: ProcessFacts.keepsFreedMemory))
  func `SW-24: much, through a window of 4 KiB: each byte comes, in the memory of a queue`() throws {
    let total = Self.total
    let pattern = Self.period + Self.period
    let period = Self.period.count
    try EventLoop.run { loop in
      let greatest = Counter()
      let mark = StreamOptions().highWaterMark
      let server = try await serve { connection in
        var sent = 0
        while sent < total {
          let count = min(period, total - sent)
          try await connection.writer.write(pattern.span.extracting(0..<count))
          greatest.value = max(greatest.value, connection.writer.queuedCount)
          sent += count
        }
      }
      let socket = try OwnedSocket.open(.ipv4, Int32(SOCK_STREAM.rawValue), calls: loop.systemCalls)
      // The window that it tells the sender of is no larger.
      try socket.setOption(SO_RCVBUF, of: SOL_SOCKET, to: 4_096)
      _ = try socket.connect(to: server.address)
      let client = try Connection(owning: socket, on: loop)
      var buffer = [UInt8](repeating: 0, count: 65_536)
      var received = 0
      var isRight = true
      var memory = 0
      while true {
        var span = buffer.mutableSpan
        let count = try await client.reader.read(into: &span)
        if count == 0 { break }
        let place = received % period
        // SAFETY: both ranges are within their arrays: a buffer is shorter than a period and a bit.
        let isSame = unsafe pattern.withUnsafeBytes { pattern in
          unsafe buffer.withUnsafeBytes { unsafe memcmp($0.baseAddress!, pattern.baseAddress! + place, count) == 0 }
        }
        if !isSame { isRight = false }
        received += count
        if memory == 0, received > total / 8 { memory = ProcessFacts.residentKilobytes }
      }
      #expect(received == total)
      #expect(isRight)
      #expect(greatest.value > 0 && greatest.value <= mark + period)
      #expect(ProcessFacts.residentKilobytes - memory < 24_576)
      client.close()
      server.close()
      try await server.waitClosed()
    }
  }

  /// The system promises no more memory than it has, though nobody touches it.
  private static var hasMemory: Bool { sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) > 8 << 30 }

  @Test(.disabled(if: ProcessFacts.keepsFreedMemory), .enabled(if: hasMemory))
  func `SW-25: a piece of five gigabytes is sent to its end, whatever the calls take of it`() throws {
    let length = 5 << 30
    // Memory that nobody touches: the system gives none for it.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: length) { _, count in count = length }
    let calls = CountedBytes()
    try EventLoop.run { loop in
      let pair = try DescriptorPair.sockets()
      let connection = try Connection(near: pair, calls: calls, on: loop)
      defer { connection.abort() }
      let memory = ProcessFacts.residentKilobytes
      // What is queued of it is more than an Int32 holds, and so is where that begins.
      try await connection.writer.write(bytes)
      #expect(calls.total == length)
      try await connection.writer.write([[1], bytes, [2]])
      #expect(calls.total == 2 * length + 2)
      let span = bytes.span
      calls.takesAll.change { $0 = true }
      try await connection.writer.write(span)
      #expect(calls.total == 3 * length + 2)
      #expect(connection.writer.queuedCount == 0)
      #expect(ProcessFacts.residentKilobytes - memory < 65_536)
    }
  }
}

/// Calls that take bytes without looking at them: as many at a time as the kernel would, or all, and none in between.
private final class CountedBytes: PartialCalls, Sendable {
  private let taken = Shared(0)
  private let isFull = Shared(false)
  let takesAll = Shared(false)

  /// What Linux takes at most in one call.
  private static let most = 0x7fff_f000

  var total: Int { taken.value }

  private func take(_ count: Int) throws(Errno) -> Int {
    let all = takesAll.value
    var mayTake = true
    isFull.change {
      mayTake = all || !$0
      $0.toggle()
    }
    guard mayTake else { throw .resourceTemporarilyUnavailable }
    let part = all ? count : min(count, Self.most)
    taken.change { $0 += part }
    return part
  }

  func send(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int { try take(buffer.count) }

  func send(
    _ descriptor: Int32, _ buffers: UnsafeBufferPointer<UnsafeRawBufferPointer>
  ) throws(Errno) -> Int {
    var count = 0
    for place in buffers.indices { unsafe count += buffers[place].count }
    return try take(count)
  }
}
