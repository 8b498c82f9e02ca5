// SPDX-License-Identifier: Apache-2.0
//
// A group of tasks that live and fail together.

/// Runs a body with a group, and waits for all tasks of the group. asyncio's `TaskGroup`.
///
/// ```swift
/// try await withLoopTaskGroup { group in
///   let page = group.createTask { try await load() }
///   group.createTask { try await log() }
///   print(try await page.value)
/// }
/// ```
///
/// When the body or one of the tasks fails, the others are cancelled, the body too, and waited for; then all errors are
/// thrown in one ``LoopTaskGroupError``. A task that ends cancelled is no failure. The body runs in a task of its own,
/// in the caller's isolation: it may use what the caller may use.
///
/// Swift's own `withThrowingTaskGroup` runs on the loop, too, and is the first choice. This one is for children that
/// are ``LoopTask``s, with names, values to be read at any time, and cleanup that may await; and for all errors.
///
/// - Parameters:
///   - fileID: With `line`, where it was called, for reports and tests that say what is waited for; leave it to its default.
///   - line: As `fileID`.
///   - body: It starts in the next turn. The group is good until the function returns.
/// - Cancellation: Cancels the body; when that ends cancelled, or has ended before, the tasks, too. Waits until all
///   have ended, and throws `CancellationError`, unless the body catches it and returns. If something failed meanwhile, the errors are thrown, and the next
///   await throws `CancellationError`.
/// - Threading: On a loop, in a task of it or in any Swift task.
/// - Throws: ``LoopTaskGroupError``; `CancellationError` when the body ended cancelled; ``NoRunningLoopError``.
@discardableResult
public func withLoopTaskGroup<Success>(
  fileID: StaticString = #fileID, line: UInt = #line, _ body: @escaping (LoopTaskGroup) async throws -> Success
) async throws -> Success {
  let site = CreationSite(fileID, line)
  let wait = GroupWait(on: try EventLoop.running, site)
  let task = try ownTask(isolation: #isolation, site: site) { try await body(LoopTaskGroup(wait: wait)) }
  wait.begin(task)
  do {
    try await wait.waitUntilDone()
  } catch is CancellationError where !wait.errors.isEmpty {
    // The request came too late for the group, and is still owed.
    AnyLoopTask.current?.oweAgain()
  }
  return try wait.outcome { try task.result().value }
}

/// The errors of a group of tasks, in the order in which they came: asyncio's `ExceptionGroup`.
public struct LoopTaskGroupError: Error, CustomStringConvertible {
  /// One or more; that of an inner group is again a ``LoopTaskGroupError``.
  public let errors: [any Error]

  /// The number, and the errors.
  public var description: String {
    "\(errors.count) of a task group failed: \(errors.map { "\($0)" }.joined(separator: "; "))"
  }
}

/// A group of tasks, within ``withLoopTaskGroup(fileID:line:_:)``.
public final class LoopTaskGroup {
  private let wait: GroupWait

  fileprivate init(wait: GroupWait) {
    self.wait = wait
  }

  /// Whether the group takes no more tasks: it was cancelled, something in it has failed, or it has ended.
  public var isClosed: Bool { wait.isClosed }

  /// Runs a body as a task of the group. It starts in the next turn, in the caller's isolation. The name is for
  /// reports; without one it is `Task-N`.
  ///
  /// - Returns: The task, which need not be kept. In a group that is closed, the task is cancelled already, and the
  ///   body never runs.
  /// - Precondition: The loop runs on this thread.
  @discardableResult
  public func createTask<Success: Sendable>(
    name: String? = nil, isolation: isolated (any Actor)? = #isolation, fileID: StaticString = #fileID,
    line: UInt = #line, _ body: @escaping () async throws -> Success
  ) -> LoopTask<Success> {
    if wait.isClosed {
      return .cancelled(
        on: wait.loop, name: name, CancellationReason(.parent, message: "its task group is closed"),
        CreationSite(fileID, line))
    }
    let task = ownTask(
      on: wait.loop, name: name, isolation: isolation, site: CreationSite(fileID, line), body
    ) { $0 }
    wait.add(task)
    return task
  }

  /// Cancels all tasks of the group, and the body. That is no failure: a body without a value need not catch it.
  ///
  /// - Precondition: The loop runs on this thread.
  public func cancel(_ message: String? = nil, fileID: StaticString = #fileID, line: UInt = #line) {
    wait.cancelByCall(CancellationReason(.call, message: message, site: "\(fileID):\(line)"))
  }
}

/// The wait for a group. It is over when the body and all children have ended.
private final class GroupWait: CombinedWait, @unchecked Sendable {
  private var body: AnyLoopTask?
  /// Those that have not ended, the body among them, by the number of their token.
  private var children: [UInt64: AnyLoopTask] = [:]
  private(set) var errors: [any Error] = []
  private(set) var isClosed = false
  private var isCancelledByCall = false
  /// Whether the caller was asked to end when the body had ended.
  private var isAskedLate = false

  override var subjectOfWait: String {
    "the task group called at \(site): \(children.count) have not ended"
  }

  override var others: [AnyFuture] { children.sorted { $0.key < $1.key }.map(\.value) }

  func begin(_ body: AnyLoopTask) {
    self.body = body
    add(body)
  }

  func add(_ child: AnyLoopTask) {
    let token = loop.executor.makeTokens(1)
    children[token.number] = child
    child.observe(by: self, token)
  }

  override func noteEnd(_ token: DoneCallbackToken) {
    guard let child = children.removeValue(forKey: token.number) else { return }
    // Reading the error is what keeps it from being reported.
    if let error = try? child.error() {
      errors.append(error)
      closeSoon(CancellationReason(.parent, message: "another one in the task group has failed"))
    } else if child === body, child.isCancelled {
      closeSoon(child.cancellationReason ?? CancellationReason(.parent))
    }
    if children.isEmpty {
      isClosed = true
      finish()
    }
  }

  /// Takes no more children, and cancels those that there are; in the next turn, so that what fails in this one does.
  private func closeSoon(_ reason: CancellationReason) {
    guard !isClosed else { return }
    isClosed = true
    abortSoon(reason)
  }

  func cancelByCall(_ reason: CancellationReason) {
    guard !isClosed else { return }
    isClosed = true
    isCancelledByCall = true
    abort(reason)
  }

  override func pass(_ reason: CancellationReason, to next: inout [AnyFuture]) -> Bool {
    if isDone { return false }
    isAsked = true
    if let body, !body.isDone {
      ask([body], reason, to: &next)
    } else {
      isAskedLate = true
      isClosed = true
      ask(others, reason, to: &next)
    }
    return true
  }

  /// What the caller gets.
  func outcome<T>(_ result: () throws -> T) throws -> T {
    guard errors.isEmpty else {
      if isAsked { AnyLoopTask.current?.oweAgain() }
      throw LoopTaskGroupError(errors: errors)
    }
    if isAskedLate { throw CancellationError() }
    do {
      return try result()
    } catch is CancellationError where isCancelledByCall && !isAsked {
      // A body without a value has nothing to give that it has not got.
      if let nothing = () as? T { return nothing }
      throw CancellationError()
    }
  }
}
