// SPDX-License-Identifier: Apache-2.0
//
// The one door for other threads.

import Glibc
import Synchronization

/// Work that other threads leave for the loop: a queue of many writers and one reader, without a lock.
///
/// Order: what one thread leaves stays in its order.
///
/// Invariant: one word says all that the two sides agree on: the position of the next entry, whether the reader sleeps,
/// and whether the inbox is closed. A writer takes a position, and ends the sleep, in one exchange of that word. So a
/// reader that sleeps is rung by the first entry after that, and by no other; an entry that was left before the closing
/// is the closing's to find, and who left one after it knows so.
///
/// Entry *p* stands in block `p / 128`, at place `p % 128`. Place 127 is no place: while the position is there, the
/// writer that took the one before it adds the next block. A place's `isWritten` hands it over, to the reader and back.
/// The reader gives a block away when it has read all of it; by then no writer knows it any more.
///
/// `@unchecked Sendable`: `reader` is used by the thread that holds the loop; all else is atomic, or handed over as
/// above.
@safe final class Inbox: @unchecked Sendable {
  /// What the thread that left something has to do about it.
  enum Reception: Sendable {
    /// Nothing: the loop is awake, or has been rung already.
    case taken
    /// Ring the loop.
    case mustRing
    /// The loop is closed. It runs nothing any more, but what was left is in.
    case takenAfterClosing
    /// Nothing was left: the loop is closed.
    case refused
  }

  private struct Place: ~Copyable {
    var work = Work.nothing
    let isWritten = Atomic(false)
  }

  @safe private struct Block: ~Copyable {
    let places: UnsafeMutablePointer<Place>
    let next = unsafe Atomic<UnsafeMutablePointer<Block>?>(nil)

    static func make() -> UnsafeMutablePointer<Block> {
      let places = UnsafeMutablePointer<Place>.allocate(capacity: Inbox.gap)
      for place in 0..<Inbox.gap { unsafe (places + place).initialize(to: Place()) }
      let block = UnsafeMutablePointer<Block>.allocate(capacity: 1)
      unsafe block.initialize(to: Block(places: places))
      return unsafe block
    }

    @inline(never)
    static func free(_ block: UnsafeMutablePointer<Block>) {
      let places = unsafe block.pointee.places
      unsafe places.deinitialize(count: Inbox.gap)
      unsafe places.deallocate()
      unsafe block.deinitialize(count: 1)
      unsafe block.deallocate()
    }
  }

  @safe private struct Claim {
    let place: UnsafeMutablePointer<Place>
    let reception: Reception
  }

  /// Where the reader is (its next position, the block of that, its place there), and whether it has read since it
  /// slept.
  @safe private struct Reader {
    var position: UInt64 = 0
    var block: UnsafeMutablePointer<Block>
    var place: UnsafeMutablePointer<Place>
    var isBusy = false
  }

  /// Position, sleep and closing.
  private let word = Atomic<UInt64>(0)
  /// The block of the position.
  private let block: Atomic<UnsafeMutablePointer<Block>>
  /// One that was read, for the next writer who needs one.
  private let spare = unsafe Atomic<UnsafeMutablePointer<Block>?>(nil)
  private let reader: UnsafeMutablePointer<Reader>

  init() {
    let first = unsafe Block.make()
    unsafe block = Atomic(first)
    unsafe reader = .allocate(capacity: 1)
    unsafe reader.initialize(to: Reader(block: first, place: first.pointee.places))
  }

  // MARK: Any thread

  /// Leaves work.
  ///
  /// - Parameter evenIfClosed: jobs of Swift tasks are taken for ever, since a task that nobody runs would hang.
  @inline(__always)
  func leave(_ work: consuming sending Work, evenIfClosed: Bool = false) -> Reception {
    guard let claim = claim(evenIfClosed: evenIfClosed) else { return .refused }
    // SAFETY: the place was given to this thread, and the reader does not free its block before it is written.
    // Not assigned: the place holds `nothing`, which needs no release.
    unsafe UnsafeMutableRawPointer(claim.place).assumingMemoryBound(to: Work.self).initialize(to: work)
    unsafe claim.place.pointee.isWritten.store(true, ordering: .releasing)
    return claim.reception
  }

  /// Takes the next place for the calling thread, which has to write it.
  @inline(__always)
  private func claim(evenIfClosed: Bool) -> Claim? {
    var seen = word.load(ordering: .acquiring)
    var next: UnsafeMutablePointer<Block>?
    while seen & Self.closed == 0 || evenIfClosed {
      let place = Self.place(of: seen)
      if place == Self.gap {
        sched_yield()
        seen = word.load(ordering: .acquiring)
        continue
      }
      let isLast = place == Self.gap - 1
      if isLast, unsafe next == nil { unsafe next = unsafe newBlock() }
      // Of this position, if the exchange finds the position unchanged.
      let block = unsafe self.block.load(ordering: .acquiring)
      let (isOurs, present) = word.weakCompareExchange(
        expected: seen, desired: (seen + Self.one) & ~Self.asleep, ordering: .sequentiallyConsistent)
      guard isOurs else {
        seen = present
        continue
      }
      if isLast, let new = unsafe next.take() { unsafe add(new, after: block) }
      // Another writer was faster, and has added one.
      if let next = unsafe next { unsafe Block.free(next) }
      return unsafe Claim(place: block.pointee.places + place, reception: Self.reception(seen))
    }
    if let next = unsafe next { unsafe Block.free(next) }
    return nil
  }

  @inline(never)
  private func newBlock() -> UnsafeMutablePointer<Block> {
    unsafe spare.exchange(nil, ordering: .acquiring) ?? Block.make()
  }

  /// Moves the position over the gap, to the first place of a new block.
  @inline(never)
  private func add(_ new: UnsafeMutablePointer<Block>, after block: UnsafeMutablePointer<Block>) {
    unsafe self.block.store(new, ordering: .releasing)
    word.wrappingAdd(Self.one, ordering: .releasing)
    unsafe block.pointee.next.store(new, ordering: .releasing)
  }

  private static func reception(_ seen: UInt64) -> Reception {
    if seen & closed != 0 { return .takenAfterClosing }
    return seen & asleep != 0 ? .mustRing : .taken
  }

  /// Whether something was left, or is being left, since the reader had read so far. Any thread.
  func hasMore(than position: UInt64) -> Bool {
    word.load(ordering: .sequentiallyConsistent) & ~Self.flags != position
  }

  // MARK: The reader's thread

  /// How far the reader has read.
  var positionRead: UInt64 { unsafe reader.pointee.position }

  /// Whether nothing was left, and nothing is being left now.
  var isEmpty: Bool { !hasMore(than: positionRead) }

  /// Whether something can be moved. (It looks at the reader's next place, and leaves the writers' word to them.)
  var hasEntry: Bool { unsafe reader.pointee.place.pointee.isWritten.load(ordering: .acquiring) }

  /// Moves what was left to the end of a queue, up to some number of entries.
  func move(to queue: borrowing ReadyQueue, atMost limit: Int) {
    var left = limit
    while left > 0, hasEntry {
      queue.append(takeFirst())
      left -= 1
    }
    if left < limit { unsafe reader.pointee.isBusy = true }
  }

  /// Says that the loop is about to wait.
  ///
  /// - Returns: `false` when it must not, because something came in before.
  func willSleep() -> Bool {
    // Where something came from, more may come: what a thread leaves meanwhile needs no ring, and no waking.
    if unsafe reader.pointee.isBusy {
      unsafe reader.pointee.isBusy = false
      sched_yield()
      if hasEntry { return false }
    }
    let present = word.load(ordering: .relaxed)
    let isEmpty = unsafe present & ~Self.flags == reader.pointee.position
    let asleep = present | Self.asleep
    if isEmpty, word.compareExchange(expected: present, desired: asleep, ordering: .sequentiallyConsistent).exchanged {
      return true
    }
    // Who was interrupted while leaving something has to go on first.
    if !hasEntry { sched_yield() }
    return false
  }

  /// Says that the loop is awake.
  func didWake() { word.bitwiseAnd(~Self.asleep, ordering: .relaxed) }

  /// Refuses all but jobs from now on.
  func close() { word.bitwiseOr(Self.closed, ordering: .sequentiallyConsistent) }

  private func takeFirst() -> Work {
    let place = unsafe reader.pointee.place
    let work = unsafe exchange(&place.pointee.work, with: .nothing)
    unsafe place.pointee.isWritten.store(false, ordering: .relaxed)
    unsafe reader.pointee.position += Self.one
    unsafe reader.pointee.place += 1
    if unsafe Self.place(of: reader.pointee.position) == Self.gap { dropBlock() }
    return work
  }

  private func dropBlock() {
    let read = unsafe reader.pointee.block
    // Its last place was written, and before that the next block was added.
    guard let next = unsafe read.pointee.next.exchange(nil, ordering: .acquiring) else {
      preconditionFailure("Inbox: a block has no next one")
    }
    unsafe reader.pointee.block = unsafe next
    unsafe reader.pointee.place = unsafe next.pointee.places
    unsafe reader.pointee.position += Self.one
    if let second = unsafe spare.exchange(read, ordering: .acquiringAndReleasing) { unsafe Block.free(second) }
  }

  private static func place(of word: UInt64) -> Int { Int(truncatingIfNeeded: word / one) & gap }

  private static let closed: UInt64 = 1
  private static let asleep: UInt64 = 2
  private static let flags = closed | asleep
  /// A step of the position.
  private static let one: UInt64 = 4
  /// The last place of a block, which holds no entry.
  private static let gap = 127

  deinit {
    // Nobody leaves anything any more.
    while hasEntry { _ = takeFirst() }
    unsafe Block.free(reader.pointee.block)
    if let spare = unsafe spare.load(ordering: .acquiring) { unsafe Block.free(spare) }
    unsafe reader.deallocate()
  }
}
