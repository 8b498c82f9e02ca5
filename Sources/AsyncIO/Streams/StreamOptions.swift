// SPDX-License-Identifier: Apache-2.0
//
// How much a stream keeps in memory.

/// How much the two halves of a stream keep.
///
/// ```swift
/// var options = StreamOptions()
/// options.limit = 1_048_576           // lines of a megabyte
/// ```
public struct StreamOptions: Sendable, Hashable {
  /// How far the reader looks ahead for a separator, in bytes; 1 or more. At first 64 KiB.
  public var limit = 65_536

  /// A write waits while more than so many bytes are queued, …; 0 or more. At first 64 KiB.
  public var highWaterMark = 65_536

  /// … until there are no more than so many: from 0 to the high mark. At first 16 KiB.
  public var lowWaterMark = 16_384

  /// The defaults.
  public init() {}

  package func requireValid() throws(InvalidArgumentError) {
    guard limit > 0 else {
      throw InvalidArgumentError("StreamOptions.limit is \(limit); give 1 or more")
    }
    guard lowWaterMark >= 0, highWaterMark >= lowWaterMark else {
      throw InvalidArgumentError(
        "StreamOptions: the water marks are \(lowWaterMark) and \(highWaterMark); "
          + "give a low one of 0 or more, and a high one that is not below it")
    }
  }
}
