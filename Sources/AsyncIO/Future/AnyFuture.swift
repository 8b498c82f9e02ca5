// SPDX-License-Identifier: Apache-2.0
//
// What futures and tasks have in common, whatever their value: the state machine, and who is told of the end.

import Synchronization

/// Something that ends once: with a value, an error, or cancelled. A ``Future`` or a ``LoopTask``.
///
/// It belongs to one loop. Reading its state, and cancelling it, is legal from any thread; its callbacks run on its
/// loop.
///
/// Invariant, and the reason for `@unchecked Sendable`: `state` moves from pending over ending to one of the three
/// ends, once. The thread that moved it to ending, and no other, writes the outcome (`failure`, `reason`, a subclass's
/// value) before it moves it to the end; whoever has read an end may read the outcome, which does not change any more.
/// All other stored properties belong to the thread that holds the loop.
public class AnyFuture: @unchecked Sendable, CustomStringConvertible {
  enum State: UInt8, AtomicRepresentable {
    case pending, ending, value, error, cancelled
  }

  /// The loop that it belongs to.
  public final let loop: EventLoop

  final let state = Atomic(State.pending)
  private final let isRetrieved = Atomic(false)
  /// Whether it is among the executor's `outsiders`. (Of one byte, as its neighbours: programs have many futures.)
  final var isAwaitedFromOutside = false
  final var failure: (any Error)?
  final var reason: CancellationReason?
  // SAFETY: its methods call nobody back, so no access finds another one begun. (The check costs 10 ns, twice an
  // await.)
  @exclusivity(unchecked) final var observers = Observers()
  final let site: CreationSite

  @usableFromInline
  init(loop: EventLoop, site: CreationSite) {
    self.loop = loop
    self.site = site
  }

  /// What somebody waits for who awaits it, in a few words. The loop's thread.
  var subjectOfWait: String { "a future made at \(site)" }

  // MARK: Reading

  /// Whether it has ended, in any of the three ways. Any thread.
  public final var isDone: Bool { state.load(ordering: .acquiring).rawValue >= State.value.rawValue }

  /// Whether it ended cancelled. Any thread.
  public final var isCancelled: Bool { state.load(ordering: .acquiring) == .cancelled }

  /// Whether it ended with a value.
  final var hasValue: Bool { state.load(ordering: .acquiring) == .value }

  /// Whether it ended with an error, and not by a cancel.
  final var hasFailed: Bool { state.load(ordering: .acquiring) == .error }

  /// Why it was cancelled; `nil` unless it ended so. For a task whose body is dealing with a request, why that came.
  ///
  /// - Threading: Any thread; for a task that has not ended, on its loop only, elsewhere `nil`.
  public final var cancellationReason: CancellationReason? {
    if isCancelled { return reason }
    return !isDone && loop.executor.isHeldByThisThread ? pendingReason : nil
  }

  /// The reason of a request that has not ended it. A future has none: what asks it, ends it.
  var pendingReason: CancellationReason? { nil }

  /// The error with which it ended; `nil` when it ended with a value. Reading it counts as having been told.
  ///
  /// - Threading: Any thread.
  /// - Throws: ``InvalidStateError`` while it is pending, `CancellationError` when it was cancelled.
  public final func error() throws -> (any Error)? {
    switch state.load(ordering: .acquiring) {
    case .pending, .ending: throw InvalidStateError(.notDone)
    case .value: return nil
    case .cancelled: throw CancellationError()
    case .error:
      isRetrieved.store(true, ordering: .relaxed)
      return failure
    }
  }

  /// Throws what stands in the place of a value. For `result()` of the subclasses.
  @usableFromInline
  final func throwUnlessValue() throws {
    if state.load(ordering: .acquiring) == .value { return }
    if let error = try error() { throw error }
  }

  /// The state in a few words, for logs.
  public var description: String { "Future(\(stateDescription))" }

  final var stateDescription: String {
    switch state.load(ordering: .acquiring) {
    case .pending, .ending: "pending, made at \(site)"
    case .value: "done"
    case .error: "failed: \(type(of: failure))"
    case .cancelled: "\(reason.map(String.init(describing:)) ?? "cancelled")"
    }
  }

  // MARK: Ending

  /// Cancels it.
  ///
  /// A future ends cancelled, there and then. A task is asked: see ``LoopTask``. The message is for whoever reads
  /// ``cancellationReason``, which has the place of this call, too.
  ///
  /// - Threading: Any thread. Away from the loop it takes effect in one of the loop's next turns.
  /// - Returns: `false` when it had ended already.
  @discardableResult
  public final func cancel(
    _ message: String? = nil, fileID: StaticString = #fileID, line: UInt = #line
  ) -> Bool {
    cancel(CancellationReason(.call, message: message, site: "\(fileID):\(line)"))
  }

  /// Cancels it for a reason. A task overrides what this does.
  @discardableResult
  package func cancel(_ reason: CancellationReason) -> Bool {
    guard beginEnding() else { return false }
    self.reason = reason
    end(.cancelled)
    return true
  }

  /// Hears a request that came to a task which awaits it. The loop's thread.
  ///
  /// - Parameter next: Gets the tasks that are to be asked in its stead, since a chain of them may be longer than the
  ///   stack.
  /// - Returns: `false` when it has ended already.
  func pass(_ reason: CancellationReason, to next: inout [AnyFuture]) -> Bool { cancel(reason) }

  /// Counts its error as read, also one that has not come yet.
  final func countAsRead() { isRetrieved.store(true, ordering: .relaxed) }

  /// Claims the right to write the outcome.
  @usableFromInline
  final func beginEnding() -> Bool {
    state.compareExchange(expected: .pending, desired: .ending, ordering: .acquiringAndReleasing).exchanged
  }

  /// Publishes the outcome, and sees to it that all who wait are told, on the loop.
  final func end(_ end: State) {
    state.store(end, ordering: .releasing)
    if loop.executor.isHeldByThisThread {
      tellObservers()
    } else {
      // On a closed loop nobody waits any more: closing has told them.
      _ = loop.executor.post(.callback { self.tellObservers() })
    }
  }

  deinit {
    guard state.load(ordering: .acquiring) == .error, !isRetrieved.load(ordering: .relaxed) else { return }
    loop.reportLater(
      ExceptionContext(
        .errorNeverRetrieved, "it ended with an error that nobody read", error: failure, taskName: reportedName,
        creationSite: "\(site)"))
  }

  /// Publishes the value that was written since `beginEnding`.
  @usableFromInline
  final func endWithValue() { end(.value) }

  /// The name of a task, for reports.
  var reportedName: String? { nil }
}

extension AnyFuture: Hashable {
  /// Whether they are one and the same.
  public static func == (a: AnyFuture, b: AnyFuture) -> Bool { a === b }

  /// By identity.
  public final func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// Where something was made.
@usableFromInline
package struct CreationSite: Sendable, CustomStringConvertible {
  package let fileID: StaticString
  package let line: UInt32

  @usableFromInline
  package init(_ fileID: StaticString, _ line: UInt) {
    self.fileID = fileID
    self.line = UInt32(truncatingIfNeeded: line)
  }

  @usableFromInline package var description: String { "\(fileID):\(line)" }
}

/// A future or task was used in a state that does not allow it.
public struct InvalidStateError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Which state it was.
  public enum State: Sendable, Hashable {
    /// It has no result yet.
    case notDone
    /// It has a result, which stays as it is.
    case alreadyDone
  }

  /// Which state it was.
  public let state: State

  @usableFromInline
  package init(_ state: State) {
    self.state = state
  }

  /// The fact.
  public var description: String {
    switch state {
    case .notDone: "the result is not set yet; await it, or look at isDone first"
    case .alreadyDone: "it has ended already; its result stays as it is"
    }
  }
}
