// SPDX-License-Identifier: Apache-2.0
//
// Waiting for some of many.

/// When ``wait(_:timeout:returnWhen:fileID:line:)`` returns.
public enum WaitCondition: Sendable, Hashable {
  /// When all have ended. asyncio's `ALL_COMPLETED`.
  case allCompleted
  /// When one has ended. asyncio's `FIRST_COMPLETED`.
  case firstCompleted
  /// When one has failed, or all have ended; being cancelled is no failure. asyncio's `FIRST_EXCEPTION`.
  case firstError
}

/// Waits for some of many futures and tasks, and says which have ended. asyncio's `wait`.
///
/// ```swift
/// let (done, pending) = try await wait(tasks, timeout: .seconds(1), returnWhen: .firstCompleted)
/// ```
///
/// No value is read, no error is thrown, and nobody is cancelled. `done` holds all that have ended when the caller goes
/// on. A set has no order: where that matters, a seed that is to be run again above all, go through `tasks`, and ask the
/// sets.
///
/// - Parameters:
///   - members: One or more, of one loop; one that is given twice counts once. For several types, an array of
///     ``AnyFuture``.
///   - timeout: How long it waits at the most; that it passes is no error. Zero or negative: a turn of the loop. `nil`,
///     and what is beyond 292 years: as long as it takes.
///   - condition: What it waits for.
///   - fileID: With `line`, where it was called, for reports and tests that say what is waited for; leave it to its default.
///   - line: As `fileID`.
/// - Cancellation: Throws `CancellationError` at once; the members go on, and do not know of the caller any more.
/// - Threading: Any thread, as with ``Awaitable/value``.
/// - Throws: ``InvalidArgumentError`` when there are no members; ``WrongLoopError`` when they are of several loops;
///   ``AwaitsItselfError`` when the caller is one of them.
/// - Complexity: O(n).
public func wait<Member: AnyFuture>(
  _ members: some Sequence<Member>, timeout: Duration? = nil, returnWhen condition: WaitCondition = .allCompleted,
  fileID: StaticString = #fileID, line: UInt = #line
) async throws -> (done: Set<Member>, pending: Set<Member>) {
  var all: Set<Member> = []
  // In their order, and not in that of the hashes, which is another one in each run.
  let members = members.filter { all.insert($0).inserted }
  guard let loop = members.first?.loop else {
    throw InvalidArgumentError("wait: there are no members; give at least one future or task")
  }
  try await ConditionWait(on: loop, condition, CreationSite(fileID, line)).run(members, timeout: timeout)
  let done = all.filter(\.isDone)
  return (done, all.subtracting(done))
}

private final class ConditionWait: MemberWait, @unchecked Sendable {
  private let condition: WaitCondition

  init(on loop: EventLoop, _ condition: WaitCondition, _ site: CreationSite) {
    self.condition = condition
    super.init(on: loop, site)
  }

  override var caller: String { "wait" }

  override func memberEnded(_ member: AnyFuture) {
    let isEnough =
      switch condition {
      case .allCompleted: false
      case .firstCompleted: true
      case .firstError: member.hasFailed
      }
    if isEnough || pendingCount == 0 { finish() }
  }
}
