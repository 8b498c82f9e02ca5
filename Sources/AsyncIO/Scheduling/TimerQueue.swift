// SPDX-License-Identifier: Apache-2.0
//
// The pending timers of a loop, in exact order: by deadline, and equal deadlines by order of arming.

/// The name of a pending timer; stale, and harmless, once it has run or was cancelled.
package struct TimerID: Hashable, Sendable {
  fileprivate let slot: UInt32
  fileprivate let order: UInt64
}

/// A heap of timers whose entries know their place, so that a cancelled one leaves at once.
///
/// A timer is *armed*, standing in the heap; then *due*, taken out of it by `popDue` and waiting for its turn; then
/// gone, by `takeDue`. In both states it is pending, and `cancel` ends it.
///
/// Invariant: `heap` is a 4-ary min-heap over (deadline, order of arming); the slot of each entry says where in the
/// heap it is; a slot with a callback is in use; free slots are chained from `firstFree`. `order` is never given twice,
/// so a stale name matches nothing.
final class TimerQueue {
  private struct Entry {
    var deadline: Deadline
    var order: UInt64
    var slot: UInt32

    func precedes(_ other: Entry) -> Bool {
      deadline == other.deadline ? order < other.order : deadline < other.deadline
    }
  }

  private struct Slot {
    var order: UInt64
    /// The place in the heap, `none` for a timer that is due; in a free slot, the next free one.
    var place: UInt32
    var callback: Callback?
  }

  private var heap: [Entry] = []
  private var slots: [Slot] = []
  private var firstFree = TimerQueue.none
  private var nextOrder: UInt64 = 0
  /// Slots in use.
  private var used = 0
  /// The next number of slots in use at which memory is given back: an eighth of the peak, then half of that, and so on, so
  /// that the cost of it stays small beside the cancellations'.
  private var shrinkBelow = 0

  /// The number of armed timers.
  var count: Int { heap.count }

  /// The deadline of the first one.
  var earliest: Deadline? { heap.first?.deadline }

  /// Arms a timer.
  ///
  /// - Complexity: O(log n).
  func arm(at deadline: Deadline, _ callback: @escaping Callback) -> TimerID {
    let order = nextOrder
    nextOrder += 1
    used += 1
    shrinkBelow = max(shrinkBelow, used / 8)
    let slot = takeSlot(Slot(order: order, place: UInt32(heap.count), callback: callback))
    heap.append(Entry(deadline: deadline, order: order, slot: slot))
    siftUp(heap.count - 1)
    return TimerID(slot: slot, order: order)
  }

  /// Whether a timer has neither run nor been cancelled.
  func isPending(_ id: TimerID) -> Bool {
    id.slot < slots.count && slots[Int(id.slot)].order == id.order && slots[Int(id.slot)].callback != nil
  }

  /// Ends a pending timer, and returns its callback, for the caller to let go of.
  ///
  /// - Complexity: O(log n).
  func cancel(_ id: TimerID) -> Callback? {
    guard isPending(id) else { return nil }
    let place = slots[Int(id.slot)].place
    if place != Self.none { removeFromHeap(Int(place)) }
    return free(id.slot)
  }

  /// Makes the first timer due, if its deadline has come.
  func popDue(_ now: Deadline) -> TimerID? {
    guard let first = heap.first, first.deadline <= now, first.deadline != .never else { return nil }
    removeFromHeap(0)
    slots[Int(first.slot)].place = Self.none
    return TimerID(slot: first.slot, order: first.order)
  }

  /// Takes the callback of a due timer, to run it; `nil` when it was cancelled meanwhile.
  ///
  /// Never inlined: see `ReadyQueue.takeFirst`.
  @inline(never)
  func takeDue(_ id: TimerID) -> Callback? {
    isPending(id) ? free(id.slot) : nil
  }

  /// Ends all timers.
  func removeAll() {
    // The callbacks go at the end of this function: what their captures' deinit does finds the queue in order.
    let callbacks = slots
    heap = []
    slots = []
    firstFree = Self.none
    used = 0
    withExtendedLifetime(callbacks) {}
  }

  private func free(_ slot: UInt32) -> Callback? {
    let callback = slots[Int(slot)].callback
    slots[Int(slot)].callback = nil
    slots[Int(slot)].place = firstFree
    firstFree = slot
    used -= 1
    giveBackMemory()
    return callback
  }

  private func removeFromHeap(_ place: Int) {
    let last = heap.removeLast()
    if place < heap.count {
      put(last, at: place)
      siftDown(place)
      siftUp(place)
    }
  }

  private func takeSlot(_ slot: Slot) -> UInt32 {
    if firstFree == Self.none {
      slots.append(slot)
      return UInt32(slots.count - 1)
    }
    let index = firstFree
    firstFree = slots[Int(index)].place
    slots[Int(index)] = slot
    return index
  }

  private func siftUp(_ start: Int) {
    var place = start
    let entry = heap[place]
    while place > 0 {
      let parent = (place - 1) / 4
      guard entry.precedes(heap[parent]) else { break }
      put(heap[parent], at: place)
      place = parent
    }
    if place != start { put(entry, at: place) }
  }

  private func siftDown(_ start: Int) {
    var place = start
    let entry = heap[place]
    while true {
      let firstChild = 4 * place + 1
      guard firstChild < heap.count else { break }
      var least = firstChild
      for child in firstChild + 1..<max(firstChild + 1, min(firstChild + 4, heap.count))
      where heap[child].precedes(heap[least]) {
        least = child
      }
      guard heap[least].precedes(entry) else { break }
      put(heap[least], at: place)
      place = least
    }
    if place != start { put(entry, at: place) }
  }

  private func put(_ entry: Entry, at place: Int) {
    heap[place] = entry
    slots[Int(entry.slot)].place = UInt32(place)
  }

  /// After a mass cancellation the arrays go; names given out stay stale, since `order` goes on.
  private func giveBackMemory() {
    guard slots.count > 1_024 else { return }
    if used == 0 {
      heap = []
      slots = []
      firstFree = Self.none
    } else if used < shrinkBelow {
      shrinkBelow = used / 2
      var smaller: [Entry] = []
      smaller.reserveCapacity(heap.count * 2)
      smaller.append(contentsOf: heap)
      heap = smaller
      dropTrailingFreeSlots()
    }
  }

  /// Drops the free slots behind the last one in use, and chains the others anew.
  private func dropTrailingFreeSlots() {
    let end = (slots.lastIndex { $0.callback != nil } ?? -1) + 1
    slots = Array(slots[..<end])
    firstFree = Self.none
    for index in slots.indices.reversed() where slots[index].callback == nil {
      slots[index].place = firstFree
      firstFree = UInt32(index)
    }
  }

  private static let none = UInt32.max
}
