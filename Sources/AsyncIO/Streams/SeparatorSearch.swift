// SPDX-License-Identifier: Apache-2.0
//
// Where a record ends: the search for separators in bytes that arrive piece by piece.

import Glibc

/// The bytes that may end a record, one or several sequences of them.
enum Separators {
  case byte(UInt8)
  case several([[UInt8]])

  /// - Throws: ``InvalidArgumentError`` when there is none, or one is empty.
  init(_ separators: [[UInt8]]) throws(InvalidArgumentError) {
    guard !separators.isEmpty, separators.allSatisfy({ !$0.isEmpty }) else {
      throw InvalidArgumentError("StreamReader.readUntil: a separator is empty; give one byte or more")
    }
    self = separators.count == 1 && separators[0].count == 1 ? .byte(separators[0][0]) : .several(separators)
  }

  /// The length of the longest.
  var longest: Int {
    switch self {
    case .byte: 1
    case .several(let separators): separators.reduce(0) { max($0, $1.count) }
    }
  }
}

/// A search that goes on where it stood when more bytes have come.
///
/// Of several separators the one wins that ends first, and of those the one that begins first. What is found does not depend on how the bytes arrive.
///
/// Invariant: none of the separators ends within the first `scanned` bytes.
struct SeparatorSearch {
  enum Step: Equatable {
    /// The record is so many bytes long, with its separator.
    case found(Int)
    /// No separator begins within the first `limit + 1` bytes.
    case overrun
    /// There is none yet.
    case missing
  }

  private let separators: Separators
  private let longest: Int
  private let limit: Int
  private var scanned = 0

  /// - Parameter limit: How many bytes may stand before the separator.
  init(for separators: Separators, limit: Int) {
    self.separators = separators
    longest = separators.longest
    self.limit = limit
  }

  /// Looks at all bytes that there are, which begin with those of the step before.
  mutating func step(_ bytes: UnsafeRawBufferPointer) -> Step {
    if let (start, end) = unsafe match(in: bytes) { return start > limit ? .overrun : .found(end) }
    scanned = bytes.count
    return scanned - longest >= limit ? .overrun : .missing
  }

  private func match(in bytes: UnsafeRawBufferPointer) -> (start: Int, end: Int)? {
    switch separators {
    case .byte(let byte):
      guard let start = unsafe Self.first(byte, in: bytes, from: scanned) else { return nil }
      return (start, start + 1)
    case .several(let separators):
      var best: (start: Int, end: Int)?
      for separator in separators {
        // Only one that ends before the best so far is better, or one that ends there and begins earlier.
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<(best?.end ?? bytes.count)])
        let from = max(0, scanned - separator.count + 1)
        guard let start = unsafe Self.first(separator, in: rest, from: from) else { continue }
        let end = start + separator.count
        if let best, end == best.end, start > best.start { continue }
        best = (start, end)
      }
      return best
    }
  }

  private static func first(_ byte: UInt8, in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
    // SAFETY: what is looked at is within the bytes.
    guard
      let base = bytes.baseAddress,
      let place = unsafe memchr(base + start, Int32(byte), bytes.count - start)
    else { return nil }
    return unsafe UnsafeRawPointer(place) - base
  }

  /// The first place of a sequence that is not empty.
  private static func first(_ sequence: [UInt8], in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
    var start = start
    // Where the last one could begin.
    let last = bytes.count - sequence.count
    while start <= last {
      // SAFETY: from a place up to `last`, the whole sequence is within the bytes.
      let places = unsafe UnsafeRawBufferPointer(rebasing: bytes[...last])
      guard let place = unsafe first(sequence[0], in: places, from: start) else { return nil }
      let there = unsafe UnsafeRawBufferPointer(rebasing: bytes[place..<(place + sequence.count)])
      if unsafe there.elementsEqual(sequence) { return place }
      start = place + 1
    }
    return nil
  }
}
