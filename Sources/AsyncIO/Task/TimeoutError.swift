// SPDX-License-Identifier: Apache-2.0
//
// The error of all that takes a time limit.

/// A time limit has passed.
public struct TimeoutError: Error, Hashable, Sendable, CustomStringConvertible {
  /// An error for a limit of your own.
  public init() {}

  /// The fact.
  public var description: String { "the time limit has passed" }
}
