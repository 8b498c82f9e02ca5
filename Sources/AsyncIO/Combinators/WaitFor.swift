// SPDX-License-Identifier: Apache-2.0
//
// An await with a time limit.

import Synchronization

/// Waits for a future or a task, no longer than a limit. asyncio's `wait_for`.
///
/// When the limit passes, what is awaited is cancelled, with a reason of the kind `deadline`, and its end is waited
/// for. If it ends cancelled, ``TimeoutError`` is thrown. If it catches the cancel and has a value all the same, that
/// is returned; if it fails with an error of its own, that is thrown. A value that is there when the limit passes is
/// not lost.
///
/// ```swift
/// let answer = try await waitFor(request, timeout: .seconds(5))
/// ```
///
/// For a body of code there is ``withTimeout(_:fileID:line:_:)-(_,_,_,()->Success)``.
///
/// - Parameters:
///   - awaitable: A future or a task.
///   - timeout: `nil`, and what is beyond 292 years: no limit. Zero or negative: what has not ended is cancelled at
///     once. (For seconds that came from outside, see `Duration(clampingSeconds:)`.)
/// - Cancellation: Cancels what is awaited, and waits for its end. When the limit has passed already, in a task of
///   the loop: throws at once, and does not wait any longer.
/// - Threading: Any thread, as with ``Awaitable/value``.
/// - Throws: ``TimeoutError``, or what `awaitable.value` throws.
/// - Complexity: A timer is armed and cancelled; there is no task.
@discardableResult @inlinable
public func waitFor<A: Awaitable>(_ awaitable: A, timeout: Duration?) async throws -> A.Success {
  guard let timeout else { return try await awaitable.value }
  if awaitable.isDone { return try awaitable.result() }
  let limit = try AwaitLimit(of: awaitable, timeout)
  defer { limit.end() }
  try await limit.awaited.waitUntilDone(limit)
  try limit.throwIfPassed()
  return try awaitable.result()
}

/// The limit of one await. It stands beside it, and not in between: an await that ends in time costs what it costs
/// without a limit, and a timer.
///
/// `timer` and `detour` belong to the thread that holds the loop. A caller on another thread has no detour: it waits
/// for the end.
@usableFromInline
final class AwaitLimit: WaitNote, @unchecked Sendable {
  private let future: AnyFuture
  private let hasPassed = Atomic(false)
  private let isOnLoop: Bool
  // Without a check of exclusivity, 10 to 20 ns each: nothing is called back while it is touched.
  @exclusivity(unchecked) private var timer: TimerID?
  /// What the caller awaits when the limit has passed, and the future takes its time to end: it can be left.
  private var detour: AnyFuture?

  /// What the caller is to await.
  @usableFromInline var awaited: AnyFuture { isOnLoop ? detour ?? future : future }

  /// Arms the timer.
  @usableFromInline
  init(of future: AnyFuture, _ timeout: Duration) throws {
    let executor = future.loop.executor
    self.future = future
    isOnLoop = executor.isHeldByThisThread
    super.init()
    if isOnLoop {
      begin(timeout)
    } else {
      if let current = AnyLoopTask.current, current.loop !== future.loop { throw WrongLoopError() }
      _ = executor.onLoop { self.begin(timeout) }
    }
  }

  private func begin(_ timeout: Duration) {
    // At once: in the next turn, a body that has not started would have.
    if timeout <= .zero { return pass() }
    let deadline = future.loop.timeSource.now.advanced(by: timeout)
    unsafe timer = future.loop.executor.timers.arm(at: deadline) { self.pass() }
  }

  @usableFromInline
  func end() {
    let executor = future.loop.executor
    if executor.isHeldByThisThread { return disarm() }
    _ = executor.onLoop { self.disarm() }
  }

  private func disarm() {
    if let timer = unsafe timer { _ = future.loop.executor.timers.cancel(timer) }
  }

  private func pass() {
    // First, since what is cancelled may end there and then, and its caller go on on another thread.
    hasPassed.store(true, ordering: .releasing)
    if !future.cancel(CancellationReason(.deadline)) { hasPassed.store(false, ordering: .releasing) }
    if !isOnLoop || future.isDone { return }
    let detour = Detour(on: future.loop, future.site)
    detour.begin([future], nil)
    self.detour = detour
    if let task, task.awaited === future { task.awaitInstead(detour) }
  }

  /// A cancel of the caller wins over the limit.
  @usableFromInline
  func throwIfPassed() throws {
    guard hasPassed.load(ordering: .acquiring) else { return }
    if isOnLoop, detour?.isCancelled == true { throw CancellationError() }
    if future.isCancelled, !isAsked { throw TimeoutError() }
  }
}

/// What the caller awaits when the limit has passed.
private final class Detour: MemberWait, @unchecked Sendable {
  override var subjectOfWait: String { members.first?.subjectOfWait ?? super.subjectOfWait }
}
