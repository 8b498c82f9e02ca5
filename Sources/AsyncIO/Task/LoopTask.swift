// SPDX-License-Identifier: Apache-2.0
//
// A body of code that runs on a loop.

/// A task of a loop: asyncio's `Task`.
///
/// ```swift
/// try EventLoop.run { loop in
///   let task = loop.createTask(name: "greeting") {
///     try await sleep(for: .milliseconds(10))
///     return "hello"
///   }
///   print(try await task.value)
/// }
/// ```
///
/// The body starts in the next turn, and runs on the loop, in its isolation: it shares the state of the code that made
/// it. It is a Swift task: `async let`, task groups and other libraries' awaits work in it. The loop holds the task
/// until it ends. An error that nobody reads is reported when the task goes.
///
/// - Cancellation: `cancel` interrupts one await: the one that the body is in, or else its next one that suspends. What
///   is awaited there is cancelled too, down to the innermost; the await throws `CancellationError`. A body that has
///   not started never runs. A body that catches the error goes on, and its next awaits work; it may return a value.
///   One that throws `CancellationError` ends cancelled. A body that cancels itself, and ends without another await,
///   ends cancelled.
/// - Threading: Reading, awaiting and cancelling is legal from any thread.
public final class LoopTask<Success: Sendable>: AnyLoopTask, Awaitable, @unchecked Sendable {
  // By the invariant of `AnyFuture`: written once, by the one that ends it, before the end can be seen.
  // SAFETY: so no read finds a write begun.
  @exclusivity(unchecked) @usableFromInline var outcome: Success?

  @usableFromInline override init(loop: EventLoop, name: String?, site: CreationSite) {
    super.init(loop: loop, name: name, site: site)
  }

  /// A task that is cancelled already, and has no body.
  static func cancelled(
    on loop: EventLoop, name: String?, _ reason: CancellationReason, _ site: CreationSite
  ) -> LoopTask {
    let task = LoopTask(loop: loop, name: name, site: site)
    task.reason = reason
    task.endCancelled()
    return task
  }

  /// The value, of a task that has ended with one. See ``Awaitable/result()``.
  @inlinable
  public func result() throws -> Success {
    try throwUnlessValue()
    guard let outcome = unsafe outcome else { throw InvalidStateError(.notDone) }
    return outcome
  }

  /// Ends with the value that the body returned.
  @inlinable
  func end(returning value: Success) {
    guard beginReturning() else { return }
    unsafe outcome = value
    endReturning()
  }
}

extension EventLoop {
  /// Runs a body as a task of this loop.
  ///
  /// The body starts in the next turn, in the order of creation; it inherits the caller's isolation and task-locals.
  /// The name is for reports; without one it is `Task-N`.
  ///
  /// - Returns: The task, which need not be kept. On a loop that is closed, or being closed, it is cancelled already,
  ///   which is reported.
  @discardableResult @inlinable
  public func createTask<Success: Sendable>(
    name: String? = nil, fileID: StaticString = #fileID, line: UInt = #line,
    @_inheritActorContext(always) _ body: sending @escaping @isolated(any) () async throws -> Success
  ) -> LoopTask<Success> {
    let task = LoopTask<Success>(loop: self, name: name, site: CreationSite(fileID, line))
    guard accepts(task) else { return task }
    // Isolated to the loop from its first instruction, so the body's start is no second trip through the queue. And the
    // error is thrown on though nobody reads it there: a closure that cannot throw costs a reabstraction, about 90 ns.
    let swiftTask = confinedTask(preference) {
      guard task.begin() else { return }
      do {
        task.end(returning: try await body())
      } catch {
        task.end(throwing: error)
        throw error
      }
    }
    task.start(swiftTask)
    return task
  }

  /// The executor, by the name that inlined code may use.
  @usableFromInline nonisolated var preference: any TaskExecutor { executor }

  /// Whether tasks can be made: not on a closed loop, nor by what the closing runs, which would leave them at their
  /// first wait.
  @usableFromInline
  func accepts(_ task: AnyLoopTask) -> Bool {
    guard isClosing else { return true }
    executor.stopIfForked()
    task.reason = CancellationReason(.shutdown)
    task.endCancelled()
    reportException(
      ExceptionContext(
        .scheduledOnClosedLoop, "a task was created on a closed loop, and will not run", error: LoopClosedError(),
        taskName: task.name, creationSite: "\(task.site)"))
    return false
  }
}

/// A Swift task whose body has the isolation of the place where it stands, which `Task.init(executorPreference:)` alone
/// does not give it. (Generic, though the result is always `Void`: so the closure is made as `Task.init` takes it. A
/// conversion would be an allocation and a frame more for each task.)
@usableFromInline
func confinedTask<Success: Sendable>(
  _ preference: any TaskExecutor,
  @_inheritActorContext(always) _ body: sending @escaping @isolated(any) () async throws -> Success
) -> Task<Success, any Error> {
  Task(executorPreference: preference, operation: body)
}
