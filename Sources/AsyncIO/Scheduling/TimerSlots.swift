// SPDX-License-Identifier: Apache-2.0
//
// Where pending timers keep their callbacks and deadlines.

import CLinux
import Glibc

/// What is kept of a pending timer: one line of the cache.
struct TimerSlot {
  /// When it is due, by `TimerWheel.key`.
  var key: UInt64 = 0
  /// Counted up at each arming and pushing: ends a tie.
  var order: UInt64 = 0
  /// The order at which it was armed first: its name, as long as it is pending.
  var name: UInt64 = 0
  /// The order of the entry that stands for it in the wheel.
  var entry: UInt64 = 0
  /// `nil` in a free slot.
  var callback: Callback?
  /// In a free slot, the next free one.
  var next: UInt32 = 0
  /// Whether it has left the wheel, and waits for its turn.
  var isDue = false
  private let filling: UInt64 = 0
}

/// Slots in segments, which do not move, and are given back when they are empty.
///
/// Invariant: segment 0 has the slots 0 to 255, and each segment after it as many as all before it together. `open` has
/// a bit for each segment with a free slot, with memory or without; the first such is filled first. The free slots of a
/// segment are chained from `firstFree`, up to `fresh`; those from there on were never used, and have no value yet.
@safe struct TimerSlots: ~Copyable {
  @safe private struct Segment {
    let size: UInt32
    var slots: UnsafeMutablePointer<TimerSlot>?
    var used: UInt32 = 0
    var firstFree: UInt32
    var fresh: UInt32 = 0

    init(size: UInt32) {
      self.size = size
      firstFree = size
    }
  }

  // Not an array, whose reference would be counted with each access.
  private let segments: UnsafeMutablePointer<Segment>
  private var open: UInt64 = (1 << UInt64(count)) - 1

  init() {
    // SAFETY, for all of this type: the segments are owned by this value, initialized here, and freed in deinit; their
    // numbers come from `place`, which gives none beyond the last one's, or from `open`.
    unsafe segments = .allocate(capacity: Self.count)
    for number in 0..<Self.count {
      unsafe (segments + number).initialize(to: Segment(size: Self.smallest << UInt32(max(0, number - 1))))
    }
  }

  /// A slot in use, or a free one; `nil` where there is none. The pointer is valid until a slot is freed.
  subscript(_ index: UInt32) -> UnsafeMutablePointer<TimerSlot>? {
    let (number, place) = Self.place(of: index)
    guard let slots = unsafe segments[number].slots, unsafe place < segments[number].fresh else { return nil }
    return unsafe slots + Int(place)
  }

  /// Says that a slot will be used soon. Its memory is on its way by then; and many that are on their way at once take
  /// hardly longer than one.
  func prefetch(_ index: UInt32) {
    let (number, place) = Self.place(of: index)
    if let slots = unsafe segments[number].slots { unsafe clinux_prefetch(slots + Int(place)) }
  }

  /// Whether an entry stands for nothing: its timer was cancelled, or has got another one.
  func isDead(_ entry: TimerEntry) -> Bool {
    guard let slot = unsafe self[entry.slot] else { return true }
    return unsafe slot.pointee.callback == nil || slot.pointee.entry != entry.order
  }

  /// What an entry stands for: itself, or another one, which takes its place, where its timer was pushed back; `nil` if
  /// it is dead.
  func renewed(_ entry: TimerEntry) -> TimerEntry? {
    guard !isDead(entry), let slot = unsafe self[entry.slot] else { return nil }
    if unsafe slot.pointee.order == entry.order { return entry }
    unsafe slot.pointee.entry = unsafe slot.pointee.order
    return unsafe TimerEntry(key: slot.pointee.key, order: slot.pointee.order, slot: entry.slot)
  }

  /// Takes a free slot.
  mutating func insert(_ slot: consuming TimerSlot) -> UInt32 {
    precondition(open != 0, "TimerSlots: four thousand million timers are pending")
    let number = open.trailingZeroBitCount
    let slots = unsafe segments[number].slots ?? allocate(number)
    let place: UInt32
    // SAFETY: places are below the size; a fresh one has no value, one of the chain has.
    if unsafe segments[number].firstFree < segments[number].size {
      place = unsafe segments[number].firstFree
      unsafe segments[number].firstFree = unsafe slots[Int(place)].next
      unsafe slots[Int(place)] = slot
    } else {
      place = unsafe segments[number].fresh
      unsafe segments[number].fresh += 1
      unsafe (slots + Int(place)).initialize(to: slot)
    }
    unsafe segments[number].used += 1
    if unsafe segments[number].used == segments[number].size { open &= ~(1 << UInt64(number)) }
    return Self.first(of: number) + place
  }

  /// Frees a slot, and returns its callback, if it was in use.
  mutating func free(_ index: UInt32, _ slot: UnsafeMutablePointer<TimerSlot>) -> Callback? {
    guard let callback = unsafe slot.pointee.callback.take() else { return nil }
    let (number, place) = Self.place(of: index)
    unsafe slot.pointee.isDue = false
    unsafe slot.pointee.next = unsafe segments[number].firstFree
    unsafe segments[number].firstFree = place
    unsafe segments[number].used &-= 1
    open |= 1 << UInt64(number)
    if unsafe segments[number].used == 0 && number >= Self.kept { deallocate(number) }
    return callback
  }

  /// Frees all, and returns what has to be let go of.
  mutating func removeAll() -> [Callback] {
    var callbacks: [Callback] = []
    for number in 0..<Self.count {
      let fresh = unsafe segments[number].fresh
      for place in 0..<fresh {
        let index = Self.first(of: number) + place
        if let slot = unsafe self[index], let callback = unsafe free(index, slot) { callbacks.append(callback) }
      }
    }
    return callbacks
  }

  /// Memory for how many slots it has.
  var capacity: Int {
    (0..<Self.count).reduce(0) { sum, number in
      unsafe segments[number].slots == nil ? sum : sum + Int(segments[number].size)
    }
  }

  private mutating func allocate(_ number: Int) -> UnsafeMutablePointer<TimerSlot> {
    let bytes = unsafe Int(segments[number].size) * MemoryLayout<TimerSlot>.stride
    // A large segment stands in large pages, where the system has them: most accesses are to no neighbour of the last
    // one.
    let alignment = bytes >= Self.largePage ? Self.largePage : Self.cacheLine
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: alignment)
    // A hint: that it fails changes nothing.
    if bytes >= Self.largePage { unsafe madvise(memory, bytes, MADV_HUGEPAGE) }
    let slots = unsafe memory.bindMemory(to: TimerSlot.self, capacity: Int(segments[number].size))
    unsafe segments[number].slots = unsafe slots
    return unsafe slots
  }

  /// Gives the memory of a segment back whose slots are all free: they hold nothing that had to be let go of.
  @inline(never)
  private func deallocate(_ number: Int) {
    guard let slots = unsafe segments[number].slots.take() else { return }
    unsafe UnsafeMutableRawPointer(slots).deallocate()
    unsafe segments[number].fresh = 0
    unsafe segments[number].firstFree = unsafe segments[number].size
  }

  /// The segment of a slot, and its place in there.
  private static func place(of index: UInt32) -> (number: Int, place: UInt32) {
    let number = UInt32.bitWidth &- (index / smallest).leadingZeroBitCount
    return (number, number == 0 ? index : index ^ first(of: number))
  }

  /// The first slot of a segment.
  private static func first(of number: Int) -> UInt32 {
    number == 0 ? 0 : smallest << UInt32(truncatingIfNeeded: number &- 1)
  }

  private static let smallest: UInt32 = 256
  /// As many as the numbers of slots can tell apart.
  private static let count = 25
  /// The first segments are kept when they are empty: a thousand slots.
  private static let kept = 3
  private static let cacheLine = 64
  private static let largePage = 2 << 20

  deinit {
    for number in 0..<Self.count {
      unsafe segments[number].slots?.deinitialize(count: Int(segments[number].fresh))
      deallocate(number)
    }
    unsafe segments.deinitialize(count: Self.count)
    unsafe segments.deallocate()
  }
}
