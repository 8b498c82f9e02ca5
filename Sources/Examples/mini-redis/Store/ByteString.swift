// SPDX-License-Identifier: Apache-2.0
//
// Keys and values as they are kept: most are short, and a short one is no object.

/// Bytes that nobody changes: a key, a value, the name of a channel.
///
/// Invariant: what has at most ``shortest`` bytes stands in the value itself, with zeros behind it, all else in an array;
/// so two that are equal have equal contents in every part. It takes 24 bytes.
enum ByteString {
  /// The bytes from the first to the 22nd, in the order of memory, and how many they are.
  case short(UInt64, UInt64, UInt32, UInt16, count: UInt8)
  case long([UInt8])

  /// The most bytes that need no array.
  static let shortest = 22

  init(_ bytes: Span<UInt8>) {
    self = if bytes.count <= Self.shortest { Self.short(bytes) } else { .long(Self.array(bytes)) }
  }

  init(_ text: some StringProtocol) {
    self.init(Array(text.utf8).span)
  }

  /// The decimal digits of a number, which are always short.
  init(_ number: Int) {
    let digits = Digits(number)
    self = Self.short(digits.span)
  }

  private static func short(_ bytes: Span<UInt8>) -> ByteString {
    var words: (UInt64, UInt64, UInt64) = (0, 0, 0)
    // SAFETY: at most 22 bytes come to a place for 24, which is a local.
    unsafe bytes.withUnsafeBytes { source in
      unsafe withUnsafeMutableBytes(of: &words) { unsafe $0.copyMemory(from: source) }
    }
    return .short(
      words.0, words.1, UInt32(truncatingIfNeeded: words.2), UInt16(truncatingIfNeeded: words.2 >> 32),
      count: UInt8(truncatingIfNeeded: bytes.count))
  }

  private static func array(_ bytes: Span<UInt8>) -> [UInt8] {
    // SAFETY: the bytes are lent for the length of the call.
    unsafe bytes.withUnsafeBufferPointer { unsafe Array($0) }
  }

  var count: Int {
    switch self {
    case .short(_, _, _, _, let count): Int(count)
    case .long(let bytes): bytes.count
    }
  }

  var isEmpty: Bool { count == 0 }

  /// Lends the bytes.
  @inline(__always)
  func withSpan<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
    switch self {
    case .short(let first, let second, let third, let fourth, let count):
      let words = (first, second, UInt64(third) | UInt64(fourth) << 32)
      // SAFETY: the place is a local of 24 bytes, and the count at most 22.
      return unsafe withUnsafeBytes(of: words) { bytes in
        let bytes = unsafe bytes.assumingMemoryBound(to: UInt8.self)
        return body(unsafe bytes.span.extracting(first: Int(count)))
      }
    case .long(let bytes):
      return body(bytes.span)
    }
  }
}

extension ByteString: Hashable {
  static func == (a: ByteString, b: ByteString) -> Bool {
    switch (a, b) {
    case (.short(let a1, let a2, let a3, let a4, let aCount), .short(let b1, let b2, let b3, let b4, let bCount)):
      a1 == b1 && a2 == b2 && a3 == b3 && a4 == b4 && aCount == bCount
    case (.long(let a), .long(let b)): a == b
    default: false
    }
  }

  func hash(into hasher: inout Hasher) {
    switch self {
    case .short(let first, let second, let third, let fourth, let count):
      hasher.combine(first)
      hasher.combine(second)
      hasher.combine(UInt64(third) | UInt64(fourth) << 32 | UInt64(count) << 48)
    case .long(let bytes):
      // SAFETY: the bytes are lent for the length of the call.
      unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }
  }
}

extension ByteString: ExpressibleByStringLiteral, CustomStringConvertible {
  init(stringLiteral text: String) { self.init(text) }

  /// The bytes as text; what is no UTF-8 is replaced.
  var description: String { String(decodingBytes: self) }
}

extension String {
  /// Text from bytes that may be anything.
  init(decodingBytes bytes: ByteString) {
    self = bytes.withSpan { String(decodingBytes: $0) }
  }

  /// Text from bytes that may be anything.
  init(decodingBytes bytes: Span<UInt8>) {
    // SAFETY: the bytes are lent for the length of the call.
    self = unsafe bytes.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
  }
}
