// SPDX-License-Identifier: Apache-2.0
//
// The loop's one FIFO: callbacks, jobs of Swift tasks, notices of I/O and due timers stand in it side by side.

/// A ring of work, whose entries can be cancelled by ticket.
///
/// Invariant: entry *t* (its ticket, counted from the first entry ever) stands at `t & mask`; those of
/// `head ..< tail` are initialized, all others are not; the capacity is a power of two.
///
/// `@unchecked Sendable`: a queue belongs to the thread that holds the loop, or stands in the inbox and is used under its
/// lock; it moves between the two in an exchange under that lock.
@safe final class ReadyQueue: @unchecked Sendable {
  /// The number of an entry; none is given twice.
  typealias Ticket = UInt64

  private var ring: UnsafeMutablePointer<Work>
  private var mask: UInt64
  private var head: UInt64 = 0
  private var tail: UInt64 = 0

  init() {
    // SAFETY: the ring is owned by this object, and freed in deinit.
    unsafe ring = .allocate(capacity: Int(Self.smallest))
    mask = Self.smallest - 1
  }

  /// The number of entries, cancelled ones included.
  var count: Int { Int(tail - head) }

  var isEmpty: Bool { head == tail }

  /// Adds work at the end.
  ///
  /// - Complexity: O(1), amortized; no allocation but for growth.
  @discardableResult
  func append(_ work: consuming Work) -> Ticket {
    if tail - head > mask { resize(to: (mask + 1) * 2) }
    let ticket = tail
    // SAFETY: tail's place is uninitialized, by the invariant.
    unsafe (ring + Int(ticket & mask)).initialize(to: work)
    tail = ticket + 1
    return ticket
  }

  /// Takes the first entry. The queue must not be empty.
  ///
  /// Never inlined: in a loop that runs what it takes, the exclusivity checks of the properties would come back, two an entry.
  @inline(never)
  func takeFirst() -> Work {
    precondition(head != tail, "ReadyQueue.takeFirst: the queue is empty")
    // SAFETY: head's place is initialized, and becomes uninitialized as head moves on.
    let work = unsafe (ring + Int(head & mask)).move()
    head += 1
    return work
  }

  /// Moves all entries of another queue to the end of this one.
  func append(movingFrom other: ReadyQueue) {
    while !other.isEmpty { append(other.takeFirst()) }
    other.releaseExcess()
  }

  /// Takes the entry at a place counted from the front, and leaves `nothing` there.
  func take(at offset: Int) -> Work { exchange(head + UInt64(offset)) ?? .nothing }

  /// Cancels an entry: its callback is released now, and will not run.
  ///
  /// - Returns: `false` when it has run, or was cancelled before.
  @discardableResult
  func cancel(_ ticket: Ticket) -> Bool {
    // The callback goes at the end of this function: what its captures' deinit does finds the queue in order.
    if case .callback = exchange(ticket) { true } else { false }
  }

  /// Whether an entry still waits for its turn.
  func isPending(_ ticket: Ticket) -> Bool {
    guard ticket >= head, ticket < tail else { return false }
    // SAFETY: the ticket is in head ..< tail.
    if case .callback = unsafe ring[Int(ticket & mask)] { return true }
    return false
  }

  /// Gives memory back after a burst. The loop calls it when the queue is empty.
  func releaseExcess() {
    if mask + 1 > Self.kept && isEmpty { resize(to: Self.smallest) }
  }

  private func exchange(_ ticket: Ticket) -> Work? {
    guard ticket >= head, ticket < tail else { return nil }
    let place = unsafe ring + Int(ticket & mask)
    // SAFETY: the ticket is in head ..< tail, so its place is initialized, and stays so.
    let work = unsafe place.move()
    unsafe place.initialize(to: .nothing)
    return work
  }

  private func resize(to capacity: UInt64) {
    let new = UnsafeMutablePointer<Work>.allocate(capacity: Int(capacity))
    var ticket = head
    while ticket != tail {
      // As many as stand in a row in both rings.
      let row = min(tail - ticket, mask + 1 - (ticket & mask), capacity - (ticket & (capacity - 1)))
      // SAFETY: each of head ..< tail is initialized in the old ring, and moves to its place in the new one.
      unsafe (new + Int(ticket & (capacity - 1))).moveInitialize(from: ring + Int(ticket & mask), count: Int(row))
      ticket += row
    }
    unsafe ring.deallocate()
    unsafe ring = unsafe new
    mask = capacity - 1
  }

  private static let smallest: UInt64 = 64
  private static let kept: UInt64 = 16_384

  deinit {
    while !isEmpty { _ = takeFirst() }
    unsafe ring.deallocate()
  }
}
