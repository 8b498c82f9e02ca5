// SPDX-License-Identifier: Apache-2.0

import AsyncIO
import Testing

@Suite struct IdentityMapTests {
  private final class Key {}

  @Test func `values are walked in the order in which their keys came, whatever was removed or replaced`() {
    var map = IdentityMap<Int>()
    let keys = (0..<100).map { _ in Key() }
    for (number, key) in keys.enumerated() { map[ObjectIdentifier(key)] = number }
    #expect(map.values == Array(0..<100))
    for number in stride(from: 0, to: 100, by: 2) { map[ObjectIdentifier(keys[number])] = nil }
    #expect(map.removeValue(forKey: ObjectIdentifier(keys[1])) == 1)
    #expect(map.removeValue(forKey: ObjectIdentifier(keys[1])) == nil)
    // One that comes again stands behind; one that is replaced stays where it is.
    map[ObjectIdentifier(keys[0])] = 1_000
    map[ObjectIdentifier(keys[3])] = -3
    #expect(map.values == [-3] + Array(stride(from: 5, to: 100, by: 2)) + [1_000])
    #expect(map.count == 50)
    #expect(map[ObjectIdentifier(keys[3])] == -3)
    #expect(map[ObjectIdentifier(keys[2])] == nil)
    #expect(!map.isEmpty)
  }
}
