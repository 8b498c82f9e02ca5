// SPDX-License-Identifier: Apache-2.0
//
// Waiting for some of many.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct WaitTests {
  @Test func `WT-01: all completed: done has all, pending is empty`() throws {
    try runVirtually { loop in
      let start = loop.now
      let tasks = [loop.sleeper(.seconds(2), 1), loop.failer(.seconds(1)), loop.sleeper(.seconds(3), 3)]
      let (done, pending) = try await wait(tasks)
      #expect(done == Set(tasks))
      #expect(pending.isEmpty)
      #expect(loop.seconds(since: start) == 3)
      _ = try? tasks[1].result()
    }
  }

  @Test func `WT-02: first completed: as soon as one has ended; all that ended in that turn are done`() throws {
    try runVirtually { loop in
      let futures = (0..<4).map { _ in loop.createFuture(of: Int.self) }
      loop.callSoon {
        try futures[2].setResult(2)
        try futures[1].setResult(1)
      }
      loop.callSoon { try futures[0].setResult(0) }
      let (done, pending) = try await wait(futures, returnWhen: .firstCompleted)
      #expect(done == Set(futures[0..<3]))
      #expect(pending == [futures[3]])
      #expect(futures[3].observerCount == 0)
    }
  }

  @Test func `WT-03: first error: at the first error, or when all have ended; a cancel is no error`() throws {
    try runVirtually { loop in
      let start = loop.now
      let tasks = [loop.sleeper(.seconds(9), 1), loop.failer(.seconds(3)), loop.sleeper(.seconds(1), 3)]
      let cancelled = loop.sleeper(.seconds(9), 4)
      loop.callLater(.seconds(2)) { cancelled.cancel() }
      let (done, pending) = try await wait(tasks + [cancelled], returnWhen: .firstError)
      #expect(done == [tasks[1], tasks[2], cancelled])
      #expect(pending == [tasks[0]])
      #expect(loop.seconds(since: start) == 3)
      _ = try? tasks[1].result()
      let all = try await wait([tasks[0], tasks[2], cancelled], returnWhen: .firstError)
      #expect(all.pending.isEmpty)
      #expect(loop.seconds(since: start) == 9)
    }
  }

  @Test func `WT-04: a member that has failed already, first error: returns without time passing`() throws {
    try runVirtually { loop in
      let failed = loop.createFuture(of: Int.self)
      try failed.setError(Boom())
      _ = try? failed.result()
      var ran = false
      loop.callSoon { ran = true }
      let (done, pending) = try await wait(
        [loop.createFuture(of: Int.self), failed], returnWhen: .firstError)
      #expect(done == [failed])
      #expect(pending.count == 1)
      #expect(!ran)
    }
  }

  @Test func `WT-05: the limit passes: no error, and the pending are not cancelled`() throws {
    try runVirtually { loop in
      let start = loop.now
      let tasks = [loop.sleeper(.seconds(1), 1), loop.sleeper(.seconds(5), 5)]
      let (done, pending) = try await wait(tasks, timeout: .seconds(2))
      #expect((done, pending) == ([tasks[0]], [tasks[1]]))
      #expect(loop.seconds(since: start) == 2)
      #expect(tasks[1].cancelling == 0)
      #expect(tasks[1].observerCount == 0)
      #expect(await outcome(of: tasks[1]) == "5")
      let (again, _) = try await wait(tasks, timeout: .seconds(60))
      #expect(again.count == 2)
      #expect(loop.executor.timers.count == 0)
    }
  }

  @Test func `WT-06: no members are an argument error`() throws {
    try runVirtually { loop in
      await #expect(throws: InvalidArgumentError.self) { try await wait([LoopTask<Int>]()) }
      await #expect(throws: InvalidArgumentError.self) { try await wait([AnyFuture](), timeout: .zero) }
    }
  }

  @Test func `WT-08: duplicates count once`() throws {
    try runVirtually { loop in
      let task = loop.sleeper(.seconds(1), 1)
      let (done, pending) = try await wait([task, task, task])
      #expect((done.count, pending.count) == (1, 0))
    }
  }

  @Test func `WT-09: a cancel of the caller: the members are not cancelled, and do not know of it`() throws {
    try runVirtually { loop in
      let futures = (0..<3).map { _ in loop.createFuture(of: Int.self) }
      let task = loop.createTask { try await wait(futures, timeout: .seconds(60)).done.count }
      try await turns()
      #expect(futures.allSatisfy { $0.observerCount == 1 })
      task.cancel()
      #expect(futures.allSatisfy { $0.observerCount == 0 && !$0.isDone })
      #expect(loop.executor.timers.count == 0)
      #expect(await outcome(of: task) == "cancelled")
    }
  }

  @Test func `WT-10: members that can be read once only`() throws {
    try runVirtually { loop in
      var count = 0
      let once = AnySequence { () -> AnyIterator<LoopTask<Int>> in
        count += 1
        var left = 3
        return AnyIterator {
          left -= 1
          return left < 0 ? nil : loop.assumeIsolated { $0.sleeper(.seconds(1), 1) }
        }
      }
      let (done, pending) = try await wait(once)
      #expect((done.count, pending.count, count) == (3, 0, 1))
    }
  }

  @Test func `WT-11: two waits for the same members at the same time`() throws {
    try runVirtually { loop in
      let tasks = [loop.sleeper(.seconds(1), 1), loop.sleeper(.seconds(2), 2)]
      let waits = (0..<2).map { _ in loop.createTask { try await wait(tasks).done.count } }
      let counts = try await gather(waits)
      #expect(counts == [2, 2])
    }
  }

  @Test(.inOrder) func `WT-12: 100,000 waits with a limit for one pending future leave nothing on it`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      for _ in 0..<Amount.of(100_000, usually: 8_000) {
        let (_, pending) = try await wait([future], timeout: .microseconds(1))
        if pending.count != 1 || future.observerCount != 0 { Issue.record("\(future.observerCount)") }
      }
      #expect(loop.executor.timers.count == 0)
    }
  }

  @Test(arguments: [0, -1])
  func `WT-13: a limit of zero is one turn of the loop`(seconds: Int) throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      var ran = false
      loop.callSoon {
        ran = true
        try future.setResult(1)
      }
      let (done, pending) = try await wait(
        [future, loop.createFuture(of: Int.self)], timeout: .seconds(seconds))
      #expect(done == [future])
      #expect(pending.count == 1)
      #expect(ran)
    }
  }

  @Test func `members of several types, as AnyFuture`() throws {
    try runVirtually { loop in
      let number = loop.sleeper(.seconds(1), 1)
      let text = loop.sleeper(.seconds(2), "a")
      let (done, pending) = try await wait([number, text] as [AnyFuture], returnWhen: .firstCompleted)
      #expect((done, pending) == ([number], [text]))
    }
  }

  @Test func `members of two loops are refused`() throws {
    let other = try EventLoop()
    defer { other.close() }
    try runVirtually { loop in
      let members = [loop.createFuture(of: Int.self), other.createFuture(of: Int.self)]
      await #expect(throws: WrongLoopError.self) { try await wait(members) }
      #expect(members.allSatisfy { $0.observerCount == 0 })
    }
  }
}
