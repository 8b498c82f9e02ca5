// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct IdentityTableTests {
  private final class Box {
    let number: Int
    init(_ number: Int) { self.number = number }
  }

  /// Identities as tasks have them: multiples of 16.
  private func identity(_ number: Int) -> SwiftTaskIdentity {
    unsafe unsafeBitCast(UInt(0x7F00_0000_0000) + UInt(number) * 16, to: SwiftTaskIdentity.self)
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func `entering, replacing, removing and finding does what a dictionary does`(seed: UInt64) {
    var random = SplitMix64(state: seed)
    let table = IdentityTable()
    var model: [Int: Box] = [:]
    for step in 0..<20_000 {
      // Phases of growth and of shrinking, with long runs of neighbours, which removals cut.
      let isGrowing = step / 2_000 % 2 == 0
      let number = Int.random(in: 0..<700, using: &random)
      if Int.random(in: 0..<4, using: &random) < (isGrowing ? 3 : 1) {
        let box = Box(step)
        table.insert(box, for: identity(number))
        model[number] = box
      } else {
        table.remove(identity(number))
        model[number] = nil
      }
      let asked = Int.random(in: 0..<700, using: &random)
      #expect(table[identity(asked)] === model[asked])
      #expect(table.count == model.count)
    }
    for number in 0..<700 { #expect(table[identity(number)] === model[number]) }
    let objects = Set(table.objects.map(ObjectIdentifier.init))
    #expect(objects == Set(model.values.map(ObjectIdentifier.init)))
  }

  @Test func `it holds its objects, and lets go of them`() {
    var released = 0
    let table = IdentityTable()
    table.insert(Sentinel { released += 1 }, for: identity(1))
    #expect(released == 0)
    table.insert(Sentinel { released += 1 }, for: identity(1))
    #expect(released == 1 && table.count == 1)
    table.remove(identity(1))
    #expect(released == 2 && table.count == 0)
    table.remove(identity(1))
    #expect(table.count == 0)
  }

  @Test func `a table that goes lets go of its objects`() {
    var released = 0
    do {
      let table = IdentityTable()
      for number in 0..<1_000 { table.insert(Sentinel { released += 1 }, for: identity(number)) }
      #expect(table.count == 1_000 && released == 0)
    }
    #expect(released == 1_000)
  }

  @Test func `memory of a burst is given back`() {
    let table = IdentityTable()
    let box = Box(0)
    for number in 0..<50_000 { table.insert(box, for: identity(number)) }
    for number in 0..<49_990 { table.remove(identity(number)) }
    #expect(table.count == 10)
    for number in 49_990..<50_000 { #expect(table[identity(number)] === box) }
    let mask = Mirror(reflecting: table).children.first { $0.label == "mask" }?.value as? Int
    #expect(mask.map { $0 < 16_384 } == true)
  }
}
