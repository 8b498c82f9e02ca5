// SPDX-License-Identifier: Apache-2.0
//
// A block of code with a time limit.

import Synchronization

/// Runs a body, no longer than a limit. asyncio's `timeout`.
///
/// ```swift
/// let page = try await withTimeout(.seconds(5)) {
///   let connection = try await connect()
///   return try await connection.page()
/// }
/// ```
///
/// The body runs in a task of its own, in the caller's isolation: it may use what the caller may use. When the limit
/// passes, that task is cancelled, with a reason of the kind `deadline`, and its end is waited for. So everything that
/// the body awaits hears it, in other libraries too; and the caller's task is not cancelled at all: what it awaits
/// afterwards works, in other libraries too. If the body lets the `CancellationError` pass, ``TimeoutError`` is thrown.
/// If it returns a value, that is returned; if it throws an error of its own, that is thrown.
///
/// - Parameters:
///   - limit: `nil`, and what is beyond 292 years: no limit. Zero or negative: the body is cancelled in its first
///     await.
///   - fileID: With `line`, where it was called, for reports and tests that say what is waited for; leave it to its default.
///   - line: As `fileID`.
///   - body: It starts in the next turn.
/// - Cancellation: Cancels the body, and waits for its end. A cancel of the caller wins over the limit:
///   `CancellationError` is thrown, whichever came first, unless the body catches it and returns.
/// - Threading: On a loop, in a task of it or in any Swift task.
/// - Throws: ``TimeoutError``; what the body throws; ``NoRunningLoopError`` when no loop runs on this thread.
@discardableResult
public func withTimeout<Success>(
  _ limit: Duration?, fileID: StaticString = #fileID, line: UInt = #line,
  _ body: @escaping () async throws -> Success
) async throws -> Success {
  try await withTimeout(limit, fileID: fileID, line: line) { _ in try await body() }
}

/// Runs a body, no longer than a limit that it may move; see ``withTimeout(_:fileID:line:_:)-(_,_,_,()->Success)`` for all else.
@discardableResult
public func withTimeout<Success>(
  _ limit: Duration?, fileID: StaticString = #fileID, line: UInt = #line,
  _ body: @escaping (TimeLimit) async throws -> Success
) async throws -> Success {
  let now = try EventLoop.running.now
  return try await withTimeout(until: limit.map(now.advanced(by:)), fileID: fileID, line: line, body)
}

/// Runs a body until a point on the loop's clock at the latest; `nil`: no limit. See
/// ``withTimeout(_:fileID:line:_:)-(_,_,_,()->Success)``.
@discardableResult
public func withTimeout<Success>(
  until deadline: EventLoop.Instant?, fileID: StaticString = #fileID, line: UInt = #line,
  _ body: @escaping () async throws -> Success
) async throws -> Success {
  try await withTimeout(until: deadline, fileID: fileID, line: line) { _ in try await body() }
}

/// Runs a body until a point on the loop's clock at the latest, which it may move; `nil`: no limit. See
/// ``withTimeout(_:fileID:line:_:)-(_,_,_,()->Success)``.
@discardableResult
public func withTimeout<Success>(
  until deadline: EventLoop.Instant?, fileID: StaticString = #fileID, line: UInt = #line,
  _ body: @escaping (TimeLimit) async throws -> Success
) async throws -> Success {
  let site = CreationSite(fileID, line)
  let wait = BlockWait(on: try EventLoop.running, site)
  let task = try ownTask(isolation: #isolation, site: site) { try await body(TimeLimit(wait: wait)) }
  wait.begin([task], nil)
  wait.move(to: deadline)
  try await wait.waitUntilDone()
  return try wait.outcome { try task.result().value }
}

/// The limit of a block, for its body: asyncio's `Timeout`.
///
/// ```swift
/// try await withTimeout(.seconds(5)) { limit in
///   for try await message in messages {
///     limit.reschedule(.seconds(5))
///   }
/// }
/// ```
///
/// - Threading: Any thread. Away from the loop a limit is moved in one of the loop's next turns.
public struct TimeLimit: Sendable {
  let wait: BlockWait

  /// When it passes, on the loop's clock, or has passed; `nil`: never.
  public var deadline: EventLoop.Instant? { wait.deadline }

  /// Whether it has passed while the body ran, and the body has been cancelled for it; also after the block.
  public var isExpired: Bool { wait.isExpired.load(ordering: .acquiring) }

  /// Moves it: to so long from now; `nil`: no limit. Without effect when it has passed, or the body has ended.
  public func reschedule(_ limit: Duration?) {
    reschedule(until: limit.map(wait.loop.now.advanced(by:)))
  }

  /// Moves it: to a point on the loop's clock; one that has passed means the next turn; `nil`: no limit. Without effect
  /// when it has passed, or the body has ended.
  public func reschedule(until deadline: EventLoop.Instant?) {
    _ = wait.loop.executor.onLoop { [wait] in wait.move(to: deadline) }
  }
}

/// The wait for a block's own task, which has always ended when it is over.
final class BlockWait: MemberWait, @unchecked Sendable {
  fileprivate let isExpired = Atomic(false)

  override var subjectOfWait: String { "the body of withTimeout called at \(site)" }

  private let nanoseconds = Atomic(Deadline.never.nanoseconds)

  fileprivate var deadline: EventLoop.Instant? {
    let deadline = Deadline(nanoseconds: nanoseconds.load(ordering: .relaxed))
    return deadline == .never ? nil : EventLoop.Instant(deadline)
  }

  /// The loop's thread.
  fileprivate func move(to deadline: EventLoop.Instant?) {
    if isDone || isExpired.load(ordering: .relaxed) { return }
    nanoseconds.store((deadline?.deadline ?? .never).nanoseconds, ordering: .relaxed)
    arm(deadline)
  }

  override func limitPassed() {
    for member in members where member.cancel(CancellationReason(.deadline)) {
      isExpired.store(true, ordering: .releasing)
    }
  }

  override func pass(_ reason: CancellationReason, to next: inout [AnyFuture]) -> Bool {
    passOn(reason, to: &next)
  }

  /// What the caller gets. A cancel of the caller wins over the limit.
  fileprivate func outcome<T>(_ result: () throws -> T) throws -> T {
    do {
      return try result()
    } catch is CancellationError where isExpired.load(ordering: .acquiring) && !isAsked {
      throw TimeoutError()
    }
  }
}
