// SPDX-License-Identifier: Apache-2.0
//
// The one error for a value that came from outside and cannot be worked with.

/// A value that a function cannot work with.
public struct InvalidArgumentError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The function, the fact and the cure.
  public let description: String

  package init(_ description: String) {
    self.description = description
  }
}
