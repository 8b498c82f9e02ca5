// SPDX-License-Identifier: Apache-2.0
//
// Waiting, under a lock, for a change of what the lock guards.

/// A lock, and a place to wait for a change of what it guards. asyncio's `Condition`.
///
/// ```swift
/// let condition = AsyncCondition()
/// loop.createTask {
///   try await condition.withLock {
///     try await condition.waitUntil { !jobs.isEmpty }
///     run(jobs.removeFirst())
///   }
/// }
/// try await condition.withLock {
///   jobs.append(job)
///   try condition.notify()
/// }
/// ```
///
/// A task that waits does not hold the lock meanwhile, and holds it again when the wait returns or throws.
///
/// It belongs to the loop on which it is used first, and is not `Sendable`.
public final class AsyncCondition {
  let queue = WaitQueue()

  /// The lock.
  public let lock: AsyncLock

  /// Makes a condition, with a lock of its own, or with one that several share.
  public init(lock: AsyncLock = AsyncLock()) {
    self.lock = lock
  }

  /// Runs a body while this task holds the lock: see ``AsyncLock/withLock(timeout:_:)``.
  @inlinable
  public func withLock<Success>(
    timeout: Duration? = nil, _ body: () async throws -> Success
  ) async throws -> Success {
    try await lock.withLock(timeout: timeout, body)
  }

  /// Releases the lock, waits for a notification, and takes the lock again.
  ///
  /// Others may have come first when it returns, and have changed what was notified:
  /// ``waitUntil(timeout:_:)`` looks again.
  ///
  /// - Parameter timeout: How long to wait for the notification; `nil`: as long as it takes. Zero or less: until the
  ///   next turn. The lock is waited for as long as it takes.
  /// - Cancellation: Takes the lock again, and then throws `CancellationError`. A notification that it has got goes to
  ///   another one who waits.
  /// - Throws: `CancellationError`; ``TimeoutError``; ``LockError`` when this task does not hold the lock.
  ///   This task holds the lock then, unless the loop was closed meanwhile.
  public func waitUntilNotified(timeout: Duration? = nil) async throws {
    let executor = try lock.giveAway()
    let place = queue.enter()
    try await wait(in: place, on: executor, until: executor.deadline(after: timeout))
  }

  /// Waits until a predicate holds, which is asked now, and after each notification.
  ///
  /// - Parameters:
  ///   - timeout: How long to wait for notifications, in all; `nil`: as long as it takes. Zero or less: until the next
  ///     turn.
  ///   - predicate: Is asked while this task holds the lock.
  /// - Cancellation: As ``waitUntilNotified(timeout:)``.
  /// - Throws: What the predicate throws, and ``waitUntilNotified(timeout:)``. This task holds the lock then.
  public func waitUntil(timeout: Duration? = nil, _ predicate: () throws -> Bool) async throws {
    try lock.requireOwned()
    var deadline: Deadline?
    while try !predicate() {
      let executor = try lock.giveAway()
      let place = queue.enter()
      if deadline == nil { deadline = executor.deadline(after: timeout) }
      try await wait(in: place, on: executor, until: deadline)
    }
  }

  private func wait(
    in place: WaitQueue.Place, on executor: LoopExecutor, until deadline: Deadline?
  ) async throws {
    var failure: (any Error)?
    var hasToPassOn = false
    do {
      _ = try await queue.wait(in: place, on: executor, until: deadline) { hasToPassOn = true }
    } catch {
      failure = error
    }
    do {
      try await lock.retake(on: executor)
    } catch {
      // A request that came while it waited for the lock, when it had been notified, or had given up.
      if failure == nil { hasToPassOn = true }
      failure = error
    }
    if let failure {
      if hasToPassOn { queue.wakeFirst() }
      throw failure
    }
  }

  /// Wakes those who have waited longest. If nobody waits, nothing comes of it, also not later.
  ///
  /// - Parameter count: How many at most.
  /// - Throws: ``LockError`` when this task does not hold the lock.
  public func notify(_ count: Int = 1) throws(LockError) {
    try lock.requireOwned()
    for _ in 0..<max(0, min(count, queue.count)) { queue.wakeFirst() }
  }

  /// Wakes all who wait.
  ///
  /// - Throws: ``LockError`` when this task does not hold the lock.
  public func notifyAll() throws(LockError) {
    try lock.requireOwned()
    queue.wakeAll()
  }
}

extension AsyncCondition: CustomStringConvertible {
  /// The state of the lock, and how many wait for a notification, for logs.
  public var description: String { "AsyncCondition(\(lock.isLocked ? "locked" : "free")\(queue.description))" }
}
