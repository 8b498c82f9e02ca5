// SPDX-License-Identifier: Apache-2.0
//
// In which order timers come: a hierarchical wheel that sorts only what is due.

/// What stands for a timer in the wheel. It is not touched when the timer is cancelled or pushed back, only when its
/// time comes.
struct TimerEntry {
  /// Where it stands: the deadline that the timer had when the entry was made, by `TimerWheel.key`.
  let key: UInt64
  /// Counted up at each arming: ends a tie, and is the entry's name.
  let order: UInt64
  let slot: UInt32

  func precedes(_ other: TimerEntry) -> Bool { key == other.key ? order < other.order : key < other.key }
}

/// Entries by (key, order).
///
/// A wheel has eleven levels of 64 buckets; a bucket of level *n* is 64ⁿ nanoseconds wide. An entry stands in the level
/// of the highest digit (in base 64) in which its key differs from `horizon`, in the bucket of that digit. When the
/// time comes to a bucket, a small one is sorted, and a large one is dealt out to the levels below. So an entry costs a
/// few moves in its life, whatever the number of the others, and none at all if it is cancelled before.
///
/// Invariant: keys below `horizon` stand in `near`, a 4-ary heap; all others in the wheel, where each digit of a
/// bucket, in its level, is greater than that of `horizon` (in level 0: not less). `horizon` is at most one beyond the
/// time of the last look, or of the start. `occupied` has a bit for each bucket that is not empty, whose `least` no key in it is below.
@safe struct TimerWheel: ~Copyable {
  /// Entries in blocks: of many, none is moved for the sake of those that come later.
  ///
  /// Invariant: `entries` is the last block, and not empty unless the bucket is.
  private struct Bucket {
    var entries: [TimerEntry] = []
    var fullBlocks: [[TimerEntry]] = []
    var least = UInt64.max

    var isLarge: Bool { !fullBlocks.isEmpty }

    mutating func popBlock() -> [TimerEntry]? {
      if let block = fullBlocks.popLast() { return block }
      return entries.isEmpty ? nil : exchange(&entries, with: [])
    }
  }

  private var near: [TimerEntry] = []
  private var horizon: UInt64
  private let buckets: UnsafeMutablePointer<Bucket>
  private let occupied: UnsafeMutablePointer<UInt64>
  /// Memory of blocks that were emptied, and for how many entries it is.
  private var spares: [[TimerEntry]] = []
  private var sparePlaces = 0
  /// All entries.
  private(set) var count = 0

  /// - Parameter start: No timer will be looked for at an earlier time. Where it is near to what is armed first, less
  ///   has to be dealt out at the first look.
  init(startingAt start: UInt64) {
    horizon = start
    // SAFETY: both are owned by this value, initialized here, and freed in deinit; all indices are products of a level
    // and a digit, both checked by their masks.
    unsafe buckets = .allocate(capacity: Self.levels * Self.digits)
    unsafe buckets.initialize(repeating: Bucket(), count: Self.levels * Self.digits)
    unsafe occupied = .allocate(capacity: Self.levels)
    unsafe occupied.initialize(repeating: 0, count: Self.levels)
  }

  /// The place of a deadline in the order of unsigned numbers.
  static func key(_ deadline: Deadline) -> UInt64 { UInt64(bitPattern: deadline.nanoseconds ^ .min) }

  static func deadline(_ key: UInt64) -> Deadline { Deadline(nanoseconds: Int64(bitPattern: key) ^ .min) }

  /// Adds an entry.
  ///
  /// - Complexity: O(1); O(log n) among those that are due.
  mutating func insert(_ entry: TimerEntry) {
    count += 1
    place(entry)
  }

  /// Takes the first entry whose key is not beyond a time, which never goes back.
  mutating func popFirst(upTo now: UInt64, _ slots: borrowing TimerSlots) -> TimerEntry? {
    while near.isEmpty {
      guard openNext(upTo: now, slots) else { return nil }
    }
    guard near[0].key <= now else { return nil }
    count -= 1
    return near.popLeast()
  }

  /// The first key; where more than 64 entries stand close together, one that no key is below.
  mutating func earliest(_ slots: borrowing TimerSlots) -> UInt64? {
    while let first = near.first {
      let current = slots.renewed(first)
      if let current, current.order == first.order { return first.key }
      _ = near.popLeast()
      count -= 1
      if let current { insert(current) }
    }
    while let (level, digit) = firstBucket {
      let bucket = unsafe bucket(level, digit)
      if unsafe !bucket.pointee.isLarge && bucket.pointee.entries.count <= Self.few {
        let entries = take(level, digit).entries
        count -= entries.count
        for entry in entries {
          if let current = slots.renewed(entry) { insert(current) }
        }
        recycle(entries)
      }
      // A bucket that was emptied is not the first any more.
      if unsafe !bucket.pointee.entries.isEmpty { return unsafe bucket.pointee.least }
    }
    return nil
  }

  /// Drops the entries that stand for nothing any more.
  @inline(never)
  mutating func removeDead(_ slots: borrowing TimerSlots) {
    near.removeAll { slots.isDead($0) }
    near.makeHeap()
    count = near.count
    for level in 0..<Self.levels {
      for digit in 0..<Self.digits {
        var bucket = take(level, digit)
        while let block = bucket.popBlock() {
          for index in block.indices {
            if index + Self.ahead < block.count { slots.prefetch(block[index + Self.ahead].slot) }
            // Into the same bucket: the horizon has not moved.
            if !slots.isDead(block[index]) { insert(block[index]) }
          }
          recycle(block)
        }
      }
    }
    spares = []
    sparePlaces = 0
  }

  /// Memory for how many entries it has.
  var capacity: Int {
    var capacity = near.capacity + sparePlaces
    for index in 0..<Self.levels * Self.digits {
      capacity += unsafe buckets[index].fullBlocks.reduce(buckets[index].entries.capacity) { $0 + $1.capacity }
    }
    return capacity
  }

  private mutating func place(_ entry: TimerEntry) {
    guard entry.key >= horizon else { return near.insertIntoHeap(entry) }
    let level = (63 - ((entry.key ^ horizon) | 1).leadingZeroBitCount) / Self.bits
    let digit = Self.digit(entry.key, level)
    let bucket = unsafe bucket(level, digit)
    if unsafe bucket.pointee.entries.capacity == 0 {
      if let spare = spare() { unsafe bucket.pointee.entries = spare }
    } else if unsafe bucket.pointee.entries.count == Self.large {
      let full = unsafe exchange(&bucket.pointee.entries, with: spare() ?? [])
      unsafe bucket.pointee.entries.reserveCapacity(Self.large)
      unsafe bucket.pointee.fullBlocks.append(full)
    }
    unsafe bucket.pointee.entries.append(entry)
    if unsafe entry.key < bucket.pointee.least { unsafe bucket.pointee.least = entry.key }
    unsafe occupied[level] |= 1 << UInt64(digit)
  }

  /// Brings the entries of the first bucket nearer, if its time has come.
  ///
  /// - Returns: `false` when there is none; `horizon` has come as near as it may, then.
  private mutating func openNext(upTo now: UInt64, _ slots: borrowing TimerSlots) -> Bool {
    // What a crowd of timers at one time took, it does not keep.
    if near.capacity > 2 * Self.large { near = [] }
    let limit = now == .max ? now : now + 1
    guard let (level, digit) = firstBucket, case let start = least(level, digit), start <= now else {
      move(horizonTo: limit)
      return false
    }
    var bucket = take(level, digit)
    if bucket.isLarge && level > 0 {
      horizon = start
      dealOut(bucket)
      return true
    }
    let (end, overflow) = start.addingReportingOverflow(1 << UInt64(level * Self.bits))
    move(horizonTo: overflow ? limit : min(end, limit))
    while let block = bucket.popBlock() {
      for entry in block {
        if entry.key < horizon {
          near.append(entry)
          slots.prefetch(entry.slot)
        } else {
          place(entry)
        }
      }
      recycle(block)
    }
    near.makeHeap()
    return true
  }

  /// Brings the entries of a bucket to where they belong now.
  private mutating func dealOut(_ bucket: consuming Bucket) {
    while let block = bucket.popBlock() {
      for entry in block { place(entry) }
      recycle(block)
    }
  }

  /// Moves the horizon on, over no entry, and deals out the buckets that it has come into.
  private mutating func move(horizonTo new: UInt64) {
    guard new > horizon else { return }
    horizon = new
    for level in (1..<Self.levels).reversed() {
      let digit = Self.digit(horizon, level)
      guard unsafe occupied[level] & (1 << UInt64(digit)) != 0 else { continue }
      dealOut(take(level, digit))
    }
  }

  private var firstBucket: (level: Int, digit: Int)? {
    for level in 0..<Self.levels where unsafe occupied[level] != 0 {
      return unsafe (level, occupied[level].trailingZeroBitCount)
    }
    return nil
  }

  private func bucket(_ level: Int, _ digit: Int) -> UnsafeMutablePointer<Bucket> {
    unsafe buckets + (level * Self.digits + digit)
  }

  /// The least key that belongs into a bucket.
  private func least(_ level: Int, _ digit: Int) -> UInt64 {
    let shift = UInt64(level * Self.bits)
    // Shifts of 64 and more give 0, as they should.
    let above = (horizon >> (shift + UInt64(Self.bits))) << (shift + UInt64(Self.bits))
    return above | UInt64(digit) << shift
  }

  private mutating func take(_ level: Int, _ digit: Int) -> Bucket {
    unsafe occupied[level] &= ~(1 << UInt64(digit))
    return unsafe exchange(&bucket(level, digit).pointee, with: Bucket())
  }

  private mutating func recycle(_ block: consuming [TimerEntry]) {
    guard sparePlaces + block.capacity <= Self.keptPlaces else { return }
    sparePlaces += block.capacity
    block.removeAll(keepingCapacity: true)
    spares.append(block)
  }

  private mutating func spare() -> [TimerEntry]? {
    let spare = spares.popLast()
    sparePlaces -= spare?.capacity ?? 0
    return spare
  }

  private static func digit(_ key: UInt64, _ level: Int) -> Int {
    Int(truncatingIfNeeded: key >> UInt64(level * bits)) & (digits - 1)
  }

  private static let bits = 6
  private static let digits = 64
  private static let levels = 11
  /// A block has so many entries. A bucket of more is dealt out, one of fewer is sorted.
  private static let large = 512
  /// Up to so many entries at the front are looked through for an exact answer.
  private static let few = 64
  private static let keptPlaces = 2_048
  /// So many entries before its turn, a slot's memory is asked for.
  private static let ahead = 16

  deinit {
    unsafe buckets.deinitialize(count: Self.levels * Self.digits)
    unsafe buckets.deallocate()
    unsafe occupied.deallocate()
  }
}

/// A 4-ary min-heap.
extension [TimerEntry] {
  fileprivate mutating func insertIntoHeap(_ entry: TimerEntry) {
    append(entry)
    var place = count - 1
    while place > 0, case let parent = (place - 1) / 4, entry.precedes(self[parent]) {
      self[place] = self[parent]
      place = parent
    }
    self[place] = entry
  }

  fileprivate mutating func popLeast() -> TimerEntry {
    let least = self[0]
    let last = removeLast()
    if !isEmpty { sink(last, from: 0) }
    return least
  }

  fileprivate mutating func makeHeap() {
    guard count > 1 else { return }
    for place in (0...(count - 2) / 4).reversed() { sink(self[place], from: place) }
  }

  /// Puts an entry at a place, or below it.
  private mutating func sink(_ entry: TimerEntry, from start: Int) {
    unsafe withUnsafeMutableBufferPointer { heap in
      // SAFETY: places are below the count, by the conditions.
      let count = heap.count
      var place = start
      while true {
        let firstChild = 4 * place + 1
        guard firstChild < count else { break }
        var least = firstChild
        var child = firstChild + 1
        let end = firstChild + 4 < count ? firstChild + 4 : count
        while child < end {
          if unsafe heap[child].precedes(heap[least]) { least = child }
          child += 1
        }
        guard unsafe heap[least].precedes(entry) else { break }
        unsafe heap[place] = unsafe heap[least]
        place = least
      }
      unsafe heap[place] = entry
    }
  }
}
