// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 2: T-22 of streams: who always finds something, or room, leaves the others their turns.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .inOrder) struct StreamFairnessTests {
  private static let much = 8 << 20
  private static let piece = 65_536
  /// The most bytes that one task moves before the others have their turn: half a megabyte, and what one call adds.
  private static let most = (512 << 10) + 2 * piece

  /// The most bytes that were moved between two turns of another task.
  private func longest(
    _ body: @escaping @Sendable (Connection, Counter) async throws -> Void
  ) throws -> Int {
    try runVirtually { loop in
      let socket = ScriptedSocket([UInt8](repeating: 1, count: Self.much))
      let (connection, pair) = try loop.scripted(socket)
      defer { withExtendedLifetime(pair) { connection.abort() } }
      let moved = Counter()
      let task = loop.createTask { try await body(connection, moved) }
      var longest = 0
      var last = 0
      while !task.isDone {
        longest = max(longest, moved.value - last)
        last = moved.value
        try await sleep(for: .zero)
      }
      try await task.value
      #expect(moved.value == Self.much)
      return max(longest, moved.value - last)
    }
  }

  @Test func `T-22: who reads`() throws {
    let longest = try longest { connection, moved in
      for try await chunk in connection.reader.chunks { moved.value += chunk.count }
    }
    #expect(longest > 0 && longest <= Self.most)
  }

  @Test func `T-22: who reads into bytes of its own`() throws {
    let longest = try longest { connection, moved in
      var bytes = [UInt8](repeating: 0, count: Self.piece)
      while true {
        var span = bytes.mutableSpan
        let count = try await connection.reader.read(into: &span)
        if count == 0 { return }
        moved.value += count
      }
    }
    #expect(longest > 0 && longest <= Self.most)
  }

  @Test func `T-22: who writes`() throws {
    let longest = try longest { connection, moved in
      let bytes = [UInt8](repeating: 2, count: Self.piece)
      for _ in 0..<Self.much / Self.piece {
        try await connection.writer.write(bytes)
        moved.value += bytes.count
      }
    }
    #expect(longest > 0 && longest <= Self.most)
  }

  @Test func `T-22: who writes little pieces`() throws {
    let longest = try longest { connection, moved in
      for _ in 0..<Self.much / 64 {
        try await connection.writer.write([UInt8](repeating: 2, count: 64))
        moved.value += 64
      }
    }
    #expect(longest > 0 && longest <= 129 * 64)
  }
}
