// SPDX-License-Identifier: Apache-2.0
//
// One task at a time.

/// A lock that a task holds across awaits. asyncio's `Lock`.
///
/// ```swift
/// let lock = AsyncLock()
/// try await lock.withLock {
///   let balance = try await account.read()
///   try await account.write(balance - 10)
/// }
/// ```
///
/// Code on a loop needs no lock for what it does between two awaits: nobody comes in between. The lock is for what must
/// stay whole over an await.
///
/// The tasks that wait get it in the order in which they came. A release hands it to the first of them: nobody who comes
/// later gets in between. To take it when it is free takes no memory and does not give up the turn.
///
/// It belongs to the loop on which it is used first, and is not `Sendable`.
///
/// Invariant: `owner` is the task that holds it, from the moment when it was given the lock; somebody waits only while
/// it has an owner. `hold` counts the times that it was given.
public final class AsyncLock: LoopBound {
  var boundExecutor: LoopExecutor?
  let queue = WaitQueue()
  private var owner: SwiftTaskIdentity?
  private var hold: UInt64 = 0

  /// Makes a lock that is free.
  public init() {}

  /// Whether a task holds it.
  public var isLocked: Bool { owner != nil }

  /// Runs a body while this task holds the lock; it is released however the body ends.
  ///
  /// - Parameters:
  ///   - timeout: How long to wait for the lock; `nil`: as long as it takes. Zero or less: until the next turn.
  ///   - body: Runs in the caller's isolation.
  /// - Cancellation: While it waits: it leaves the queue, and throws `CancellationError`; the body does not run. If it had
  ///   just been given the lock, the next one gets it. In the body: as anywhere; the lock is released as the error leaves.
  /// - Throws: What the body throws; `CancellationError`; ``TimeoutError``; ``LockError`` when this task holds it
  ///   already, or the body has released it; ``WrongLoopError``; ``NoRunningLoopError``.
  @inlinable
  public func withLock<Success>(
    timeout: Duration? = nil, _ body: () async throws -> Success
  ) async throws -> Success {
    // Two ways, since one on which nothing was waited for does not ask which executor to go on with.
    if let hold = try acquireAtOnce() { return try await run(body, hold) }
    let hold = try await acquireInTurn(timeout)
    return try await run(body, hold)
  }

  @inlinable @inline(__always)
  func run<Success>(_ body: () async throws -> Success, _ hold: UInt64) async throws -> Success {
    let result: Success
    do {
      result = try await body()
    } catch {
      // The body's own error says more.
      try? end(hold)
      throw error
    }
    try end(hold)
    return result
  }

  /// Takes the lock; ``release()`` must follow. ``withLock(timeout:_:)`` cannot forget it.
  ///
  /// - Parameter timeout: How long to wait for it; `nil`: as long as it takes. Zero or less: until the next turn.
  /// - Cancellation: Leaves the queue, and throws `CancellationError`. If it had just been given the lock, the next one
  ///   gets it. When the lock is free it does not wait, and hears no cancel.
  /// - Throws: `CancellationError`; ``TimeoutError``; ``LockError`` when this task holds it already;
  ///   ``WrongLoopError``; ``NoRunningLoopError``.
  @inlinable
  public func acquire(timeout: Duration? = nil) async throws {
    if try acquireAtOnce() == nil { _ = try await acquireInTurn(timeout) }
  }

  /// Gives the lock back: to the first task that waits, if there is one.
  ///
  /// - Threading: The task that holds it.
  /// - Throws: ``LockError`` when it is free, or another task's; nothing has changed then.
  public func release() throws(LockError) {
    try requireOwned()
    handOver()
  }

  // MARK: How it works

  /// Takes it if it is free.
  ///
  /// - Returns: The number of the hold; `nil` when another task has it.
  @usableFromInline
  func acquireAtOnce() throws -> UInt64? {
    try requireLoop()
    let task = SwiftTaskIdentity.current
    guard let owner else {
      self.owner = task
      hold &+= 1
      return hold
    }
    if owner == task { throw LockError.alreadyOwned }
    return nil
  }

  /// Waits for it. Returns the number of the hold.
  @usableFromInline
  func acquireInTurn(_ timeout: Duration?) async throws -> UInt64 {
    let executor = try requireLoop()
    // Asked again: the caller's module decides whether the turn was kept since.
    if let hold = try acquireAtOnce() { return hold }
    let place = queue.enter(.current)
    _ = try await queue.wait(in: place, on: executor, until: executor.deadline(after: timeout)) { handOver() }
    return hold
  }

  /// Releases it, of a task that was given it for the time of that number, or has given it away and retaken it since.
  @usableFromInline
  func end(_ hold: UInt64) throws {
    try requireLoop()
    guard owner != nil else { throw LockError.notLocked }
    guard hold == self.hold || owner == .current else { throw LockError.notOwned }
    handOver()
  }

  /// To the first who waits, or to nobody.
  private func handOver() {
    owner = queue.wakeFirst()?.task
    if owner != nil { hold &+= 1 }
  }

  // MARK: For conditions

  func requireOwned() throws(LockError) {
    requireThread("AsyncLock")
    guard let owner else { throw .notLocked }
    guard owner == .current else { throw .notOwned }
  }

  /// Gives it back, for the time of a wait, which ends with ``retake()``.
  func giveAway() throws -> LoopExecutor {
    try requireOwned()
    let executor = try requireLoop()
    handOver()
    return executor
  }

  /// Takes it, whatever is asked of the task meanwhile.
  ///
  /// - Throws: `CancellationError` of a request that came meanwhile: this task holds the lock all the same.
  func retake(on executor: LoopExecutor) async throws {
    guard owner != nil else {
      owner = .current
      hold &+= 1
      return
    }
    try await queue.waitUncancellably(in: queue.enter(.current), on: executor)
  }
}

extension AsyncLock: CustomStringConvertible {
  /// The state and how many wait, for logs.
  public var description: String { "AsyncLock(\(isLocked ? "locked" : "free")\(queue.description))" }
}

/// A lock was used by a task that may not do so.
public struct LockError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The fact and the cure.
  public let description: String

  /// Nobody holds the lock.
  public static let notLocked = LockError(description: "nobody holds the lock; acquire it first")

  /// Another task holds the lock.
  public static let notOwned = LockError(
    description: "another task holds the lock; only the one that acquired it can do this")

  /// The task holds the lock already, and would wait for itself.
  public static let alreadyOwned = LockError(
    description: "this task holds the lock already, and would wait for itself; release it first")
}
