// SPDX-License-Identifier: Apache-2.0
//
// The words of an inline command: what a person types into a bare connection.

/// Splits a line into words at blanks. Words may be quoted: "with \n, \x41 and the like", or 'without, but for \''.
enum InlineWords {
  /// Appends the bytes of the words, and their places.
  ///
  /// - Returns: `false` when a quote is not closed, or not followed by a blank.
  static func split(_ text: Span<UInt8>, into bytes: inout [UInt8], _ words: inout [Argument]) -> Bool {
    var index = 0
    while true {
      while index < text.count, isBlank(text[index]) { index += 1 }
      guard index < text.count else { return true }
      let start = bytes.count
      while index < text.count, !isBlank(text[index]) {
        let byte = text[index]
        index += 1
        switch byte {
        case UInt8(ascii: "\""):
          guard let end = unquote(text, from: index, into: &bytes) else { return false }
          index = end
        case UInt8(ascii: "'"):
          guard let end = unquotePlainly(text, from: index, into: &bytes) else { return false }
          index = end
        default:
          bytes.append(byte)
          continue
        }
        // A quoted word ends with its quote.
        guard index == text.count || isBlank(text[index]) else { return false }
      }
      words.append(Argument(start: start, count: bytes.count - start))
    }
  }

  /// Reads up to the closing quote, and returns the place behind it.
  private static func unquote(_ text: Span<UInt8>, from start: Int, into bytes: inout [UInt8]) -> Int? {
    var index = start
    while index < text.count {
      let byte = text[index]
      index += 1
      if byte == UInt8(ascii: "\"") { return index }
      guard byte == UInt8(ascii: "\\"), index < text.count else {
        bytes.append(byte)
        continue
      }
      if text[index] == UInt8(ascii: "x"), index + 2 < text.count, let high = hexadecimal(text[index + 1]),
        let low = hexadecimal(text[index + 2])
      {
        bytes.append(16 * high + low)
        index += 3
      } else {
        bytes.append(escaped(text[index]))
        index += 1
      }
    }
    return nil
  }

  private static func unquotePlainly(_ text: Span<UInt8>, from start: Int, into bytes: inout [UInt8]) -> Int? {
    var index = start
    while index < text.count {
      let byte = text[index]
      index += 1
      if byte == UInt8(ascii: "'") { return index }
      if byte == UInt8(ascii: "\\"), index < text.count, text[index] == UInt8(ascii: "'") {
        bytes.append(text[index])
        index += 1
      } else {
        bytes.append(byte)
      }
    }
    return nil
  }

  private static func escaped(_ byte: UInt8) -> UInt8 {
    switch byte {
    case UInt8(ascii: "n"): 10
    case UInt8(ascii: "r"): 13
    case UInt8(ascii: "t"): 9
    case UInt8(ascii: "b"): 8
    case UInt8(ascii: "a"): 7
    default: byte
    }
  }

  private static func hexadecimal(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  /// As C's `isspace`.
  private static func isBlank(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }
}
