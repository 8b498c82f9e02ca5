// SPDX-License-Identifier: Apache-2.0
//
// The set that keeps the order of its members.

import Testing

@testable import mini_redis

@Suite struct RollTests {
  @Test func `members are in the order in which they came, each once`() {
    var roll = Roll<Int>()
    #expect(roll.isEmpty)
    for member in [3, 1, 2, 1] { roll.insert(member) }
    #expect(!roll.insert(3) && roll.count == 3)
    #expect(Array(roll.inOrder) == [3, 1, 2])
    let isThere = (roll.remove(3), roll.remove(3))
    #expect(isThere == (true, false))
    roll.insert(3)
    #expect(Array(roll.inOrder) == [1, 2, 3])
  }

  @Test func `it does what a list does, whoever leaves`() {
    var roll = Roll<Int>()
    var list: [Int] = []
    var random = SystemRandomNumberGenerator()
    for step in 0..<5_000 {
      let member = Int.random(in: 0..<(step < 2_500 ? 200 : 20), using: &random)
      if Bool.random(using: &random) {
        #expect(roll.insert(member) == !list.contains(member))
        if !list.contains(member) { list.append(member) }
      } else {
        #expect(roll.remove(member) == list.contains(member))
        list.removeAll { $0 == member }
      }
      #expect(roll.count == list.count)
      if !Array(roll.inOrder).elementsEqual(list) { Issue.record("\(Array(roll.inOrder)) for \(list)") }
    }
  }
}
