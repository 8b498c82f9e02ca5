// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import AsyncIO

@Suite struct LoopClockTests {
  /// Half an hour: no test takes so long.
  private static let grain: Int64 = 1_800_000_000_000

  @Test func `TM-10: a deadline that has just come is waited for to the end of its grain, not beyond`() {
    let clock = MonotonicClock(grain: Self.grain)
    let present = clock.now.nanoseconds
    let grainStart = present / Self.grain * Self.grain
    let limits = [present, grainStart + 1].map { clock.limit(until: Deadline(nanoseconds: $0)) }
    let hasGrainEnded = clock.now.nanoseconds / Self.grain * Self.grain > grainStart
    #expect(limits == [.nanoseconds(1), .nanoseconds(1)] || hasGrainEnded)
    #expect(clock.limit(until: Deadline(nanoseconds: grainStart)) == .poll)
    #expect(clock.limit(until: Deadline(nanoseconds: grainStart - 1)) == .poll)
    #expect(clock.limit(until: Deadline(nanoseconds: -Self.grain)) == .poll)
  }

  @Test func `TM-10: without a grain, what has come is due`() {
    let clock = MonotonicClock()
    #expect(clock.limit(until: clock.now) == .poll)
    #expect(clock.limit(until: Deadline(nanoseconds: 0)) == .poll)
  }

  @Test func `the wait for a deadline to come is never longer than until then`() {
    let clock = MonotonicClock(grain: Self.grain)
    guard case .nanoseconds(let wait) = clock.limit(until: clock.now.advanced(by: .seconds(7))) else {
      Issue.record("no wait")
      return
    }
    #expect(wait > 0 && wait <= 7_000_000_000)
    #expect(clock.limit(until: nil) == .forever)
    #expect(clock.limit(until: .never) == .forever)
  }
}
