// SPDX-License-Identifier: Apache-2.0
//
// The pending timers of a loop, in exact order: by deadline, and equal deadlines by order of arming.

/// The name of a pending timer; stale, and harmless, once it has run or was cancelled.
package struct TimerID: Hashable, Sendable {
  fileprivate let slot: UInt32
  fileprivate let name: UInt64

  /// The name of no timer.
  static let none = TimerID(slot: .max, name: 0)
}

/// A timer that has come due, and waits for its turn; stale, and harmless, when it was cancelled or pushed back
/// meanwhile.
package struct DueTimer: Hashable, Sendable {
  fileprivate let slot: UInt32
  /// The order of arming.
  let order: UInt64
}

/// The timers of a loop: in slots, and in order by a wheel.
///
/// A timer is *armed*, with an entry in the wheel; then *due*, taken out of it by `popDue` and waiting for its turn;
/// then gone, by `takeDue`. In both states it is pending, and `cancel` ends it.
///
/// What is cancelled, or pushed back, leaves its entry in the wheel: the slot alone says what holds. So each costs one
/// access of memory. An entry that is found to stand for a later deadline is put where that belongs; one that stands
/// for nothing is dropped when it is found, or with all of its like, when they are the greater part.
///
/// No callback is let go of in here: who gets it back does that, and may use the queue meanwhile.
@safe struct TimerQueue: ~Copyable {
  // SAFETY, for all of this type: the timers are owned by this value, and used by one thread, that which holds the
  // loop. They call nobody back, so there is no access within another one. (Behind a pointer, since exclusivity checks
  // would cost more than arming does.)
  private let timers: UnsafeMutablePointer<Timers>

  /// - Parameter start: The present time; it never goes back.
  init(startingAt start: Deadline = Deadline(nanoseconds: .min)) {
    unsafe timers = .allocate(capacity: 1)
    unsafe timers.initialize(to: Timers(startingAt: TimerWheel.key(start)))
  }

  /// The number of armed timers.
  var count: Int { unsafe timers.pointee.armed }

  /// The deadline of the first one. Where more than 64 stand close together, it may be that of one that was cancelled
  /// or pushed back: who waits for it wakes up once for all of them.
  var earliest: Deadline? { unsafe timers.pointee.earliest }

  /// Arms a timer.
  ///
  /// - Complexity: O(1).
  func arm(at deadline: Deadline, _ callback: consuming @escaping Callback) -> TimerID {
    unsafe timers.pointee.arm(TimerWheel.key(deadline), callback)
  }

  /// Moves a pending timer to another deadline, behind those that have it already. One that is due is armed again.
  ///
  /// - Complexity: O(1).
  /// - Returns: `false` when it is not pending.
  func rearm(_ id: TimerID, at deadline: Deadline) -> Bool {
    unsafe timers.pointee.rearm(id, TimerWheel.key(deadline))
  }

  /// Moves a timer, if it is pending, to a deadline some time after the next look at the clock: the call of `settle`.
  /// Until then it is just noted; the timer's own memory is on its way meanwhile.
  ///
  /// - Returns: `false` when so many have been noted that it is time to settle them.
  func push(_ id: TimerID, by nanoseconds: Int64) -> Bool { unsafe timers.pointee.push(id, by: nanoseconds) }

  /// Moves the timers that were pushed. Before `earliest`, `deadline`, `popDue` and `takeDue`.
  func settle(_ now: @autoclosure () -> Deadline) {
    if unsafe !timers.pointee.pushes.isEmpty { unsafe timers.pointee.settle(now()) }
  }

  /// The deadline of a pending timer.
  func deadline(_ id: TimerID) -> Deadline? {
    unsafe timers.pointee.pending(id).map { slot in unsafe TimerWheel.deadline(slot.pointee.key) }
  }

  /// Whether a timer has neither run nor been cancelled.
  func isPending(_ id: TimerID) -> Bool { unsafe timers.pointee.pending(id) != nil }

  /// Ends a pending timer, and returns its callback, for the caller to let go of.
  ///
  /// - Complexity: O(1), amortized.
  func cancel(_ id: TimerID) -> Callback? { unsafe timers.pointee.cancel(id) }

  /// Makes the first timer due, if its deadline has come. The time never goes back. Settle first.
  func popDue(_ now: Deadline) -> DueTimer? { unsafe timers.pointee.popDue(TimerWheel.key(now)) }

  /// Takes the callback of a due timer, to run it; `nil` when it was cancelled or rearmed meanwhile.
  func takeDue(_ due: DueTimer) -> Callback? { unsafe timers.pointee.takeDue(due) }

  /// Ends all timers.
  func removeAll() {
    // The callbacks go at the end of this function: what their captures' deinit does finds the queue in order.
    let callbacks = unsafe timers.pointee.removeAll()
    withExtendedLifetime(callbacks) {}
  }

  /// Memory for how many timers it has.
  var capacity: Int { unsafe max(timers.pointee.slots.capacity, timers.pointee.wheel.capacity) }

  deinit {
    unsafe timers.deinitialize(count: 1)
    unsafe timers.deallocate()
  }
}

/// Invariant: `order` is never given twice; a slot's `entry` is the order of the one entry that stands for it, whose
/// key is not beyond the slot's. `known` is the key of the first armed timer, or `nil` when it has to be looked for.
private struct Timers: ~Copyable {
  var wheel: TimerWheel
  var slots = TimerSlots()
  private var nextOrder: UInt64 = 0
  private(set) var armed = 0
  private var known: UInt64?
  /// What was noted since the last look.
  private(set) var pushes: [Push] = []

  struct Push {
    let id: TimerID
    let order: UInt64
    let nanoseconds: Int64
  }

  init(startingAt start: UInt64) { wheel = TimerWheel(startingAt: start) }

  var earliest: Deadline? {
    mutating get {
      if armed == 0 { return nil }
      if known == nil { known = wheel.earliest(slots) }
      return known.map(TimerWheel.deadline)
    }
  }

  /// The slot of a pending timer.
  func pending(_ id: TimerID) -> UnsafeMutablePointer<TimerSlot>? {
    guard let slot = unsafe slots[id.slot], unsafe slot.pointee.name == id.name, unsafe slot.pointee.callback != nil
    else { return nil }
    return unsafe slot
  }

  mutating func arm(_ key: UInt64, _ callback: consuming @escaping Callback) -> TimerID {
    let order = newOrder()
    let slot = slots.insert(TimerSlot(key: key, order: order, name: order, entry: order, callback: callback))
    add(TimerEntry(key: key, order: order, slot: slot))
    return TimerID(slot: slot, name: order)
  }

  mutating func rearm(_ id: TimerID, _ key: UInt64) -> Bool {
    guard let slot = unsafe pending(id) else { return false }
    unsafe move(id.slot, slot, to: key, newOrder())
    return true
  }

  mutating func push(_ id: TimerID, by nanoseconds: Int64) -> Bool {
    slots.prefetch(id.slot)
    pushes.append(Push(id: id, order: newOrder(), nanoseconds: nanoseconds))
    return pushes.count < Self.notedPushes
  }

  mutating func settle(_ now: Deadline) {
    for push in pushes {
      // Not if it has run, was cancelled, or was rearmed since.
      guard let slot = unsafe pending(push.id), unsafe slot.pointee.order < push.order else { continue }
      unsafe move(push.id.slot, slot, to: TimerWheel.key(now.advanced(byNanoseconds: push.nanoseconds)), push.order)
    }
    pushes.removeAll(keepingCapacity: true)
  }

  /// Gives a pending timer another place in the order.
  private mutating func move(
    _ index: UInt32, _ slot: UnsafeMutablePointer<TimerSlot>, to key: UInt64, _ order: UInt64
  ) {
    let old = unsafe slot.pointee.key
    unsafe slot.pointee.key = key
    unsafe slot.pointee.order = order
    if unsafe slot.pointee.isDue {
      unsafe slot.pointee.isDue = false
    } else {
      forgetFirst(old)
      // Its entry stays where it is, and moves on when its time comes.
      if key >= old { return }
      armed -= 1
    }
    unsafe slot.pointee.entry = order
    add(TimerEntry(key: key, order: order, slot: index))
    dropDeadEntries()
  }

  mutating func cancel(_ id: TimerID) -> Callback? {
    guard let slot = unsafe pending(id) else { return nil }
    if unsafe !slot.pointee.isDue {
      forgetFirst(unsafe slot.pointee.key)
      armed -= 1
    }
    let callback = unsafe slots.free(id.slot, slot)
    dropDeadEntries()
    return callback
  }

  mutating func popDue(_ now: UInt64) -> DueTimer? {
    if let known, known <= now { self.known = nil }
    // The deadline that never comes is the greatest key.
    while let entry = wheel.popFirst(upTo: min(now, .max - 1), slots) {
      guard let current = slots.renewed(entry), let slot = unsafe slots[entry.slot] else { continue }
      guard current.order == entry.order else {
        wheel.insert(current)
        continue
      }
      unsafe slot.pointee.isDue = true
      armed -= 1
      return DueTimer(slot: entry.slot, order: entry.order)
    }
    return nil
  }

  mutating func takeDue(_ due: DueTimer) -> Callback? {
    guard let slot = unsafe slots[due.slot], unsafe slot.pointee.isDue, unsafe slot.pointee.order == due.order
    else { return nil }
    return unsafe slots.free(due.slot, slot)
  }

  mutating func removeAll() -> [Callback] {
    armed = 0
    known = nil
    let callbacks = slots.removeAll()
    wheel.removeDead(slots)
    return callbacks
  }

  private mutating func newOrder() -> UInt64 {
    nextOrder += 1
    return nextOrder
  }

  private mutating func add(_ entry: TimerEntry) {
    armed += 1
    wheel.insert(entry)
    if let known, entry.key < known { self.known = entry.key }
  }

  /// Says that a timer with a key has gone. If it was the first, another one is.
  private mutating func forgetFirst(_ key: UInt64) {
    if key == known { known = nil }
  }

  @inline(__always)
  private mutating func dropDeadEntries() {
    if wheel.count &- armed > 2 &* armed &+ Self.toleratedDead { wheel.removeDead(slots) }
  }

  private static let toleratedDead = 1_024
  private static let notedPushes = 1_024
}
