// SPDX-License-Identifier: Apache-2.0
//
// What the combinators work on.

/// A ``Future`` or a ``LoopTask``: what asyncio calls awaitable.
///
/// The combinators are generic over it. All that does not depend on the type of the value is in ``AnyFuture``.
public protocol Awaitable<Success>: AnyFuture {
  /// The type of the value.
  associatedtype Success: Sendable

  /// The value.
  ///
  /// - Threading: Any thread.
  /// - Throws: The error with which it ended, `CancellationError` when it was cancelled, ``InvalidStateError`` while it
  ///   is pending.
  func result() throws -> Success
}
