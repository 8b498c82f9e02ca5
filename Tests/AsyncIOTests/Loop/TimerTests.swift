// SPDX-License-Identifier: Apache-2.0

import AsyncIOTesting
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct TimerTests {
  @Test(.inOrder, arguments: [false, true])
  func `TM-01, TM-02: timers run by deadline, and equal ones in order of arming`(debug: Bool) throws {
    let order = try runVirtually(.init().with(debug: debug)) { loop in
      var order: [Int] = []
      for seconds in [3, 1, 2] { loop.callLater(.seconds(seconds)) { order.append(seconds) } }
      let deadline = loop.now.advanced(by: .seconds(10))
      for number in 10..<210 { loop.callAt(deadline) { order.append(number) } }
      try await loop.sleep(until: deadline)
      return order
    }
    #expect(order == [1, 2, 3] + Array(10..<210))
  }

  @Test(.inOrder) func `TM-03: a delay of zero means the next turn, after what was queued before`() throws {
    let order = try runVirtually { loop in
      var order: [String] = []
      loop.callSoon {
        order.append("soon")
        loop.callSoon { order.append("soon, next turn") }
        loop.callLater(.zero) {
          order.append("timer, next turn")
          loop.callSoon { order.append("soon, last turn") }
        }
      }
      loop.callLater(.zero) { order.append("timer") }
      try await turns(4)
      return order
    }
    #expect(order == ["soon", "timer", "soon, next turn", "timer, next turn", "soon, last turn"])
  }

  @Test func `TM-04: a zero-delay timer that re-arms itself leaves their turn to all others`() throws {
    let loop = try EventLoop()
    defer { loop.close() }
    let order = Notes<String>()
    let thread = Shared<TestThread?>(nil)
    try loop.callSoonThreadsafe { loop in
      func beat(_ loop: isolated EventLoop) { loop.callLater(.zero) { beat(loop) } }
      beat(loop)
      loop.callSoon { order.add("soon") }
      loop.callLater(.milliseconds(2)) {
        order.add("later")
        let stopper = TestThread { loop.stop() }
        thread.change { $0 = stopper }
      }
    }
    try loop.runForever()
    thread.value?.join()
    #expect(order.value == ["soon", "later"])
  }

  @Test(.inOrder) func `TM-05: negative delays run in the next turn, the most negative first`() throws {
    let order = try runVirtually { loop in
      var order: [Int] = []
      loop.callLater(.zero) { order.append(0) }
      loop.callLater(.seconds(-1)) { order.append(-1) }
      loop.callLater(.seconds(-2)) { order.append(-2) }
      loop.callLater(Duration(attoseconds: .min)) { order.append(-3) }
      try await turns(2)
      return order
    }
    #expect(order == [-3, -2, -1, 0])
  }

  @Test(arguments: [
    Duration.seconds(Int64.max), .nanoseconds(Int64.max), .seconds(10_000_000_000),
    Duration(attoseconds: .max),
  ])
  func `TM-08, TM-09: a huge delay is taken, never fires, and can be cancelled`(delay: Duration) throws {
    try runVirtually { loop in
      try await self.checkHugeDelay(delay, on: loop) {
        try await loop.sleep(for: .seconds(100 * 365 * 86_400))
      }
    }
    try EventLoop.run { loop in
      try await self.checkHugeDelay(delay, on: loop) {
        // The kernel's wait is as long as the timer says, and another's wake-up ends it.
        try await loop.sleep(for: .milliseconds(2))
        try await self.withWakeUp(of: loop)
      }
    }
  }

  private func checkHugeDelay(
    _ delay: Duration, on loop: isolated EventLoop, meanwhile: () async throws -> Void
  ) async throws {
    var fired = false
    let handle = loop.callLater(delay) { fired = true }
    let other = loop.callAt(loop.now.advanced(by: delay)) { fired = true }
    var states = [handle.isPending(), other.isPending()]
    try await meanwhile()
    states += [handle.isPending(), other.isPending()]
    handle.cancel()
    other.cancel()
    states += [handle.isPending(), other.isPending()]
    #expect(states == [true, true, true, true, false, false])
    #expect(!fired)
  }

  /// Waits until another thread has called back.
  private nonisolated(nonsending) func withWakeUp(of loop: EventLoop) async throws {
    let future = loop.createFuture(of: Void.self)
    let thread = TestThread { try? future.setResult() }
    try await future.value
    thread.join()
  }

  @Test(arguments: [EventLoop.Configuration.TimerPrecision.millisecond, .precise])
  func `TM-10, TM-11: on the real clock no timer is early, nor late by much`(
    precision: EventLoop.Configuration.TimerPrecision
  ) throws {
    var configuration = EventLoop.Configuration()
    configuration.timerPrecision = precision
    let rounds = try EventLoop.run(configuration: configuration) { loop in
      var random = SplitMix64(state: 10)
      var rounds: [[Duration]] = []
      for _ in 0..<10 {
        var late: [Duration] = []
        for _ in 0..<20 {
          let deadline = loop.now.advanced(by: .microseconds(Int.random(in: 0...4_000, using: &random)))
          loop.callAt(deadline) { late.append(deadline.duration(to: loop.now)) }
        }
        try await loop.sleep(for: .milliseconds(5))
        rounds.append(late)
      }
      return rounds
    }
    #expect(rounds.allSatisfy { $0.count == 20 && $0.allSatisfy { $0 >= .zero } })
    // The best round, since the machine has other work to do.
    #expect(rounds.compactMap { $0.max() }.contains { $0 < .milliseconds(10) })
  }

  @Test(arguments: [false, true])
  func `TM-12, TM-20: a timer can be cancelled before, twice and after; its deadline can always be read`(
    debug: Bool
  ) throws {
    try runVirtually(.init().with(debug: debug)) { loop in
      var ran: [Int] = []
      let start = loop.now
      let victim = loop.callLater(.seconds(1)) { ran.append(1) }
      let other = loop.callLater(.seconds(2)) { ran.append(2) }
      var states = [victim.isPending(), other.isPending()]
      victim.cancel()
      victim.cancel()
      states += [victim.isPending(), other.isPending()]
      try await loop.sleep(for: .seconds(3))
      states += [victim.isPending(), other.isPending()]
      other.cancel()
      #expect(states == [true, true, false, true, false, false])
      #expect(victim.deadline == start.advanced(by: .seconds(1)))
      #expect(other.deadline == start.advanced(by: .seconds(2)))
      #expect(ran == [2])
    }
  }

  @Test(.inOrder) func `TM-13: a timer that an earlier one of the same turn cancels does not run`() throws {
    let ran = try runVirtually { loop in
      var ran: [Int] = []
      var victim: TimerHandle?
      loop.callLater(.seconds(1)) {
        let before = victim?.isPending(isolation: loop)
        victim?.cancel(isolation: loop)
        let after = victim?.isPending(isolation: loop)
        if before == true && after == false { ran.append(1) }
      }
      victim = loop.callLater(.seconds(1)) { ran.append(2) }
      loop.callLater(.seconds(1)) { ran.append(3) }
      try await loop.sleep(for: .seconds(2))
      return ran
    }
    #expect(ran == [1, 3])
  }

  @Test func `TM-14: a cancel from the timer's own callback does nothing`() throws {
    try runVirtually { loop in
      var ran = 0
      var handle: TimerHandle?
      handle = loop.callLater(.seconds(1)) {
        if handle?.isPending(isolation: loop) == true { ran += 100 }
        handle?.cancel(isolation: loop)
        // The place of the running timer is given to this one; the old name does not reach it.
        loop.callLater(.seconds(1)) { ran += 10 }
        handle?.cancel(isolation: loop)
        ran += 1
      }
      try await loop.sleep(for: .seconds(3))
      #expect(ran == 11)
    }
  }

  @Test func `TM-15: a cancelled timer lets go of its closure at once`() throws {
    try runVirtually { loop in
      var released = 0
      var handles: [TimerHandle] = []
      for _ in 0..<1_000 {
        let sentinel = Sentinel { released += 1 }
        handles.append(loop.callLater(.seconds(3_600)) { withExtendedLifetime(sentinel) {} })
      }
      for handle in handles { handle.cancel() }
      #expect(released == 1_000)
    }
  }

  @Test(.inOrder) func `TM-19: a point that has passed means the next turn`() throws {
    let order = try runVirtually { loop in
      var order: [Int] = []
      loop.callAt(loop.now.advanced(by: .seconds(-5))) { order.append(2) }
      loop.callAt(EventLoop.Instant(Deadline(nanoseconds: .min))) { order.append(1) }
      loop.callAt(loop.now) { order.append(3) }
      try await turns(2)
      return order
    }
    #expect(order == [1, 2, 3])
  }

  @Test(.inOrder) func `TM-21, L-39: timers that come due during a long callback run once each, in order`() throws {
    let order = try runVirtually { loop in
      var order: [Int] = []
      for number in [5, 1, 4, 2, 3] { loop.callLater(.seconds(number)) { order.append(number) } }
      // A blocking callback; a stopped process looks just the same.
      loop.callSoon { try loop.elapse(.seconds(10)) }
      try await loop.sleep(for: .seconds(60))
      return order
    }
    #expect(order == [1, 2, 3, 4, 5])
  }

  @Test func `L-38: a delay counts from the call, and not from the start of the turn`() throws {
    try runVirtually { loop in
      let end = loop.createFuture(of: Duration.self)
      loop.callSoon {
        try loop.elapse(.seconds(5))
        let start = loop.now
        loop.callLater(.seconds(1)) { try end.setResult(start.duration(to: loop.now)) }
      }
      let elapsed = try await end.value
      #expect(elapsed == .seconds(1))
    }
  }

  @Test func `TM-23, TM-24: sleeping tasks see the loop's clock, which jumps when nothing else is ready`()
    throws
  {
    try runVirtually { loop in
      let start = loop.now
      var log: [String] = []
      for (name, pause) in [("a", 7), ("b", 5)] {
        loop.createTask {
          for _ in 0..<3 {
            try await sleep(for: .seconds(pause))
            log.append("\(name)\(start.duration(to: loop.now) / .seconds(1))")
          }
        }
      }
      var laps = 0
      func lap(_ loop: isolated EventLoop) {
        laps += 1
        if laps < 2_000 {
          loop.callSoon { lap(loop) }
        } else {
          log.append("busy\(start.duration(to: loop.now) / .seconds(1))")
        }
      }
      lap(loop)
      try await loop.sleep(for: .seconds(3_600))
      #expect(log == ["busy0.0", "b5.0", "a7.0", "b10.0", "a14.0", "b15.0", "a21.0"])
    }
  }

  @Test(arguments: [30, 31, 32, 36, 52])
  func `TM-25: short timers fire at any uptime, beside a far one`(bits: Int) throws {
    let margin: Int64 = 50
    let clock = TestClock(start: ((Int64(1) << min(bits, 43)) - margin) * 1_000_000)
    let beats = try TestRun(.init(), clock: clock).run { loop in
      var beats = 0
      let far = loop.callLater(.seconds(100 * 365 * 86_400)) { beats = .min }
      for _ in 0..<100 {
        let start = loop.now
        try await loop.sleep(for: .milliseconds(1))
        if start.duration(to: loop.now) == .milliseconds(1) { beats += 1 }
      }
      far.cancel()
      return beats
    }.get()
    #expect(beats == 100)
  }

  @Test(.inOrder) func `TM-28: a timer that re-arms itself skips no beat`() throws {
    let all = Amount.of(10_000_000, optimized: 1_000_000, usually: 20_000)
    let (beats, elapsed) = try runVirtually { loop in
      let end = loop.createFuture(of: Void.self)
      let start = loop.now
      var beats = 0
      func beat(_ loop: isolated EventLoop) throws {
        beats += 1
        if beats == all { return try end.setResult() }
        loop.callLater(.milliseconds(1)) { try beat(loop) }
      }
      loop.callLater(.milliseconds(1)) { try beat(loop) }
      try await end.value
      return (beats, start.duration(to: loop.now))
    }
    #expect(beats == all)
    #expect(elapsed == .milliseconds(all))
  }
}
