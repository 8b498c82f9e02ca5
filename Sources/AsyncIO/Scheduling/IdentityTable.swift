// SPDX-License-Identifier: Apache-2.0
//
// Objects by the identity of a Swift task. A task enters it at its creation and leaves it at its end, so a dictionary's
// hashing and exclusivity checks, about 100 ns a task, would be a tenth of a task's price.

/// A hash table from identities to objects, which it holds.
///
/// Open addressing with linear probing. Invariant: the capacity is a power of two, of which at most three quarters are
/// in use; no free place stands between an entry and the place where its identity hashes to.
@safe final class IdentityTable {
  private typealias Entry = (identity: SwiftTaskIdentity, object: AnyObject)

  private var entries: UnsafeMutablePointer<Entry?>
  private var mask: Int
  private(set) var count = 0

  init() {
    mask = Self.smallest - 1
    // SAFETY: the entries are owned by this object, all initialized, and freed in deinit.
    unsafe entries = Self.allocate(Self.smallest)
  }

  /// The objects, in no order.
  var objects: [AnyObject] {
    (0...mask).compactMap { unsafe entries[$0]?.object }
  }

  /// Finds an object.
  ///
  /// - Complexity: O(1), on average.
  subscript(_ identity: SwiftTaskIdentity) -> AnyObject? {
    // SAFETY: `place` gives an index within the capacity; so below.
    unsafe entries[place(of: identity)]?.object
  }

  /// Enters an object, or replaces one.
  func insert(_ object: AnyObject, for identity: SwiftTaskIdentity) {
    let place = place(of: identity)
    if unsafe entries[place] == nil { count += 1 }
    unsafe entries[place] = (identity, object)
    if count * 4 > (mask + 1) * 3 { resize(to: (mask + 1) * 2) }
  }

  /// Removes an object.
  func remove(_ identity: SwiftTaskIdentity) {
    var free = place(of: identity)
    guard unsafe entries[free] != nil else { return }
    unsafe entries[free] = nil
    count -= 1
    // The entries behind it move up, where their own place allows, so that none is cut off from it.
    var next = (free + 1) & mask
    while let entry = unsafe entries[next] {
      let home = entry.identity.hash & mask
      if (next &- home) & mask >= (next &- free) & mask {
        unsafe entries[free] = entry
        unsafe entries[next] = nil
        free = next
      }
      next = (next + 1) & mask
    }
    if mask >= Self.kept && count * 16 < mask { resize(to: (mask + 1) / 4) }
  }

  private func place(of identity: SwiftTaskIdentity) -> Int {
    var place = identity.hash & mask
    while let entry = unsafe entries[place], entry.identity != identity { place = (place + 1) & mask }
    return place
  }

  private func resize(to capacity: Int) {
    let old = unsafe entries
    let oldCapacity = mask + 1
    unsafe entries = Self.allocate(capacity)
    mask = capacity - 1
    for index in 0..<oldCapacity {
      guard let entry = unsafe old[index] else { continue }
      unsafe entries[place(of: entry.identity)] = entry
    }
    unsafe old.deinitialize(count: oldCapacity)
    unsafe old.deallocate()
  }

  private static func allocate(_ capacity: Int) -> UnsafeMutablePointer<Entry?> {
    let entries = UnsafeMutablePointer<Entry?>.allocate(capacity: capacity)
    unsafe entries.initialize(repeating: nil, count: capacity)
    return unsafe entries
  }

  private static let smallest = 64
  private static let kept = 16_384

  deinit {
    unsafe entries.deinitialize(count: mask + 1)
    unsafe entries.deallocate()
  }
}
