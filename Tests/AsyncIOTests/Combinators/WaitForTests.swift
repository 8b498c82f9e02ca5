// SPDX-License-Identifier: Apache-2.0
//
// An await with a time limit.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct WaitForTests {
  @Test func `W-01: no limit is a plain await`() throws {
    try runVirtually { loop in
      let value = try await waitFor(loop.sleeper(.seconds(1_000_000), 1), timeout: nil)
      #expect(value == 1)
    }
  }

  @Test func `W-02: an end before the limit gives the value, and the timer goes`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      loop.callSoon { try future.setResult(1) }
      let value = try await waitFor(future, timeout: .seconds(60))
      #expect(value == 1)
      #expect(loop.executor.timers.count == 0)
      #expect(await ending { try await waitFor(loop.failer(.seconds(1)), timeout: .seconds(60)) } == "boom")
      #expect(loop.executor.timers.count == 0)
    }
  }

  @Test func `W-03: the limit passes: the inner is cancelled and waited for; the reason is a deadline`() throws {
    try runVirtually { loop in
      let start = loop.now
      let inner = loop.slowToCancel(.seconds(2))
      #expect(await ending { try await waitFor(inner, timeout: .seconds(3)) } == "timeout")
      #expect(loop.seconds(since: start) == 5)
      #expect(inner.isCancelled)
      #expect(inner.cancellationReason?.kind == .deadline)
      let me = try #require(AnyLoopTask.current)
      #expect(me.cancelling == 0)
      #expect(!Task.isCancelled)
      let future = loop.createFuture(of: Int.self)
      #expect(await ending { try await waitFor(future, timeout: .seconds(3)) } == "timeout")
      #expect(future.cancellationReason?.kind == .deadline)
    }
  }

  @Test func `W-04: a limit of zero or less, and the inner is done: its value`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      try future.setResult(1)
      for limit in [Duration.zero, .seconds(-1)] {
        let value = try await waitFor(future, timeout: limit)
        #expect(value == 1)
      }
      #expect(loop.executor.timers.count == 0)
    }
  }

  @Test(arguments: [0, -1])
  func `W-05: a limit of zero or less, and the body has not started: it never runs`(seconds: Int) throws {
    try runVirtually { loop in
      var ran = false
      let task = loop.createTask { ran = true }
      #expect(await ending { try await waitFor(task, timeout: .seconds(seconds)) } == "timeout")
      #expect(!ran)
      #expect(task.isCancelled)
    }
  }

  @Test(arguments: [0, -1])
  func `W-06: a limit of zero or less, and the inner runs: cancelled, waited for, timeout`(seconds: Int) throws {
    try runVirtually { loop in
      let start = loop.now
      let inner = loop.slowToCancel(.seconds(2))
      try await turns(2)
      #expect(await ending { try await waitFor(inner, timeout: .seconds(seconds)) } == "timeout")
      #expect(loop.seconds(since: start) == 2)
      #expect(inner.cancelling == 1)
    }
  }

  @Test func `W-07: an inner that swallows the cancel and returns a value: that is returned`() throws {
    try runVirtually { loop in
      let value = try await waitFor(loop.stubborn(.seconds(2)), timeout: .seconds(1))
      #expect(value == 7)
    }
  }

  @Test func `W-08: an inner that fails in its cleanup: its error wins`() throws {
    try runVirtually { loop in
      let inner = loop.createTask { () async throws -> Int in
        do { try await sleep(for: .seconds(9)) } catch { throw Boom("cleanup") }
        return 1
      }
      #expect(await ending { try await waitFor(inner, timeout: .seconds(1)) } == "cleanup")
    }
  }

  @Test func `W-09: the caller waits as long as the inner takes to end`() throws {
    try runVirtually { loop in
      let start = loop.now
      #expect(await ending { try await waitFor(loop.slowToCancel(.seconds(100)), timeout: .seconds(1)) } == "timeout")
      #expect(loop.seconds(since: start) == 101)
    }
  }

  @Test func `W-11: a caller that is cancelled while the limit ends the inner leaves; the inner goes on`() throws {
    try runVirtually { loop in
      let start = loop.now
      let inner = loop.slowToCancel(.seconds(5))
      let outer = loop.createTask { try await waitFor(inner, timeout: .seconds(1)) }
      try await sleep(for: .seconds(2))
      outer.cancel()
      #expect(await outcome(of: outer) == "cancelled")
      #expect(loop.seconds(since: start) == 2)
      #expect(inner.cancelling == 1)
      #expect(inner.observerCount == 0)
      #expect(await outcome(of: inner) == "cancelled")
      #expect(loop.seconds(since: start) == 6)
    }
  }

  @Test func `W-12: the inner ends and the caller is cancelled in one turn: the cancel wins`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let outer = loop.createTask { try await waitFor(future, timeout: .seconds(1)) }
      try await turns()
      try future.setResult(1)
      #expect(outer.cancel())
      #expect(await outcome(of: outer) == "cancelled")
      #expect(try future.result() == 1)
      #expect(loop.executor.timers.count == 0)
    }
  }

  @Test(.inOrder) func `W-13: the inner ends and the limit passes in one turn: the value wins`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      // Of equal deadlines the first to be armed comes first.
      loop.callLater(.seconds(1)) { try future.setResult(1) }
      let value = try await waitFor(future, timeout: .seconds(1))
      #expect(value == 1)
      // And where another thread has ended it, and nobody was told yet.
      let other = loop.createFuture(of: Int.self)
      loop.callLater(.seconds(1)) { TestThread { try? other.setResult(2) }.join() }
      let late = try await waitFor(other, timeout: .seconds(1))
      #expect(late == 2)
    }
  }

  @Test func `W-15: a shield inside of a limit: timeout, and the inner runs on`() throws {
    try runVirtually { loop in
      let inner = loop.sleeper(.seconds(5), 1)
      #expect(await ending { try await withTimeout(.seconds(1)) { try await shield(inner) } } == "timeout")
      let shielded = loop.createTask { try await shield(inner) }
      #expect(await ending { try await waitFor(shielded, timeout: .seconds(1)) } == "timeout")
      #expect(await outcome(of: inner) == "1")
    }
  }

  @Test func `T-61: a cancel of the caller cancels the inner, and waits for it`() throws {
    try runVirtually { loop in
      let start = loop.now
      let inner = loop.slowToCancel(.seconds(2))
      let outer = loop.createTask { try await waitFor(inner, timeout: .seconds(60)) }
      try await turns(2)
      outer.cancel("enough")
      #expect(await outcome(of: outer) == "cancelled")
      #expect(inner.cancellationReason?.message == "enough")
      #expect(loop.seconds(since: start) == 2)
      #expect(loop.executor.timers.count == 0)
    }
  }

  @Test func `T-61: the limit still bites when the inner has caught the caller's cancel`() throws {
    try runVirtually { loop in
      let start = loop.now
      let outer = loop.createTask { try await waitFor(loop.slowToCancel(.seconds(60)), timeout: .seconds(10)) }
      try await sleep(for: .seconds(1))
      outer.cancel()
      #expect(await outcome(of: outer) == "cancelled")
      #expect(loop.seconds(since: start) == 10)
    }
  }

  @Test func `T-41: a body that cancels itself and then waits with a limit cancels what it waits for`() throws {
    try runVirtually { loop in
      let child = loop.sleeper(.seconds(9), 1)
      let task = loop.createTask {
        AnyLoopTask.current?.cancel("myself")
        return try await waitFor(child, timeout: .seconds(1))
      }
      #expect(await outcome(of: task) == "cancelled")
      #expect(child.cancellationReason?.message == "myself")
    }
  }

  @Test(.inOrder) func `W-30: an endless limit is none, a huge one is clamped, NaN is refused`() throws {
    try runVirtually { loop in
      for limit in [try Duration(clampingSeconds: .infinity), .seconds(Int64.max), .nanoseconds(Int64.max)] {
        let value = try await waitFor(loop.sleeper(.seconds(1_000_000), 1), timeout: limit)
        #expect(value == 1)
      }
      #expect(throws: InvalidArgumentError.self) { try Duration(clampingSeconds: .nan) }
    }
  }

  @Test(.inOrder) func `W-31: a million limits that end early leave nothing in the heap`() throws {
    try runVirtually { loop in
      let count = Amount.of(1_000_000, optimized: 100_000, usually: 8_000)
      let futures = (0..<count).map { _ in loop.createFuture(of: Int.self) }
      let all = loop.createTask {
        try await gather(futures) { try await waitFor($0, timeout: .seconds(60)) }.count
      }
      while loop.executor.timers.count < count { try await turns() }
      for future in futures { try future.setResult(1) }
      #expect(await outcome(of: all) == "\(count)")
      #expect(loop.executor.timers.count == 0)
      #expect(loop.seconds(since: loop.now) == 0)
    }
  }

  @Test func `what belongs to another loop is refused, and so is oneself`() throws {
    let other = try EventLoop()
    defer { other.close() }
    try runVirtually { loop in
      let theirs = other.createFuture(of: Int.self)
      await #expect(throws: WrongLoopError.self) { try await waitFor(theirs, timeout: .seconds(1)) }
      #expect(!theirs.isDone)
      let tasks = Tasks()
      let task = loop.createTask { try await waitFor(tasks.all[0], timeout: .seconds(1)) }
      tasks.all = [task]
      await #expect(throws: AwaitsItselfError.self) { try await task.value }
      tasks.all = []
    }
  }

  @Test func `W-11: a limit of zero that has passed can be left by a cancel, too`() throws {
    try runVirtually { loop in
      let inner = loop.slowToCancel(.seconds(5))
      try await turns(2)
      let start = loop.now
      let outer = loop.createTask { try await waitFor(inner, timeout: .zero) }
      try await turns(2)
      outer.cancel()
      #expect(await outcome(of: outer) == "cancelled")
      #expect(loop.now == start)
      #expect(inner.cancelling == 1)
      #expect(await outcome(of: inner) == "cancelled")
    }
  }

  @Test func `a Swift task of no loop waits with a limit, in time and not`() async throws {
    let home = LoopOnThread()
    defer { home.end() }
    let loop = home.loop
    for _ in 0..<100 {
      let future = loop.createFuture(of: Int.self)
      await #expect(throws: TimeoutError.self) { try await waitFor(future, timeout: .microseconds(50)) }
      #expect(future.cancellationReason?.kind == .deadline)
      await #expect(throws: TimeoutError.self) {
        try await waitFor(loop.createFuture(of: Int.self), timeout: .zero)
      }
    }
    let other = loop.createFuture(of: Int.self)
    let waiter = Task { try await waitFor(other, timeout: .seconds(60)) }
    let thread = TestThread { try? other.setResult(1) }
    #expect(try await waiter.value == 1)
    thread.join()
  }
}
