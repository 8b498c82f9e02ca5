// SPDX-License-Identifier: Apache-2.0
//
// An await whose cancel stops at it.

/// Waits for a future or a task, and keeps a cancel of the caller from it. asyncio's `shield`.
///
/// ```swift
/// let order = loop.createTask { try await book() }
/// try await shield(order)     // a cancel ends this await, and the order goes on
/// ```
///
/// What is awaited ends as ever when somebody else cancels it, or when it fails. Its error is reported when nobody
/// reads it, also after the caller has left.
///
/// - Cancellation: Throws `CancellationError` at once. What was awaited goes on, and does not know of the caller any
///   more.
/// - Threading: Any thread, as with ``Awaitable/value``.
/// - Throws: What `inner.value` throws.
@discardableResult
public func shield<A: Awaitable>(
  _ inner: A, fileID: StaticString = #fileID, line: UInt = #line
) async throws -> A.Success {
  if !inner.isDone { try await ShieldWait(on: inner.loop, CreationSite(fileID, line)).run([inner]) }
  return try inner.result()
}

/// Runs a body in a task of its own, waits for it, and keeps a cancel of the caller from it.
///
/// The way for cleanup that a second cancel must not interrupt, and for cleanup that awaits other libraries in a task
/// that was cancelled: Swift's flag, which cannot be taken back there, is not set in the body's own task.
///
/// ```swift
/// } catch {
///   try await shield { try await Task.sleep(for: .milliseconds(1)) }
///   throw error
/// }
/// ```
///
/// The body starts in the next turn, in the caller's isolation, and may use what the caller may use.
///
/// - Cancellation: Throws `CancellationError` at once; the body goes on, to its end. When the caller is a task of the
///   loop that was cancelled already, and that request has been delivered, the body is waited for. In a cancelled Swift
///   task nothing can be: there, `Task { … }.value` waits for cleanup.
/// - Throws: What the body throws; ``NoRunningLoopError`` when no loop runs on this thread.
@discardableResult
public func shield<Success>(
  fileID: StaticString = #fileID, line: UInt = #line, _ body: @escaping () async throws -> Success
) async throws -> Success {
  let task = try ownTask(isolation: #isolation, site: CreationSite(fileID, line), body)
  return try await shield(task, fileID: fileID, line: line).value
}

private final class ShieldWait: MemberWait, @unchecked Sendable {
  override var caller: String { "shield" }
}
