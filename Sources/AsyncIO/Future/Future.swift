// SPDX-License-Identifier: Apache-2.0
//
// A result that somebody sets.

/// A place for a value, or an error, that comes later. asyncio's `Future`.
///
/// ```swift
/// try EventLoop.run { loop in
///   let answer = loop.createFuture(of: Int.self)
///   loop.callLater(.milliseconds(10)) { try answer.setResult(42) }
///   print(try await answer.value)
/// }
/// ```
///
/// The first of ``setResult(_:)``, ``setError(_:)`` and `cancel` ends it; those that come later change nothing. An
/// error that nobody reads is reported when the future goes. A pending future that goes is silent.
///
/// - Threading: Reading, awaiting, ending and cancelling is legal from any thread.
/// - Cancellation: A task that is cancelled while it awaits the future cancels the future, as in asyncio; `shield` is
///   the way to keep it.
public final class Future<Success: Sendable>: AnyFuture, Awaitable, @unchecked Sendable {
  // By the invariant of `AnyFuture`: written once, by the one that ends it, before the end can be seen.
  // SAFETY: so no read finds a write begun.
  @exclusivity(unchecked) @usableFromInline var outcome: Success?

  @usableFromInline
  package override init(loop: EventLoop, site: CreationSite) {
    super.init(loop: loop, site: site)
  }

  /// The value, of a future that has ended with one. See ``Awaitable/result()``.
  @inlinable
  public func result() throws -> Success {
    try throwUnlessValue()
    guard let outcome = unsafe outcome else { throw InvalidStateError(.notDone) }
    return outcome
  }

  /// Ends it with a value.
  ///
  /// - Threading: Any thread. Those who wait are resumed on the loop.
  /// - Throws: ``InvalidStateError`` when it has ended already, also by a cancel.
  @inlinable
  public func setResult(_ value: Success) throws(InvalidStateError) {
    guard end(with: value) else { throw InvalidStateError(.alreadyDone) }
  }

  /// Ends it with an error. A `CancellationError` ends it cancelled.
  ///
  /// - Threading: Any thread. Those who wait are resumed on the loop.
  /// - Throws: ``InvalidStateError`` when it has ended already, also by a cancel.
  public func setError(_ error: any Error) throws(InvalidStateError) {
    if error is CancellationError {
      guard cancel(CancellationReason(.body)) else { throw InvalidStateError(.alreadyDone) }
      return
    }
    guard beginEnding() else { throw InvalidStateError(.alreadyDone) }
    failure = error
    end(.error)
  }

  /// Ends it with a value, unless it has ended.
  @discardableResult @inlinable
  package func end(with value: Success) -> Bool {
    guard beginEnding() else { return false }
    unsafe outcome = value
    endWithValue()
    return true
  }
}

extension Future where Success == Void {
  /// Ends it.
  ///
  /// - Threading: Any thread. Those who wait are resumed on the loop.
  /// - Throws: ``InvalidStateError`` when it has ended already, also by a cancel.
  public func setResult() throws(InvalidStateError) { try setResult(()) }
}

extension EventLoop {
  /// Creates a pending future of this loop.
  ///
  /// - Threading: Any thread.
  @inlinable
  public nonisolated func createFuture<Success: Sendable>(
    of type: Success.Type = Success.self, fileID: StaticString = #fileID, line: UInt = #line
  ) -> Future<Success> {
    Future(loop: self, site: CreationSite(fileID, line))
  }
}
