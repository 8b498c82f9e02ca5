// SPDX-License-Identifier: Apache-2.0
//
// Something has happened, and all may know.

/// A flag that tasks wait for. asyncio's `Event`.
///
/// ```swift
/// let isReady = AsyncEvent()
/// loop.createTask {
///   try await isReady.waitUntilSet()
///   print("go")
/// }
/// isReady.set()
/// ```
///
/// It belongs to the loop on which it is used first, and is not `Sendable`.
///
/// Invariant: somebody waits only while it is not set.
public final class AsyncEvent: LoopBound {
  var boundExecutor: LoopExecutor?
  let queue = WaitQueue()

  /// Whether it is set.
  public private(set) var isSet = false

  /// Makes an event that is not set.
  public init() {}

  /// Sets it: all who wait go on, in the order in which they came, also when it is cleared before their turn.
  public func set() {
    requireThread("AsyncEvent.set")
    isSet = true
    queue.wakeAll()
  }

  /// Takes it back: who comes from now on waits.
  public func clear() {
    requireThread("AsyncEvent.clear")
    isSet = false
  }

  /// Waits until it is set. When it is, returns without giving up the turn.
  ///
  /// - Parameter timeout: How long to wait; `nil`: as long as it takes. Zero or less: until the next turn.
  /// - Cancellation: Throws `CancellationError`; the event does not know of the task any more.
  /// - Throws: `CancellationError`; ``TimeoutError``; ``WrongLoopError``; ``NoRunningLoopError``.
  public func waitUntilSet(timeout: Duration? = nil) async throws {
    let executor = try requireLoop()
    if isSet { return }
    let place = queue.enter()
    _ = try await queue.wait(in: place, on: executor, until: executor.deadline(after: timeout)) {}
  }
}

extension AsyncEvent: CustomStringConvertible {
  /// The state and how many wait, for logs.
  public var description: String { "AsyncEvent(\(isSet ? "set" : "not set")\(queue.description))" }
}
