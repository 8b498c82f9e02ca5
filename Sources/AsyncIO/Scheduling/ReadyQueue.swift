// SPDX-License-Identifier: Apache-2.0
//
// The loop's one FIFO: callbacks, jobs of Swift tasks, notices of I/O and due timers stand in it side by side.

/// A queue of work in segments, whose entries can be cancelled by ticket.
///
/// Invariant: entry *t* (its ticket, counted from the first entry ever) stands in segment `t / 256`, at place `t %
/// 256`. The entries of `head ..< tail` are initialized, all others are not; `segments` holds the segments of those
/// entries and no other, from `oldest` on.
///
/// The state stands behind a pointer, since the exclusivity checks of a class's properties would cost a third of an
/// entry's time. A segment is used again when it is empty: a queue that neither grows nor shrinks allocates nothing.
@safe struct ReadyQueue: ~Copyable {
  /// The number of an entry; none is given twice.
  typealias Ticket = UInt64

  private typealias Segment = UnsafeMutablePointer<Work>

  @safe private struct State {
    var head: Ticket = 0
    var tail: Ticket = 0
    /// The segments of `head` and of `tail - 1`, when the queue holds something.
    var headSegment: Segment?
    var tailSegment: Segment?
    var segments: [Segment] = unsafe []
    /// Where in `segments` that of `head` stands.
    var oldest = 0
    var spares: [Segment] = unsafe []
  }

  // SAFETY, for all of this file: the state is owned by this value, made in init and freed in deinit, and used by one
  // thread, that which holds the loop.
  private let state: UnsafeMutablePointer<State>

  init() {
    unsafe state = .allocate(capacity: 1)
    unsafe state.initialize(to: State())
  }

  /// The number of entries, cancelled ones included.
  var count: Int { unsafe Int(truncatingIfNeeded: state.pointee.tail &- state.pointee.head) }

  /// How many entries were ever added.
  var entriesSoFar: UInt64 { unsafe state.pointee.tail }

  var isEmpty: Bool { unsafe state.pointee.head == state.pointee.tail }

  /// Adds work at the end.
  ///
  /// - Complexity: O(1); an allocation for 256 entries, when the queue grows.
  @discardableResult
  func append(_ work: consuming Work) -> Ticket {
    let ticket = unsafe state.pointee.tail
    let place = Self.place(of: ticket)
    if place == 0 { addSegment() }
    guard let segment = unsafe state.pointee.tailSegment else { preconditionFailure("ReadyQueue: no segment") }
    // SAFETY: tail's place is uninitialized, by the invariant.
    unsafe (segment + place).initialize(to: work)
    unsafe state.pointee.tail = ticket &+ 1
    return ticket
  }

  /// Takes the first entry. The queue must not be empty.
  func takeFirst() -> Work {
    let ticket = unsafe state.pointee.head
    guard unsafe ticket != state.pointee.tail, let segment = unsafe state.pointee.headSegment else {
      preconditionFailure("ReadyQueue.takeFirst: the queue is empty")
    }
    let place = Self.place(of: ticket)
    // SAFETY: head's place is initialized, and becomes uninitialized as head moves on.
    let work = unsafe (segment + place).move()
    unsafe state.pointee.head = ticket &+ 1
    if place == Self.placesInSegment - 1 { dropSegment() }
    return work
  }

  /// Takes the entry at a place counted from the front, and leaves `nothing` there.
  func take(at offset: Int) -> Work { unsafe exchange(state.pointee.head + UInt64(offset)) ?? .nothing }

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
    guard let entry = unsafe entry(ticket) else { return false }
    return unsafe entry.pointee.isCallback
  }

  /// The memory that it has, in entries: for those that stand in it, and for later ones.
  var capacity: Int {
    let segments = unsafe state.pointee.segments.count - state.pointee.oldest + state.pointee.spares.count
    return segments * Self.placesInSegment
  }

  private func exchange(_ ticket: Ticket) -> Work? {
    guard let entry = unsafe entry(ticket) else { return nil }
    // SAFETY: an entry of head ..< tail is initialized, and stays so.
    let work = unsafe entry.move()
    unsafe entry.initialize(to: .nothing)
    return work
  }

  private func entry(_ ticket: Ticket) -> UnsafeMutablePointer<Work>? {
    let head = unsafe state.pointee.head
    guard ticket >= head, unsafe ticket < state.pointee.tail else { return nil }
    let distance = Self.number(of: ticket) - Self.number(of: head)
    return unsafe state.pointee.segments[state.pointee.oldest + Int(distance)] + Self.place(of: ticket)
  }

  @inline(never)
  private func addSegment() {
    let segment = unsafe state.pointee.spares.popLast() ?? .allocate(capacity: Self.placesInSegment)
    unsafe state.pointee.segments.append(segment)
    unsafe state.pointee.tailSegment = unsafe segment
    if isEmpty { unsafe state.pointee.headSegment = unsafe segment }
  }

  /// Puts the segment before `head` aside, or gives it back, when enough are aside.
  @inline(never)
  private func dropSegment() {
    let segment = unsafe state.pointee.segments[state.pointee.oldest]
    if unsafe state.pointee.spares.count < Self.keptSegments {
      unsafe state.pointee.spares.append(segment)
    } else {
      unsafe segment.deallocate()
    }
    unsafe state.pointee.oldest += 1
    if unsafe state.pointee.oldest * 2 >= state.pointee.segments.count {
      unsafe state.pointee.segments.removeFirst(state.pointee.oldest)
      unsafe state.pointee.oldest = 0
    }
    unsafe state.pointee.headSegment = unsafe isEmpty ? nil : state.pointee.segments[state.pointee.oldest]
  }

  private static func number(of ticket: Ticket) -> UInt64 { ticket / UInt64(placesInSegment) }

  private static func place(of ticket: Ticket) -> Int { Int(truncatingIfNeeded: ticket) & (placesInSegment - 1) }

  private static let placesInSegment = 256
  /// How much memory a queue keeps for later: 16,384 entries.
  private static let keptSegments = 64

  deinit {
    while !isEmpty { _ = takeFirst() }
    unsafe state.pointee.segments[state.pointee.oldest...].forEach { segment in unsafe segment.deallocate() }
    unsafe state.pointee.spares.forEach { segment in unsafe segment.deallocate() }
    unsafe state.deinitialize(count: 1)
    unsafe state.deallocate()
  }
}
