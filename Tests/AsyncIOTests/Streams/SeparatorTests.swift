// SPDX-License-Identifier: Apache-2.0
//
// Separators: across pieces, several of them, beyond the limit; and that arrival does not matter.

import Foundation
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct SeparatorTests {
  @Test func `SR-05: separators are found across pieces, and where they overlap`() throws {
    try withReader(of: "xaaayaaaa".utf8, in: [3, 1, 2, 1, 1]) { _, reader async throws in
      #expect(try await String(reader.readUntil([UInt8](text: "aaa"))) == "xaaa")
      #expect(try await String(reader.readUntil([UInt8](text: "aaa"))) == "yaaa")
      let error = await #expect(throws: IncompleteReadError.self) {
        try await reader.readUntil([UInt8](text: "aaa"))
      }
      #expect(error == IncompleteReadError(partial: [0x61], expected: nil))
      #expect(reader.atEOF)
    }
    try withReader(of: "aabaabaaab".utf8, in: Array(repeating: 1, count: 10)) { _, reader async throws in
      #expect(try await String(reader.readUntil([UInt8](text: "aabaaa"))) == "aabaabaaa")
    }
  }

  @Test func `SR-06: of several separators that wins which ends first; none may be empty`() throws {
    try withReader(of: "one\r\ntwo\nthree\rfour".utf8, in: [4, 1]) { _, reader async throws in
      let ends = ["\r\n", "\n"].map { [UInt8](text: $0) }
      #expect(try await String(reader.readUntil(anyOf: ends)) == "one\r\n")
      #expect(try await String(reader.readUntil(anyOf: ends)) == "two\n")
      #expect(try await String(reader.readUntil(anyOf: [[0x0D, 0x0A], [0x0D]])) == "three\r")
      await #expect(throws: InvalidArgumentError.self) { try await reader.readUntil(anyOf: []) }
      await #expect(throws: InvalidArgumentError.self) { try await reader.readUntil(anyOf: [[1], []]) }
      await #expect(throws: InvalidArgumentError.self) { try await reader.readUntil([]) }
      #expect(try await String(reader.read()) == "four")
    }
    // One a prefix of another: the shorter match.
    try withReader(of: "xaab".utf8) { _, reader async throws in
      #expect(try await String(reader.readUntil(anyOf: ["aab", "aa", "a"].map { [UInt8](text: $0) })) == "xa")
    }
  }

  @Test(arguments: [[], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [5, 2, 1], [6], [7]])
  func `SR-08: a separator beyond the limit is an error, and nothing is used up`(pieces: [Int]) throws {
    for text in ["123456--x", "1234567890"] {
      try withReader(of: text.utf8, in: pieces, limit: 5) { _, reader async throws in
        let error = await #expect(throws: LimitOverrunError.self) {
          try await reader.readUntil([UInt8](text: "--"))
        }
        #expect(error?.consumed == 6)
        #expect(try await String(reader.read()) == text)
      }
    }
    try withReader(of: "12345--".utf8, in: pieces, limit: 5) { _, reader async throws in
      #expect(try await String(reader.readUntil([UInt8](text: "--"))) == "12345--")
    }
  }

  @Test func `the bytes up to a separator are lent, and used up also when the body throws`() throws {
    try withReader(of: "12,345,".utf8, in: [1, 3]) { _, reader async throws in
      #expect(try await reader.readUntil([0x2C]) { $0.count } == 3)
      await #expect(throws: Oops.self) { try await reader.readUntil([0x2C]) { _ in throw Oops() } }
      #expect(reader.bufferedCount == 0)
    }
  }

  @Test func `a parser uses up as much as it understands`() throws {
    try withReader(of: "aabbc".utf8, in: [1, 2, 1]) { _, reader async throws in
      var pairs: [String] = []
      while try await reader.fill() {
        try reader.consume { bytes in
          var used = 0
          while bytes.count - used >= 2 {
            pairs.append(String([bytes[used], bytes[used + 1]]))
            used += 2
          }
          return used
        }
      }
      #expect(pairs == ["aa", "bb"])
      #expect(throws: InvalidArgumentError.self) { try reader.consume { _ in 2 } }
      #expect(throws: InvalidArgumentError.self) { try reader.consume { _ in -1 } }
      #expect(throws: Oops.self) { try reader.consume { _ in throw Oops() } }
      #expect(try await String(reader.read()) == "c")
    }
  }

  @Test func `a parser that uses nothing up gets no more than the limit`() throws {
    try withReader(of: [UInt8](repeating: 1, count: 200_000), limit: 70_000) { _, reader async throws in
      await #expect(throws: LimitOverrunError.self) {
        while try await reader.fill() {}
      }
      #expect(reader.bufferedCount <= 70_000 + 131_072)
    }
  }

  @Test func `reading into the caller's bytes takes what is buffered first`() throws {
    try withReader(of: "abcdefgh".utf8, in: [3, 2]) { _, reader async throws in
      var bytes = [UInt8](repeating: 0, count: 4)
      #expect(try await reader.read(upTo: 1) == [0x61])
      var span = bytes.mutableSpan
      #expect(try await reader.read(into: &span) == 2)
      #expect(try await reader.read(into: &span) == 2)
      #expect(try await reader.read(into: &span) == 3)
      #expect(try await reader.read(into: &span) == 0)
      #expect(bytes == Array("fgh".utf8) + [0])
    }
  }

  @Test func `each seed of the fuzzer is searched alike, however it arrives`() throws {
    let folder = URL(filePath: #filePath).appending(path: "../../../../.ci/fuzz/seeds/until").standardizedFileURL
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    try #require(names.count >= 10)
    for name in names {
      // As the fuzzer reads it: a step, a limit, separators with their lengths, an empty one, the stream.
      var bytes = Array(try Data(contentsOf: folder.appending(path: name)))[...]
      let limit = Int(bytes.dropFirst().first ?? 0) + 1
      bytes = bytes.dropFirst(2)
      var list: [[UInt8]] = []
      while let length = bytes.popFirst(), length % 8 != 0 {
        list.append(Array(bytes.prefix(Int(length % 8))))
        bytes = bytes.dropFirst(Int(length % 8))
      }
      let separators = try Separators(list)
      let stream = Array(bytes)
      let whole = Self.search(separators, in: stream, limit, by: max(1, stream.count))
      for step in 1...max(1, stream.count) {
        #expect(Self.search(separators, in: stream, limit, by: step) == whole, "\(name), by \(step)")
      }
    }
  }

  private static func search(
    _ separators: Separators, in stream: [UInt8], _ limit: Int, by step: Int
  ) -> SeparatorSearch.Step {
    var search = SeparatorSearch(for: separators, limit: limit)
    var end = 0
    while true {
      end = min(end + step, stream.count)
      let found = unsafe stream[..<end].withUnsafeBytes { unsafe search.step($0) }
      if found != .missing || end == stream.count { return found }
    }
  }

  // MARK: Arrival

  /// Words of all lengths with three kinds of endings; a megabyte.
  private static func text(_ random: inout SystemRandom) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < Amount.of(1_000_000, usually: 30_000) {
      for _ in 0..<random.next(300) { bytes.append(UInt8(0x61 + random.next(3))) }
      bytes += [[0x0A], [0x0D, 0x0A], [0x0D, 0x0D, 0x0A]][random.next(3)]
    }
    return bytes
  }

  /// A generator that gives the same each time.
  private struct SystemRandom {
    var state: UInt64
    mutating func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(bound))
    }
  }

  @Test(.inOrder, arguments: [1, 2, 3, 4, 5] as [UInt64])
  func `SR-20: a megabyte reads the same, however it arrives`(seed: UInt64) throws {
    var random = SystemRandom(state: seed)
    let bytes = Self.text(&random)
    let ends: [[UInt8]] = [[0x0A], [0x61, 0x0D], [0x0D, 0x0D, 0x0A]]
    var records: [[UInt8]] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      let end = rest.indices.first { place in
        ends.contains { rest[...place].suffix($0.count).elementsEqual($0) }
      }
      let record = rest[...(end ?? rest.endIndex - 1)]
      records.append(Array(record))
      rest = rest[record.endIndex...]
    }
    // Most pieces are a byte; some are large.
    var pieces: [Int] = []
    var left = bytes.count
    let bound = [2, 9, 40, 5_000, 200_000][Int(seed) - 1]
    while left > 0 {
      pieces.append(min(left, 1 + random.next(bound)))
      left -= pieces.last ?? 0
    }
    let expected = records
    try withReader(of: bytes, in: pieces) { _, reader async throws in
      var count = 0
      while !reader.atEOF, count < expected.count {
        let record: [UInt8]
        do {
          record = try await reader.readUntil(anyOf: ends)
        } catch let error as IncompleteReadError {
          record = error.partial
        }
        if record != expected[count] {
          Issue.record("record \(count) differs")
          return
        }
        count += 1
      }
      #expect(count == expected.count)
    }
  }
}
