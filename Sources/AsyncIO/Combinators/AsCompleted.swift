// SPDX-License-Identifier: Apache-2.0
//
// Futures and tasks, one by one, as they end.

/// Futures and tasks in the order in which they end. asyncio's `as_completed`.
///
/// ```swift
/// for try await task in asCompleted(tasks, timeout: .seconds(5)) {
///   print(try task.result())
/// }
/// ```
///
/// The elements are the very futures and tasks that were given, ended; one that has failed, too: reading it throws.
/// Those that have ended before come first, in their order. One that is given twice comes once. Nobody is cancelled.
///
/// - Parameters:
///   - members: Any number, of one loop. For several types, an array of ``AnyFuture``.
///   - timeout: How long it may take in all, from this call on, until the last one is waited for. `nil`, and what is
///     beyond 292 years: as long as it takes. What has ended is delivered also after it has passed.
///   - fileID: With `line`, where it was called, for reports and tests that say what is waited for; leave it to its default.
///   - line: As `fileID`.
/// - Threading: Any thread; the iteration as with ``Awaitable/value``.
public func asCompleted<Member: AnyFuture>(
  _ members: some Sequence<Member>, timeout: Duration? = nil, fileID: StaticString = #fileID, line: UInt = #line
) -> CompletionSequence<Member> {
  var seen: Set<Member> = []
  let members = members.filter { seen.insert($0).inserted }
  return CompletionSequence(
    members: members, deadline: timeout.flatMap { members.first?.loop.now.advanced(by: $0) },
    site: CreationSite(fileID, line))
}

/// What ``asCompleted(_:timeout:fileID:line:)`` returns. Each iteration begins anew, with all members.
public struct CompletionSequence<Member: AnyFuture>: AsyncSequence, Sendable {
  fileprivate let members: [Member]
  fileprivate let deadline: EventLoop.Instant?
  fileprivate let site: CreationSite

  /// Begins an iteration. When its iterator goes, the members do not know of it any more.
  public func makeAsyncIterator() -> Iterator { Iterator(of: self) }

  /// An iteration.
  public struct Iterator: AsyncIteratorProtocol {
    private let sequence: CompletionSequence
    private var iteration: Iteration<Member>?

    fileprivate init(of sequence: CompletionSequence) {
      self.sequence = sequence
    }

    /// The next one that has ended; `nil` after the last.
    ///
    /// - Cancellation: Throws `CancellationError`. No member is lost: the next call goes on.
    /// - Throws: ``TimeoutError`` when it would have to wait, and the limit has passed; ``WrongLoopError`` when the
    ///   members are of several loops, or the caller is a task of another one.
    public mutating func next() async throws -> Member? { try await next(isolation: #isolation) }

    /// The same, in the isolation of the caller.
    public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Member? {
      guard let loop = sequence.members.first?.loop else { return nil }
      if iteration == nil { iteration = try Iteration(sequence.members, on: loop, sequence.site) }
      return try await iteration?.next(before: sequence.deadline)
    }
  }
}

/// Lets go of the members when nobody iterates any more.
private final class Iteration<Member: AnyFuture> {
  private let ends: EndCollector
  private var left: Int

  init(_ members: [Member], on loop: EventLoop, _ site: CreationSite) throws {
    ends = EndCollector(on: loop, site)
    left = members.count
    try ends.start(members)
  }

  deinit {
    _ = ends.loop.executor.onLoop { [ends] in ends.finish() }
  }

  func next(before deadline: EventLoop.Instant?) async throws -> Member? {
    if left == 0 { return nil }
    guard let member = try await ends.next(before: deadline) else { throw TimeoutError() }
    left -= 1
    return member as? Member
  }
}

/// Keeps the members that have ended, in their order, until somebody takes them.
private final class EndCollector: MemberWait, @unchecked Sendable {
  // Under a lock, since the iteration may be another thread's.
  private let ended = Locked(Ended())
  private var waiter: Future<Void>?

  private struct Ended {
    var members: [AnyFuture] = []
    var taken = 0
  }

  override func memberEnded(_ member: AnyFuture) {
    ended.withLock { $0.members.append(member) }
    waiter?.end(with: ())
  }

  override func limitPassed() { waiter?.end(with: ()) }

  /// The next one; `nil` when the limit has passed.
  func next(before deadline: EventLoop.Instant?) async throws -> AnyFuture? {
    if let member = take() { return member }
    // A future for each wait, and the member stays here meanwhile: a cancel loses none.
    let future = loop.createFuture(of: Void.self, fileID: site.fileID, line: UInt(site.line))
    _ = loop.executor.onLoop { [self] in
      if ended.withLock({ $0.taken < $0.members.count }) { return _ = future.end(with: ()) }
      if let waiter, !waiter.isDone {
        misuse("asCompleted", "a second task waits for the next one; iterate in one task, which may give it on")
      }
      waiter = future
      if let deadline { arm(deadline) }
    }
    defer { _ = loop.executor.onLoop { [self] in arm(nil) } }
    try await future.value
    return take()
  }

  private func take() -> AnyFuture? {
    ended.withLock { ended in
      guard ended.taken < ended.members.count else { return nil }
      defer { ended.taken += 1 }
      return ended.members[ended.taken]
    }
  }
}
