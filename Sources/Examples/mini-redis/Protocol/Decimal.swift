// SPDX-License-Identifier: Apache-2.0
//
// Whole numbers in decimal, as the protocol and the commands write and read them.

/// Reads numbers as strictly as Redis does: no sign but a minus, no leading zero, no blank.
enum Decimal {
  /// The number that all of the bytes make up; `nil` when they are none, or one beyond 64 bits.
  static func parse(_ bytes: Span<UInt8>) -> Int? {
    var index = 0
    var isNegative = false
    if bytes.count > 1, bytes[0] == UInt8(ascii: "-") {
      isNegative = true
      index = 1
    }
    guard index < bytes.count, bytes.count - index <= Digits.most else { return nil }
    if bytes[index] == UInt8(ascii: "0") { return bytes.count == 1 ? 0 : nil }
    // Downwards, since the least number has no positive one.
    var value = 0
    while index < bytes.count {
      let digit = bytes[index] &- UInt8(ascii: "0")
      guard digit < 10 else { return nil }
      let (tens, isTooLarge) = value.multipliedReportingOverflow(by: 10)
      let (next, isBeyond) = tens.subtractingReportingOverflow(Int(digit))
      if isTooLarge || isBeyond { return nil }
      value = next
      index += 1
    }
    if isNegative { return value }
    return value == .min ? nil : -value
  }
}

/// The decimal digits of a number, with its minus sign.
struct Digits {
  /// As many as a number of 64 bits has, with its sign.
  static let most = 20

  private var bytes = InlineArray<20, UInt8>(repeating: UInt8(ascii: "0"))
  private var start = Self.most

  init(_ number: Int) {
    var rest = number.magnitude
    repeat {
      start -= 1
      let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: 10)
      bytes[start] = UInt8(ascii: "0") + UInt8(remainder)
      rest = quotient
    } while rest > 0
    if number < 0 {
      start -= 1
      bytes[start] = UInt8(ascii: "-")
    }
  }

  var count: Int { Self.most - start }

  var span: Span<UInt8> { @_lifetime(borrow self) get { bytes.span.extracting(start...) } }
}
