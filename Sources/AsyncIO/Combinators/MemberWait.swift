// SPDX-License-Identifier: Apache-2.0
//
// A wait for some futures and tasks that are known when it begins, with a time limit or without.

/// A wait for members.
///
/// The members tell it of their ends, there and then. When it is over it leaves those that have not ended: they do not
/// know of it any more.
///
/// Invariant: between `begin` and the end, each member that has not ended has this as an observer, under the token
/// `firstToken` + its index.
class MemberWait: CombinedWait, @unchecked Sendable {
  private(set) final var members: [AnyFuture] = []
  private final var firstToken: UInt64 = 0
  private final var attachedCount = 0
  private final var timer: TimerHandle?
  /// How many members have not ended, each counted as often as it was given.
  private(set) final var pendingCount = 0

  // MARK: What subclasses say

  /// Takes note of the end of a member, which is counted already. Calls `finish` when the wait is over.
  func memberEnded(_ member: AnyFuture) {
    if pendingCount == 0 { finish() }
  }

  /// Takes note of the limit.
  func limitPassed() { finish() }

  final override var others: [AnyFuture] { members }

  // MARK: Life

  /// Waits for members until it is over.
  ///
  /// - Throws: `CancellationError` when the caller was cancelled, also if it was over by then; ``WrongLoopError`` when
  ///   the members, or the task that waits, are of several loops; ``AwaitsItselfError`` when the task that waits is a
  ///   member.
  final func run(_ members: [AnyFuture], timeout: Duration? = nil) async throws {
    try start(members, timeout: timeout)
    try await waitUntilDone()
    try throwUnlessValue()
  }

  /// Begins on the loop, in this turn or a later one.
  final func start(_ members: [AnyFuture], timeout: Duration? = nil) throws {
    try check(members)
    if members.allSatisfy(\.isDone) {
      // Nobody is waited for: no turn is given up, and a closed loop is no hindrance.
      take(members)
      for member in members where !isDone { note(member) }
    } else {
      _ = loop.executor.onLoop { [self] in begin(members, timeout) }
    }
  }

  /// Throws where the caller may not wait for these.
  private final func check(_ members: [AnyFuture]) throws {
    let current = AnyLoopTask.current
    if let current, current.loop !== loop { throw WrongLoopError() }
    for member in members {
      guard member.loop === loop else { throw WrongLoopError() }
      if member === current { throw AwaitsItselfError() }
    }
  }

  /// Attaches itself to the members, and arms the timer. The loop's thread.
  final func begin(_ members: [AnyFuture], _ timeout: Duration?) {
    take(members)
    firstToken = loop.executor.makeTokens(members.count).number
    for member in members {
      // One of those before may have been enough.
      if isDone { return }
      attachedCount += 1
      if member.isDone {
        // Another thread may have ended it, and those that were here before may not have been told yet.
        member.tellObservers()
        note(member)
      } else {
        member.observe(by: self, DoneCallbackToken(number: firstToken + UInt64(attachedCount - 1)))
      }
    }
    if !isDone, let timeout { arm(loop.now.advanced(by: timeout)) }
  }

  private final func take(_ members: [AnyFuture]) {
    self.members = members
    pendingCount = members.count
  }

  /// Sets the limit, in the place of the one before; `nil`: none. The loop's thread.
  final func arm(_ deadline: EventLoop.Instant?) {
    loop.assumeIsolated { loop in
      timer?.cancel()
      timer = nil
      guard let deadline else { return }
      timer = loop.callAt(deadline) { self.limitPassed() }
    }
  }

  final override func noteEnd(_ token: DoneCallbackToken) {
    note(members[Int(token.number - firstToken)])
  }

  private final func note(_ member: AnyFuture) {
    pendingCount -= 1
    memberEnded(member)
  }

  final override func leave() {
    if pendingCount > 0 {
      for index in 0..<attachedCount where !members[index].isDone {
        members[index].stopObserving(DoneCallbackToken(number: firstToken + UInt64(index)))
      }
    }
    if timer != nil { arm(nil) }
  }
}
