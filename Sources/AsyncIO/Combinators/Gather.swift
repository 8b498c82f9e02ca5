// SPDX-License-Identifier: Apache-2.0
//
// All values of some awaits, in the order of the arguments.

/// What ``gather(_:onError:fileID:line:)-(A,_,_,_)`` does with the others when one has failed.
public enum GatherErrorRule: Sendable, Hashable {
  /// The error is thrown at once, and the others go on: asyncio's `gather`.
  case othersRunOn
  /// The others are cancelled and waited for; then the error is thrown.
  case cancelOthers
}

/// Waits for futures and tasks of any types, and returns their values, in the order of the arguments. asyncio's
/// `gather`.
///
/// ```swift
/// let (page, count) = try await gather(loop.createTask { try await load() }, counted)
/// ```
///
/// The first error is thrown at once. The others go on, unless `onError` says that they are cancelled first; their
/// errors count as read. One that somebody else cancels counts as failed with `CancellationError`: the caller itself is
/// not cancelled.
///
/// - Parameters:
///   - awaitables: Futures and tasks of one loop; one that is given twice has its value in both places.
///   - onError: What becomes of the others when one has failed.
///   - fileID: With `line`, where it was called, for reports and tests that say what is waited for; leave it to its default.
///   - line: As `fileID`.
/// - Cancellation: Cancels all, waits until all have ended, and throws `CancellationError`, whatever their outcome.
/// - Threading: Any thread, as with ``Awaitable/value``.
/// - Throws: The first error; ``WrongLoopError`` when they are of several loops, or the caller is a task of another
///   one.
/// - Complexity: O(n).
@discardableResult
public func gather<each A: Awaitable>(
  _ awaitables: repeat each A, onError: GatherErrorRule = .othersRunOn, fileID: StaticString = #fileID,
  line: UInt = #line
) async throws -> (repeat (each A).Success) {
  var members: [AnyFuture] = []
  for awaitable in repeat each awaitables { members.append(awaitable) }
  try await awaitValues(of: members, onError, CreationSite(fileID, line))
  return (repeat try (each awaitables).result())
}

/// Waits for futures and tasks of one type, and returns their values, in their order; of none, at once. See
/// ``gather(_:onError:fileID:line:)-(A,_,_,_)``.
@discardableResult @inlinable
public func gather<A: Awaitable>(
  _ awaitables: some Sequence<A>, onError: GatherErrorRule = .othersRunOn, fileID: StaticString = #fileID,
  line: UInt = #line
) async throws -> [A.Success] {
  let members = Array(awaitables)
  // One by one: a conversion of the array casts each element as if it could fail.
  try await awaitValues(of: members.map { $0 as AnyFuture }, onError, CreationSite(fileID, line))
  return try members.map { try $0.result() }
}

/// Runs a body for each element, each in a task of its own, and returns their values, in the order of the elements.
///
/// ```swift
/// let pages = try await gather(addresses) { try await load($0) }
/// ```
///
/// The bodies start in the next turn, in the caller's isolation: they may use what the caller may use. For all else see
/// ``gather(_:onError:fileID:line:)-(A,_,_,_)``.
///
/// - Cancellation: Cancels all bodies, waits until all have ended, and throws `CancellationError`.
/// - Throws: The first error; ``NoRunningLoopError`` when no loop runs on this thread.
@discardableResult
public func gather<Elements: Sequence, Success>(
  _ elements: Elements, onError: GatherErrorRule = .othersRunOn, fileID: StaticString = #fileID, line: UInt = #line,
  _ body: @escaping (Elements.Element) async throws -> Success
) async throws -> [Success] {
  let isolation = #isolation
  let site = CreationSite(fileID, line)
  let tasks = try elements.map { element in try ownTask(isolation: isolation, site: site) { try await body(element) } }
  return try await gather(tasks, onError: onError, fileID: fileID, line: line).map(\.value)
}

/// Waits for futures and tasks of any types to end, and returns what became of each, in the order of the arguments:
/// asyncio's `gather` with `return_exceptions=True`.
///
/// A cancelled one is a failure with `CancellationError`. All errors count as read.
///
/// - Cancellation: Cancels all, waits until all have ended, and throws `CancellationError`, not a list of such.
/// - Threading: Any thread, as with ``Awaitable/value``.
/// - Throws: `CancellationError` when the caller was cancelled, and ``WrongLoopError``; no error of the awaited.
/// - Complexity: O(n).
@discardableResult
public func gatherResults<each A: Awaitable>(
  _ awaitables: repeat each A, fileID: StaticString = #fileID, line: UInt = #line
) async throws -> (repeat Result<(each A).Success, any Error>) {
  var members: [AnyFuture] = []
  for awaitable in repeat each awaitables { members.append(awaitable) }
  try await awaitEnds(of: members, nil, CreationSite(fileID, line))
  return (repeat outcome(of: each awaitables))
}

/// Waits for futures and tasks of one type to end, and returns what became of each, in their order; of none, at once.
/// See ``gatherResults(_:fileID:line:)->(_,_)``.
@discardableResult
public func gatherResults<A: Awaitable>(
  _ awaitables: some Sequence<A>, fileID: StaticString = #fileID, line: UInt = #line
) async throws -> [Result<A.Success, any Error>] {
  let members = Array(awaitables)
  try await awaitEnds(of: members, nil, CreationSite(fileID, line))
  return members.map(outcome(of:))
}

/// Runs a body for each element, each in a task of its own, and returns what became of each, in the order of the
/// elements. See ``gather(_:onError:fileID:line:_:)`` and ``gatherResults(_:fileID:line:)->(_,_)``.
@discardableResult
public func gatherResults<Elements: Sequence, Success>(
  _ elements: Elements, fileID: StaticString = #fileID, line: UInt = #line,
  _ body: @escaping (Elements.Element) async throws -> Success
) async throws -> [Result<Success, any Error>] {
  let isolation = #isolation
  let site = CreationSite(fileID, line)
  let tasks = try elements.map { element in try ownTask(isolation: isolation, site: site) { try await body(element) } }
  return try await gatherResults(tasks, fileID: fileID, line: line).map { $0.map(\.value) }
}

// MARK: How

private func outcome<A: Awaitable>(of awaitable: A) -> Result<A.Success, any Error> {
  Result { try awaitable.result() }
}

/// Waits until all have a value; throws when one has not.
@usableFromInline
func awaitValues(of members: [AnyFuture], _ onError: GatherErrorRule, _ site: CreationSite) async throws {
  let failed = try await awaitEnds(of: members, onError, site)
  guard let failed else { return }
  for member in members { member.countAsRead() }
  try failed.throwUnlessValue()
}

/// Waits until all have ended, or until the rule says that it is enough.
///
/// - Returns: The one that was enough.
@discardableResult
private func awaitEnds(
  of members: [AnyFuture], _ onError: GatherErrorRule?, _ site: CreationSite
) async throws -> AnyFuture? {
  guard let loop = members.first?.loop else { return nil }
  let wait = GatherWait(on: loop, onError, site)
  try await wait.run(members)
  return wait.failed
}

private final class GatherWait: MemberWait, @unchecked Sendable {
  private let onError: GatherErrorRule?
  private(set) var failed: AnyFuture?
  private var request: CancellationReason?

  init(on loop: EventLoop, _ onError: GatherErrorRule?, _ site: CreationSite) {
    self.onError = onError
    super.init(on: loop, site)
  }

  override var caller: String { "gather" }

  override func memberEnded(_ member: AnyFuture) {
    if let onError, failed == nil, !isAsked, !member.hasValue {
      failed = member
      switch onError {
      case .othersRunOn: return finish()
      case .cancelOthers where members.allSatisfy(\.isDone): break
      case .cancelOthers: abortSoon(CancellationReason(.parent, message: "another one in gather has failed"))
      }
    }
    // Who was asked to end does, whatever became of the members.
    if pendingCount == 0 { finish(cancelled: request) }
  }

  override func pass(_ reason: CancellationReason, to next: inout [AnyFuture]) -> Bool {
    if request == nil { request = reason }
    return passOn(reason, to: &next)
  }
}
