// SPDX-License-Identifier: Apache-2.0

import AsyncIOTesting
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct RescheduleTests {
  @Test func `TM-20: a timer that is pushed back runs at its new time only, and says when that is`() throws {
    try runVirtually { loop in
      let start = loop.now
      var ran: [Duration] = []
      let timer = loop.callLater(.seconds(1)) { ran.append(start.duration(to: loop.now)) }
      try await sleep(for: .milliseconds(900))
      timer.reschedule(after: .seconds(5))
      #expect(timer.nextDeadline() == start.advanced(by: .milliseconds(5_900)))
      #expect(timer.deadline == start.advanced(by: .seconds(1)))
      try await sleep(for: .seconds(4))
      #expect(ran.isEmpty)
      try await sleep(for: .seconds(4))
      #expect(ran == [.milliseconds(5_900)])
      #expect(timer.nextDeadline() == nil)
    }
  }

  @Test func `a timer that is pulled in runs once, and earlier`() throws {
    try runVirtually { loop in
      let start = loop.now
      var ran: [Duration] = []
      let timer = loop.callLater(.seconds(100)) { ran.append(start.duration(to: loop.now)) }
      timer.reschedule(after: .seconds(2))
      try await sleep(for: .seconds(200))
      #expect(ran == [.seconds(2)])
      withExtendedLifetime(timer) {}
    }
  }

  @Test func `a push counts from no earlier than its call, also in a callback that takes long`() throws {
    try runVirtually { loop in
      let start = loop.now
      var ran: Duration?
      let timer = loop.callLater(.seconds(1)) { ran = start.duration(to: loop.now) }
      loop.callSoon {
        try loop.elapse(.milliseconds(500))
        timer.reschedule(after: .seconds(1), isolation: loop)
      }
      try await sleep(for: .seconds(10))
      #expect(ran == .milliseconds(1_500))
    }
  }

  @Test(.inOrder)
  func `TM-13: a timer that is due, and pushed back by an earlier one of its batch, does not run in it`() throws {
    try runVirtually { loop in
      let start = loop.now
      var ran: [String] = []
      let second = Reference<TimerHandle?>(nil)
      loop.callAt(start.advanced(by: .seconds(1))) {
        ran.append("first")
        second.value?.reschedule(after: .seconds(1), isolation: loop)
      }
      second.value = loop.callAt(start.advanced(by: .seconds(1))) {
        ran.append("second after \(start.duration(to: loop.now))")
      }
      try await sleep(for: .seconds(5))
      #expect(ran == ["first", "second after 2.0 seconds"])
    }
  }

  @Test(arguments: [Duration.zero, .seconds(-3)])
  func `TM-03: rescheduled to now or before, it runs in the next turn`(delay: Duration) throws {
    try runVirtually { loop in
      var ran = 0
      let first = loop.callLater(.seconds(100)) { ran += 1 }
      let second = loop.callLater(.seconds(100)) { ran += 1 }
      first.reschedule(after: delay)
      second.reschedule(at: loop.now.advanced(by: delay))
      try await sleep(for: .milliseconds(1))
      #expect(ran == 2)
    }
  }

  @Test func `TM-09: rescheduled beyond all time it never runs, and can be pulled back`() throws {
    try runVirtually { loop in
      var ran = 0
      let timer = loop.callLater(.seconds(1)) { ran += 1 }
      timer.reschedule(after: .nanoseconds(Int64.max))
      try await sleep(for: .seconds(1_000_000_000))
      #expect(ran == 0)
      timer.reschedule(after: .seconds(1))
      try await sleep(for: .seconds(2))
      #expect(ran == 1)
    }
  }

  @Test func `TM-12: rescheduling what has run, or was cancelled, does nothing`() throws {
    try runVirtually { loop in
      var ran = 0
      let run = loop.callLater(.seconds(1)) { ran += 1 }
      let cancelled = loop.callLater(.seconds(1)) { ran += 1 }
      cancelled.cancel()
      try await sleep(for: .seconds(2))
      for timer in [run, cancelled] {
        timer.reschedule(after: .seconds(1))
        timer.reschedule(at: loop.now.advanced(by: .seconds(1)))
        let isPending = timer.isPending()
        #expect(!isPending)
      }
      try await sleep(for: .seconds(5))
      #expect(ran == 1)
    }
  }

  @Test(.inOrder) func `TM-02: the order of rescheduling is that of equal deadlines`() throws {
    try runVirtually { loop in
      var order: [Int] = []
      let timers = (0..<5_000).map { number in loop.callLater(.seconds(1)) { order.append(number) } }
      // More than are noted at a time; virtual time stands still meanwhile.
      for number in timers.indices.reversed() { timers[number].reschedule(after: .seconds(3)) }
      try await sleep(for: .seconds(4))
      #expect(order == (0..<5_000).reversed())
    }
  }

  @Test(.inOrder) func `a timeout that is pushed back for ever never runs, and nothing grows`() throws {
    try runVirtually { loop in
      var ran = 0
      let timers = (0..<100).map { _ in loop.callLater(.seconds(30)) { ran += 1 } }
      for round in 0..<20_000 {
        timers[round % 100].reschedule(after: .seconds(30))
        try await sleep(for: .milliseconds(100))
      }
      #expect(ran == 0)
      #expect(loop.executor.timers.count == 100)
      #expect(loop.executor.timers.capacity <= 4_096)
      for timer in timers { timer.cancel() }
    }
  }
}

@Suite(.oneAtATime) struct RepeatingTests {
  /// Expects the beats, in milliseconds, of a timer each 10 ms, whose beat number two holds the loop up for a while.
  private func expectBeats(_ expected: [Int], _ missed: MissedBeats, held: Duration) throws {
    try runVirtually { loop in
      let start = loop.now
      var beats: [Duration] = []
      let end = loop.createFuture(of: Void.self)
      loop.callEvery(.milliseconds(10), missed: missed) { timer in
        beats.append(start.duration(to: loop.now))
        if beats.count == 2 { try loop.elapse(held) }
        if beats.count == expected.count {
          timer.cancel(isolation: loop)
          try end.setResult()
        }
      }
      try await end.value
      try await sleep(for: .seconds(1))
      #expect(beats == expected.map { .milliseconds($0) })
    }
  }

  @Test func `TM-22: beats keep their rhythm, however late each one is`() throws {
    try expectBeats([10, 20, 30, 40, 50], .skip, held: .milliseconds(7))
  }

  @Test func `TM-22: missed beats are skipped, and the rhythm stays`() throws {
    try expectBeats([10, 20, 45, 50, 60], .skip, held: .milliseconds(25))
  }

  @Test func `TM-22: or the rhythm starts anew`() throws {
    try expectBeats([10, 20, 45, 55, 65], .delay, held: .milliseconds(25))
  }

  @Test func `TM-22: or they are made up, if that is asked`() throws {
    try expectBeats([10, 20, 45, 45, 50, 60], .burst, held: .milliseconds(25))
  }

  @Test func `TM-22: a callback that throws is reported, and the beats go on`() throws {
    struct Failure: Error {}
    try runVirtually { loop in
      var reports = 0
      loop.exceptionHandler = { _ in reports += 1 }
      var beats = 0
      let timer = loop.callEvery(.seconds(1)) { _ in
        beats += 1
        throw Failure()
      }
      try await sleep(for: .milliseconds(3_500))
      #expect(beats == 3 && reports == 3)
      #expect(timer.nextDeadline != nil)
      timer.cancel()
      timer.cancel()
      #expect(timer.nextDeadline == nil)
      try await sleep(for: .seconds(3))
      #expect(beats == 3)
    }
  }

  @Test func `a repeating timer that is cancelled lets go of its callback`() throws {
    try runVirtually { loop in
      var released = 0
      do {
        let sentinel = Sentinel { released += 1 }
        let timer = loop.callEvery(.seconds(1)) { _ in withExtendedLifetime(sentinel) {} }
        try await sleep(for: .milliseconds(2_500))
        timer.cancel()
      }
      #expect(released == 1)
      #expect(loop.executor.timers.count == 0)
    }
  }

  @Test func `TM-22: what a repeating timer held may ask it at its end, and cancel it again`() throws {
    try runVirtually { loop in
      let timer = Reference<RepeatingTimer?>(nil)
      var deadlines: [EventLoop.Instant?] = []
      do {
        let sentinel = Sentinel {
          deadlines.append(timer.value?.nextDeadline)
          timer.value?.cancel(isolation: loop)
        }
        timer.value = loop.callEvery(.seconds(1)) { _ in withExtendedLifetime(sentinel) {} }
      }
      timer.value?.cancel()
      #expect(deadlines == [nil])
      #expect(loop.executor.timers.count == 0)
    }
  }
}

private final class Reference<Value> {
  var value: Value
  init(_ value: Value) { self.value = value }
}
