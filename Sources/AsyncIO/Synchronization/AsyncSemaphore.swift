// SPDX-License-Identifier: Apache-2.0
//
// So many tasks at a time.

/// A number of permits. asyncio's `Semaphore`.
///
/// ```swift
/// let connections = try AsyncSemaphore(value: 10)
/// try await connections.withPermit {
///   try await fetch(page)                        // ten at a time
/// }
/// ```
///
/// The tasks that wait get permits in the order in which they came; a permit that is released is the first one's from
/// that moment on. To take one that is there takes no memory and does not give up the turn.
///
/// It belongs to the loop on which it is used first, and is not `Sendable`.
///
/// Invariant: somebody waits only while `value` is 0.
public final class AsyncSemaphore: LoopBound {
  var boundExecutor: LoopExecutor?
  let queue = WaitQueue()

  /// How many permits are there for the taking.
  public private(set) var value: Int

  /// Makes a semaphore with so many permits.
  ///
  /// - Parameter value: 0 or more.
  /// - Throws: ``InvalidArgumentError`` for a negative one.
  public init(value: Int) throws(InvalidArgumentError) {
    guard value >= 0 else {
      throw InvalidArgumentError("AsyncSemaphore: the value is \(value); give 0 or more")
    }
    self.value = value
  }

  /// Whether who comes now has to wait.
  public var isLocked: Bool { value == 0 }

  /// Runs a body with a permit, which is released however the body ends.
  ///
  /// - Parameters:
  ///   - timeout: How long to wait for the permit; `nil`: as long as it takes. Zero or less: until the next turn.
  ///   - body: Runs in the caller's isolation.
  /// - Cancellation: While it waits: it leaves the queue, and throws `CancellationError`; the body does not run. In the
  ///   body: as anywhere; the permit is released as the error leaves.
  /// - Throws: What the body throws; `CancellationError`; ``TimeoutError``; ``WrongLoopError``;
  ///   ``NoRunningLoopError``.
  @inlinable
  public func withPermit<Success>(
    timeout: Duration? = nil, _ body: () async throws -> Success
  ) async throws -> Success {
    try await acquire(timeout: timeout)
    defer { release() }
    return try await body()
  }

  /// Takes a permit.
  ///
  /// - Parameter timeout: How long to wait for it; `nil`: as long as it takes. Zero or less: until the next turn.
  /// - Cancellation: Leaves the queue, and throws `CancellationError`. If it had just been given a permit, the next one
  ///   gets it. When one is there it does not wait, and hears no cancel.
  /// - Throws: `CancellationError`; ``TimeoutError``; ``WrongLoopError``; ``NoRunningLoopError``.
  public func acquire(timeout: Duration? = nil) async throws {
    let executor = try requireLoop()
    if value > 0 {
      value -= 1
      return
    }
    let place = queue.enter()
    _ = try await queue.wait(in: place, on: executor, until: executor.deadline(after: timeout)) { handOver() }
  }

  /// Gives a permit: to the first task that waits, if there is one. It need not have been acquired.
  ///
  /// - Threading: The loop; any task, or a plain callback.
  public func release() {
    requireThread("AsyncSemaphore.release")
    handOver()
  }

  private func handOver() {
    if queue.wakeFirst() == nil, value < .max { value += 1 }
  }
}

extension AsyncSemaphore: CustomStringConvertible {
  /// The permits and how many wait, for logs.
  public var description: String { "AsyncSemaphore(\(permits))" }

  fileprivate var permits: String { "value \(value)\(queue.description)" }
}

/// A semaphore that is never given more permits than it began with. asyncio's `BoundedSemaphore`.
///
/// One release too many is a mistake that a plain ``AsyncSemaphore`` cannot see; this one throws.
public final class AsyncBoundedSemaphore {
  private let semaphore: AsyncSemaphore
  /// How many it began with.
  public let bound: Int

  /// Makes a semaphore with so many permits: see ``AsyncSemaphore/init(value:)``.
  public init(value: Int) throws(InvalidArgumentError) {
    guard value >= 0 else {
      throw InvalidArgumentError("AsyncBoundedSemaphore: the value is \(value); give 0 or more")
    }
    semaphore = try AsyncSemaphore(value: value)
    bound = value
  }

  /// How many permits are there for the taking.
  public var value: Int { semaphore.value }

  /// Whether who comes now has to wait.
  public var isLocked: Bool { semaphore.isLocked }

  /// Runs a body with a permit: see ``AsyncSemaphore/withPermit(timeout:_:)``.
  ///
  /// - Throws: The same, and ``SemaphoreOverreleasedError`` when all permits are back already.
  public func withPermit<Success>(
    timeout: Duration? = nil, _ body: () async throws -> Success
  ) async throws -> Success {
    try await acquire(timeout: timeout)
    let result: Success
    do {
      result = try await body()
    } catch {
      // The body's own error says more.
      try? release()
      throw error
    }
    try release()
    return result
  }

  /// Takes a permit: see ``AsyncSemaphore/acquire(timeout:)``.
  public func acquire(timeout: Duration? = nil) async throws { try await semaphore.acquire(timeout: timeout) }

  /// Gives a permit back: see ``AsyncSemaphore/release()``.
  ///
  /// - Throws: ``SemaphoreOverreleasedError`` when all permits are back already; nothing has changed then.
  public func release() throws(SemaphoreOverreleasedError) {
    semaphore.requireThread("AsyncBoundedSemaphore.release")
    if semaphore.value >= bound { throw SemaphoreOverreleasedError() }
    semaphore.release()
  }
}

extension AsyncBoundedSemaphore: CustomStringConvertible {
  /// The permits and how many wait, for logs.
  public var description: String { "AsyncBoundedSemaphore(\(semaphore.permits), of \(bound))" }
}

/// A bounded semaphore was released more often than acquired.
public struct SemaphoreOverreleasedError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The fact.
  public var description: String { "the semaphore was released more often than it was acquired" }
}
