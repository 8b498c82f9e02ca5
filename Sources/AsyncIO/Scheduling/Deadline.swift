// SPDX-License-Identifier: Apache-2.0
//
// A point on the loop's clock, with sums that saturate instead of trapping.

/// Nanoseconds since the origin of a loop's clock.
///
/// Invariant: `.never` is greater than all deadlines that can come; sums saturate there.
package struct Deadline: Comparable, Hashable, Sendable {
  package let nanoseconds: Int64

  package init(nanoseconds: Int64) {
    self.nanoseconds = nanoseconds
  }

  /// The deadline that never comes.
  package static let never = Deadline(nanoseconds: .max)

  package static func < (a: Deadline, b: Deadline) -> Bool { a.nanoseconds < b.nanoseconds }

  /// A deadline some time later (earlier, where the duration is negative), rounded up to the nanosecond.
  package func advanced(by duration: Duration) -> Deadline {
    advanced(byNanoseconds: duration.saturatingNanoseconds)
  }

  /// The same, in nanoseconds.
  func advanced(byNanoseconds distance: Int64) -> Deadline {
    if self == .never { return .never }
    let (sum, overflow) = nanoseconds.addingReportingOverflow(distance)
    if overflow { return distance < 0 ? Deadline(nanoseconds: .min) : .never }
    return Deadline(nanoseconds: sum)
  }

  /// The time from another deadline to this one.
  package func duration(since other: Deadline) -> Duration {
    let (difference, overflow) = nanoseconds.subtractingReportingOverflow(other.nanoseconds)
    if overflow { return nanoseconds < other.nanoseconds ? .nanoseconds(Int64.min) : .nanoseconds(Int64.max) }
    return .nanoseconds(difference)
  }
}

extension Duration {
  /// Whole nanoseconds, rounded up, at most what an `Int64` holds (292 years) and at least its least.
  package var saturatingNanoseconds: Int64 {
    let high = UInt64(truncatingIfNeeded: attoseconds >> 64)
    if high < 1 << 28 {
      // Of 0 to 156 years, without a division of 128 bits: 2⁶⁴ as are 18,446,744,073 ns and 709,551,616 as.
      let (whole, rest) = UInt64(truncatingIfNeeded: attoseconds).quotientAndRemainder(dividingBy: 1_000_000_000)
      return Int64(high * 18_446_744_073 + whole + (high * 709_551_616 + rest + 999_999_999) / 1_000_000_000)
    }
    // Not by `components`, which trap where the seconds are more than an `Int64` holds.
    let (whole, rest) = attoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    return Int64(clamping: rest > 0 ? whole + 1 : whole)
  }

  /// A duration from seconds that came from outside: a configuration file, a user, a computation.
  ///
  /// `Duration.seconds(_:)` of the standard library stops the process when it is given NaN, an infinity or a number
  /// beyond its range. This does not: it refuses NaN, and all that is too large becomes a duration of 292 years, which
  /// no timer lives to see.
  ///
  /// - Parameter seconds: any number but NaN; negative ones too.
  /// - Throws: ``InvalidArgumentError`` for NaN.
  public init(clampingSeconds seconds: Double) throws(InvalidArgumentError) {
    guard !seconds.isNaN else {
      throw InvalidArgumentError("Duration(clampingSeconds:): the number of seconds is NaN; give a number")
    }
    let nanoseconds = seconds * 1e9
    if nanoseconds >= 0x1p63 {
      self = .nanoseconds(Int64.max)
    } else if nanoseconds <= -0x1p63 {
      self = .nanoseconds(Int64.min)
    } else {
      self = .nanoseconds(Int64(nanoseconds.rounded()))
    }
  }
}
