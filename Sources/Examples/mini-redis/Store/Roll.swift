// SPDX-License-Identifier: Apache-2.0
//
// A set that keeps the order in which its members came, whoever leaves meanwhile.

/// Members, each once, in the order in which they came. One that leaves and comes again is the last.
///
/// Invariant: `places` has the place in `members` of each member, and of nothing else. Less than half of the places are
/// empty, but for a few.
///
/// - Complexity: Entering and leaving are O(1), over time.
struct Roll<Member: Hashable> {
  private var places: [Member: Int] = [:]
  private var members: [Member?] = []

  private static var tolerated: Int { 16 }

  var count: Int { places.count }
  var isEmpty: Bool { places.isEmpty }

  /// The members, in order.
  var inOrder: some Sequence<Member> { members.lazy.compactMap { $0 } }

  /// - Returns: `false` for one that is there.
  @discardableResult
  mutating func insert(_ member: Member) -> Bool {
    guard places[member] == nil else { return false }
    places[member] = members.count
    members.append(member)
    return true
  }

  /// - Returns: `false` for one that is not there.
  @discardableResult
  mutating func remove(_ member: Member) -> Bool {
    guard let place = places.removeValue(forKey: member) else { return false }
    members[place] = nil
    if members.count > 2 * places.count + Self.tolerated { closeRanks() }
    return true
  }

  private mutating func closeRanks() {
    members.removeAll { $0 == nil }
    for (place, member) in members.enumerated() {
      if let member { places[member] = place }
    }
  }
}
