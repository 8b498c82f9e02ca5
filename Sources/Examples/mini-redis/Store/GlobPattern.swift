// SPDX-License-Identifier: Apache-2.0
//
// The patterns of KEYS and CONFIG GET.

/// A pattern for whole names: `*` any bytes, `?` one, `[a-z]` one of these, `[^a-z]` one that is not, `\` the next byte
/// as it is.
struct GlobPattern {
  private let bytes: [UInt8]
  private let ignoresCase: Bool

  init(_ pattern: ByteString, ignoresCase: Bool = false) {
    bytes = pattern.withSpan { span in (0..<span.count).map { span[$0] } }
    self.ignoresCase = ignoresCase
  }

  /// Whether it matches all names.
  var matchesAll: Bool { bytes == [UInt8(ascii: "*")] }

  func matches(_ name: ByteString) -> Bool { name.withSpan { matches($0) } }

  /// Whether it matches a name.
  ///
  /// - Complexity: O(length of the pattern × length of the name): of all stars only the last one is ever tried again.
  func matches(_ name: Span<UInt8>) -> Bool {
    var place = 0
    var index = 0
    var afterStar: Int?
    var triedFrom = 0
    while true {
      if place < bytes.count, bytes[place] == UInt8(ascii: "*") {
        place += 1
        afterStar = place
        triedFrom = index
        continue
      }
      if index == name.count {
        return place == bytes.count
      }
      if place < bytes.count, let next = matchOne(name[index], at: place) {
        place = next
        index += 1
        continue
      }
      guard let afterStar else { return false }
      triedFrom += 1
      index = triedFrom
      place = afterStar
    }
  }

  /// Matches a byte with the part of the pattern at a place.
  ///
  /// - Returns: The place behind that part; `nil` when it does not match.
  private func matchOne(_ byte: UInt8, at place: Int) -> Int? {
    switch bytes[place] {
    case UInt8(ascii: "?"): return place + 1
    case UInt8(ascii: "["): return matchSet(byte, at: place + 1)
    case UInt8(ascii: "\\") where place + 1 < bytes.count: return same(byte, bytes[place + 1]) ? place + 2 : nil
    default: return same(byte, bytes[place]) ? place + 1 : nil
    }
  }

  /// Matches a byte with a set, from behind its bracket. One that is not closed ends with the pattern.
  private func matchSet(_ byte: UInt8, at start: Int) -> Int? {
    var place = start
    let isNegated = place < bytes.count && bytes[place] == UInt8(ascii: "^")
    if isNegated { place += 1 }
    var isMember = false
    while place < bytes.count, bytes[place] != UInt8(ascii: "]") {
      if bytes[place] == UInt8(ascii: "\\"), place + 1 < bytes.count {
        place += 1
        if same(byte, bytes[place]) { isMember = true }
      } else if place + 2 < bytes.count, bytes[place + 1] == UInt8(ascii: "-") {
        let (low, high) = (folded(bytes[place]), folded(bytes[place + 2]))
        if (min(low, high)...max(low, high)).contains(folded(byte)) { isMember = true }
        place += 2
      } else if same(byte, bytes[place]) {
        isMember = true
      }
      place += 1
    }
    return isMember == isNegated ? nil : min(place + 1, bytes.count)
  }

  private func same(_ a: UInt8, _ b: UInt8) -> Bool { folded(a) == folded(b) }

  private func folded(_ byte: UInt8) -> UInt8 { ignoresCase ? byte.lowercased : byte }
}
