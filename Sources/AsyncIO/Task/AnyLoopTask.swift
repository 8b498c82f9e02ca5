// SPDX-License-Identifier: Apache-2.0
//
// What all tasks of loops have in common, whatever their value: name, identity, and what cancels them.

import Synchronization

/// A task of a loop, whatever its value. See ``LoopTask``.
///
/// Invariant: from `start` to its end the task is in the loop's registry, under the identity of its Swift task. While
/// the body waits in an await of ours, `awaited` is what it waits for, or `waiter` what it waits in. `due` says what is still owed of a cancel
/// request: nothing, a throw at the next await of ours, or that and the end of the task. All of that belongs to the
/// thread that holds the loop.
public class AnyLoopTask: AnyFuture, @unchecked Sendable {
  /// What a cancel request still owes.
  enum Due: UInt8 {
    /// Nothing: there was none, or it has been delivered.
    case nothing
    /// The next await of ours that suspends is interrupted. The request found the body in an await of another library,
    /// which may have heard it through Swift's flag.
    case interruption
    /// The same; and a body that returns without such an await ends cancelled all the same. The request found the body
    /// before its start, running, or about to go on.
    case cancellation
  }

  final var swiftTask: Task<Void, any Error>?
  final var awaited: AnyFuture?
  /// It does not hold the waiter, which the wait itself does.
  final unowned(unsafe) var waiter: Waiter?
  /// Under which name it waits there.
  final var waitToken = DoneCallbackToken(number: 0)
  final var due = Due.nothing
  final var hasStarted = false
  final let requests = Atomic<Int>(0)
  final let givenName: String?
  private final let number: UInt64

  @usableFromInline
  init(loop: EventLoop, name: String?, site: CreationSite) {
    givenName = name
    number = Self.lastNumber.add(1, ordering: .relaxed).newValue
    super.init(loop: loop, site: site)
  }

  private static let lastNumber = Atomic<UInt64>(0)

  /// The name that it was given, or `Task-N`, counted up in the process.
  public final var name: String { givenName ?? "Task-\(number)" }

  /// The name, and the state in a few words, for logs.
  public override var description: String { "LoopTask(\(name), \(stateDescription))" }

  // A task ends on its loop only, so nobody writes it while this reads.
  final override var pendingReason: CancellationReason? { reason }

  final override var reportedName: String? { name }

  final override var subjectOfWait: String { "task \(name)" }

  /// The order of creation.
  final var creationNumber: UInt64 { number }

  /// Asks the task to end: see ``LoopTask``. Away from the loop it is asked in one of the loop's next turns.
  @discardableResult
  package final override func cancel(_ reason: CancellationReason) -> Bool {
    if loop.executor.isHeldByThisThread { return request(reason) }
    return !isDone && loop.executor.post(.callback { _ = self.request(reason) })
  }

  final override func pass(_ reason: CancellationReason, to next: inout [AnyFuture]) -> Bool {
    if isDone { return false }
    next.append(self)
    return true
  }

  // MARK: Life

  /// Says that the body is about to run; called by the task's own first job.
  ///
  /// - Returns: `false` when it was cancelled before, and must not run.
  @usableFromInline
  final func begin() -> Bool {
    unsafe loop.executor.current = self
    if due != .nothing {
      endCancelled()
      return false
    }
    hasStarted = true
    return true
  }

  /// Claims the right to end with a value; a request that is due ends it cancelled instead.
  @usableFromInline
  final func beginReturning() -> Bool {
    if due == .cancellation {
      endCancelled()
      return false
    }
    return beginEnding()
  }

  /// Ends with the value that was written since `beginReturning`.
  @usableFromInline
  final func endReturning() { leave(.value) }

  /// Ends with the error that the body threw.
  @usableFromInline
  final func end(throwing error: any Error) {
    if error is CancellationError { return endCancelled() }
    guard beginEnding() else { return }
    failure = error
    leave(.error)
  }

  /// Ends cancelled: by the body's own error, or because a request found no await to interrupt.
  final func endCancelled() {
    guard beginEnding() else { return }
    if reason == nil { reason = CancellationReason(.body) }
    leave(.cancelled)
  }

  /// The last step: out of the registry, and all are told.
  final func leave(_ end: State) {
    let executor = loop.executor
    executor.forget(self)
    swiftTask = nil
    self.end(end)
  }
}
