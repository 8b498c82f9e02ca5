// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct DeadlineTests {
  @Test func `TM-09: sums saturate at both ends of the clock`() {
    let late = Deadline(nanoseconds: .max - 10)
    #expect(late.advanced(by: .nanoseconds(9)) == Deadline(nanoseconds: .max - 1))
    #expect(late.advanced(by: .nanoseconds(10)) == .never)
    #expect(late.advanced(by: .nanoseconds(11)) == .never)
    #expect(late.advanced(by: .nanoseconds(Int64.max)) == .never)
    let early = Deadline(nanoseconds: .min + 10)
    #expect(early.advanced(by: .nanoseconds(-11)) == Deadline(nanoseconds: .min))
    #expect(early.advanced(by: .nanoseconds(Int64.min)) == Deadline(nanoseconds: .min))
    #expect(Deadline(nanoseconds: 0).advanced(by: .nanoseconds(Int64.min)) == Deadline(nanoseconds: .min))
  }

  @Test func `TM-08: never stays never, whatever is added or taken`() {
    #expect(Deadline.never.advanced(by: .seconds(1)) == .never)
    #expect(Deadline.never.advanced(by: .seconds(-1)) == .never)
    #expect(Deadline(nanoseconds: .max - 1) < .never)
  }

  @Test func `TM-08: durations beyond the clock's range saturate`() {
    #expect(Duration.seconds(Int64.max).saturatingNanoseconds == .max)
    #expect(Duration.seconds(Int64.min).saturatingNanoseconds == .min)
    #expect(Duration.seconds(9_223_372_037).saturatingNanoseconds == .max)
    #expect(Duration.seconds(-9_223_372_037).saturatingNanoseconds == .min)
    #expect(Duration.nanoseconds(Int64.max).saturatingNanoseconds == .max)
    #expect(Duration.nanoseconds(Int64.min).saturatingNanoseconds == .min)
  }

  @Test func `TM-08: durations of more seconds than an Int64 holds saturate`() {
    // `Duration` has 128 bits of attoseconds: 18 times the seconds of an Int64.
    let longest = Duration(attoseconds: .max)
    let least = Duration(attoseconds: .min)
    #expect(longest.saturatingNanoseconds == .max)
    #expect(least.saturatingNanoseconds == .min)
    #expect((Duration.seconds(Int64.max) * 10).saturatingNanoseconds == .max)
    #expect(Deadline(nanoseconds: 5).advanced(by: longest) == .never)
    #expect(Deadline(nanoseconds: -5).advanced(by: least) == Deadline(nanoseconds: .min))
  }

  @Test func `TM-10: parts of a nanosecond round up, on both sides of zero`() {
    let atto = { (count: Int128) in Duration(attoseconds: count).saturatingNanoseconds }
    #expect(atto(1) == 1)
    #expect(atto(1_000_000_000) == 1)
    #expect(atto(1_000_000_001) == 2)
    #expect(atto(-1) == 0)
    #expect(atto(-1_000_000_000) == -1)
    #expect(atto(-1_999_999_999) == -1)
    #expect(atto(-1_000_000_000_000_000_001) == -1_000_000_000)
    #expect(atto(Int128(Int64.max) * 1_000_000_000 - 1) == .max)
    #expect(atto(Int128(Int64.max) * 1_000_000_000 + 1) == .max)
  }

  @Test func `durations between deadlines saturate`() {
    let first = Deadline(nanoseconds: .min)
    #expect(Deadline.never.duration(since: first) == .nanoseconds(Int64.max))
    #expect(first.duration(since: .never) == .nanoseconds(Int64.min))
    #expect(Deadline(nanoseconds: 7).duration(since: Deadline(nanoseconds: 5)) == .nanoseconds(2))
    #expect(Deadline(nanoseconds: 5).duration(since: Deadline(nanoseconds: 7)) == .nanoseconds(-2))
  }

  @Test(arguments: [Double.nan, -.nan, .signalingNaN])
  func `TM-07: NaN seconds are refused`(seconds: Double) {
    #expect(throws: InvalidArgumentError.self) { try Duration(clampingSeconds: seconds) }
  }

  @Test(arguments: [Double.infinity, 1e30, .greatestFiniteMagnitude, 0x1p63 / 1e9])
  func `TM-08: infinite and huge seconds become 292 years`(seconds: Double) throws {
    #expect(try Duration(clampingSeconds: seconds) == .nanoseconds(Int64.max))
    #expect(try Duration(clampingSeconds: -seconds) == .nanoseconds(Int64.min))
    let deadline = Deadline(nanoseconds: 1).advanced(by: try Duration(clampingSeconds: seconds))
    #expect(deadline == .never)
  }

  @Test func `whole milliseconds given in seconds come out whole`() throws {
    for count in -2_000...2_000 {
      #expect(try Duration(clampingSeconds: Double(count) / 1_000) == .milliseconds(count))
    }
    #expect(try Duration(clampingSeconds: -0.0) == .zero)
    #expect(try Duration(clampingSeconds: .leastNonzeroMagnitude) <= .nanoseconds(1))
  }

  @Test func `instants compare and subtract as their deadlines`() {
    let instant = EventLoop.Instant(Deadline(nanoseconds: 1_500_000_000))
    #expect(instant.advanced(by: .seconds(1)) > instant)
    #expect(instant.duration(to: instant.advanced(by: .seconds(-3))) == .seconds(-3))
    #expect(instant.advanced(by: .seconds(Int64.max)) == EventLoop.Instant(.never))
    #expect("\(instant)" == "1.5 seconds")
  }
}
