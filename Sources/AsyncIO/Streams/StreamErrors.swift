// SPDX-License-Identifier: Apache-2.0
//
// What can go wrong with a stream, beside the system's own errors.

/// The stream ended before all that was asked for had come. asyncio's `IncompleteReadError`.
public struct IncompleteReadError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What had come; it is used up.
  public let partial: [UInt8]

  /// How many bytes were asked for; `nil` where it was a separator.
  public let expected: Int?

  /// An error for a stream of your own.
  public init(partial: [UInt8], expected: Int?) {
    self.partial = partial
    self.expected = expected
  }

  /// The numbers; not the bytes, which may be a secret.
  public var description: String {
    let what = expected.map { "of the \($0) bytes that were expected" } ?? "without the separator"
    return "the stream ended after \(partial.count) bytes, \(what)"
  }
}

/// No separator was found within a reader's limit. asyncio's `LimitOverrunError`.
///
/// Nothing is used up: the bytes can be read by other calls.
public struct LimitOverrunError: Error, Hashable, Sendable, CustomStringConvertible {
  /// So many bytes are there, from the front, in which no separator begins: `read(upTo:)` of them skips what is too
  /// long.
  public let consumed: Int

  /// The fact, and the cure.
  public var description: String {
    "no separator within \(consumed) bytes; read on to skip them, or make a stream with a greater limit"
  }

  package init(consumed: Int) {
    self.consumed = consumed
  }
}

/// A call that the state of a stream does not allow.
public struct StreamStateError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, and what to do.
  public let description: String

  /// A second task wants to read while one does.
  public static let alreadyReading = StreamStateError(
    description: "another task is reading from this stream; let one task read, and hand on what it gets")

  /// Something is written after `closeWriting()`.
  public static let writingEnded = StreamStateError(
    description: "the writing side of this stream was ended by closeWriting(); write before that")
}
