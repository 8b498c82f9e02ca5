// SPDX-License-Identifier: Apache-2.0
//
// The one queue in which tasks stand: for a lock, an event, a place in a queue, for room in a stream, for its end.

/// Tasks that wait, first come, first served.
///
/// A task enters at the end, and suspends. Whoever has something to give takes the first one out, there and then, and
/// says so in its place: from that moment what is given is that task's, though it goes on only in its turn, and nobody
/// can overtake it. A task that leaves by a cancel or its deadline is out at once; if it had been given something, it
/// passes that on.
///
/// Invariant: the places in the list are those whose wait has begun and has not ended; `count` is their number. So
/// waking the first never fails.
///
/// It belongs to the thread that holds the loop.
final class WaitQueue {
  /// What a task was told when it was woken.
  enum Verdict: Equatable {
    /// It has got what it waited for.
    case granted
    /// The same, and a number with it.
    case numbered(Int)
    /// It will not get it.
    case refused
  }

  /// The place of one task.
  final class Place: Waiter, @unchecked Sendable {
    fileprivate var queue: WaitQueue?
    fileprivate var next: Place?
    /// It does not hold the place before, which stands in the same list.
    fileprivate unowned(unsafe) var previous: Place?
    fileprivate(set) var verdict = Verdict.granted
    /// The task that waits, where that is to be known.
    fileprivate(set) var task: SwiftTaskIdentity?

    override func leave() { queue?.remove(self) }

    /// Whether the task has got something that it will not use if it fails now.
    fileprivate var mustPassOn: Bool { wasWoken && verdict != .refused }
  }

  private var first: Place?
  private var last: Place?
  /// A place for the next one: two tasks that take turns allocate nothing.
  private var spare: Place?

  /// How many wait.
  private(set) var count = 0

  var isEmpty: Bool { first == nil }

  // MARK: Those who wait

  /// Enters at the end, and waits until somebody takes all out.
  ///
  /// - Throws: `CancellationError`, `TimeoutError`, ``LoopClosedError``: the task is out of the queue.
  func wait(on executor: LoopExecutor, until deadline: Deadline? = nil) async throws {
    _ = try await wait(in: enter(), on: executor, until: deadline) {}
  }

  /// Enters at the end. ``wait(in:on:until:passingOn:)`` must follow.
  ///
  /// - Complexity: O(1).
  func enter(_ task: SwiftTaskIdentity? = nil) -> Place {
    let place = spare.take() ?? Place()
    place.begin()
    place.queue = self
    place.task = task
    place.verdict = .granted
    unsafe place.previous = last
    if let last { last.next = place } else { first = place }
    last = place
    count += 1
    return place
  }

  /// Waits until somebody takes the place out of the queue.
  ///
  /// - Parameter giveToNext: Is called when the task has got something, and leaves by a cancel all the same.
  /// - Throws: `CancellationError`, `TimeoutError`, ``LoopClosedError``: the place is out of the queue.
  func wait(
    in place: Place, on executor: LoopExecutor, until deadline: Deadline?, passingOn giveToNext: () -> Void
  ) async throws -> Verdict {
    do {
      try await place.wait(on: executor, until: deadline)
    } catch {
      if place.mustPassOn { giveToNext() }
      throw error
    }
    let verdict = place.verdict
    giveBack(place)
    return verdict
  }

  /// Waits until somebody takes the place out of the queue, whatever is asked of the task meanwhile.
  ///
  /// - Throws: As ``Waiter/waitUncancellably(on:)``.
  func waitUncancellably(in place: Place, on executor: LoopExecutor) async throws {
    try await place.waitUncancellably(on: executor)
    giveBack(place)
  }

  private func giveBack(_ place: Place) { if spare == nil { spare = place } }

  // MARK: Those who wake

  /// Takes the first one out and wakes it.
  ///
  /// - Returns: Its place; `nil` when nobody waits.
  /// - Complexity: O(1).
  @discardableResult
  func wakeFirst(_ verdict: Verdict = .granted) -> Place? {
    guard let place = first else { return nil }
    remove(place)
    place.verdict = verdict
    place.wake()
    return place
  }

  /// Takes all out, in order, and wakes them.
  func wakeAll(_ verdict: Verdict = .granted) {
    while wakeFirst(verdict) != nil {}
  }

  private func remove(_ place: Place) {
    let next = place.next.take()
    let previous = unsafe place.previous
    if let previous { previous.next = next } else { first = next }
    if let next { unsafe next.previous = previous } else { last = previous }
    unsafe place.previous = nil
    place.queue = nil
    count -= 1
  }
}

extension WaitQueue? {
  /// The queue, which is made when the first one waits: for what many have, and few wait for.
  var made: WaitQueue {
    mutating get {
      if let queue = self { return queue }
      let queue = WaitQueue()
      self = queue
      return queue
    }
  }
}

extension WaitQueue {
  /// How many wait, for a description: nothing, or `, 3 waiting`.
  var description: String { isEmpty ? "" : ", \(count) waiting" }
}
