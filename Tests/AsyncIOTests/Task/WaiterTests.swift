// SPDX-License-Identifier: Apache-2.0
//
// The wait that is no future, and what may end it, in every order.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(200)) struct WaiterTests {
  /// A waiter that says when it left.
  private final class Noting: Waiter, @unchecked Sendable {
    var hasLeft = 0
    override func leave() { hasLeft += 1 }
  }

  /// Runs a task that waits, and does things to it once it waits; tells what it threw, and the waiter.
  private func outcome(
    deadline: Duration? = nil, _ act: @escaping @Sendable (isolated EventLoop, AnyLoopTask, Waiter) -> Void
  ) throws -> (error: String, wasWoken: Bool, left: Int) {
    try runVirtually { loop in
      let waiter = Noting()
      let task = loop.createTask {
        try await waiter.wait(on: loop.executor, until: deadline.map { loop.now.advanced(by: $0).deadline })
      }
      try await sleep(for: .zero)
      #expect(waiter.isWaiting)
      act(loop, task, waiter)
      _ = try await wait([task])
      #expect(!waiter.isWaiting && !waiter.isLeaving)
      // What was to happen later, and looks at what is left, happens.
      try await sleep(for: .seconds(10))
      if task.isCancelled { return ("cancelled", waiter.wasWoken, waiter.hasLeft) }
      return (try task.error().map { "\(type(of: $0))" } ?? "none", waiter.wasWoken, waiter.hasLeft)
    }
  }

  @Test func `a wake-up ends the wait, and does not leave`() throws {
    let result = try outcome { _, _, waiter in waiter.wake() }
    #expect(result == ("none", true, 0))
  }

  @Test func `T-31: a cancel ends the wait there and then, and leaves`() throws {
    let result = try outcome { _, task, waiter in
      #expect(task.cancel())
      #expect(!waiter.isWaiting)
      #expect(!waiter.wake())
    }
    #expect(result == ("cancelled", false, 1))
  }

  @Test func `T-50: a cancel wins over a wake-up of the same turn, which is to be passed on`() throws {
    let result = try outcome { _, task, waiter in
      #expect(waiter.wake())
      #expect(task.cancel())
    }
    #expect(result == ("cancelled", true, 0))
  }

  @Test func `a deadline ends the wait`() throws {
    for seconds in [5, -5] {
      let result = try outcome(deadline: .seconds(seconds)) { _, _, _ in }
      #expect(result == ("TimeoutError", false, 1))
    }
  }

  @Test(.inOrder) func `W-13: a wake-up wins over a deadline that comes after it, and its timer goes`() throws {
    let result = try outcome(deadline: .seconds(5)) { loop, _, waiter in
      // One is left: that of the test, which sleeps on.
      loop.callLater(.seconds(5)) { #expect(loop.executor.timers.count == 1) }
      waiter.wake()
    }
    #expect(result == ("none", true, 0))
  }

  @Test(.inOrder) func `W-24: a cancel wins over a deadline of the same turn`() throws {
    let result = try outcome(deadline: .seconds(5)) { loop, task, waiter in
      loop.callLater(.seconds(5)) {
        #expect(!waiter.isWaiting)
        task.cancel()
      }
    }
    #expect(result == ("cancelled", false, 1))
  }

  @Test func `T-45: a cancel that is taken back before the task goes on leaves the wake-up`() throws {
    let result = try outcome { _, task, waiter in
      waiter.wake()
      task.cancel()
      task.uncancel()
    }
    #expect(result == ("none", true, 0))
  }

  @Test func `T-39: a task that cancels itself does not begin to wait, and T-37: its next wait works`() throws {
    try runVirtually { loop in
      let waiter = Noting()
      let task = loop.createTask {
        AnyLoopTask.current?.cancel()
        await #expect(throws: CancellationError.self) { try await waiter.wait(on: loop.executor) }
        #expect(waiter.hasLeft == 0)
        loop.callSoon { waiter.wake() }
        try await waiter.wait(on: loop.executor)
        return waiter.wasWoken
      }
      let wasWoken = try await task.value
      #expect(wasWoken)
    }
  }

  @Test func `one waiter serves one wait after another`() throws {
    try runVirtually { loop in
      let waiter = Waiter()
      for _ in 0..<1_000 {
        loop.callSoon { waiter.wake() }
        try await waiter.wait(on: loop.executor)
      }
      await #expect(throws: TimeoutError.self) { try await waiter.wait(on: loop.executor, until: loop.now.deadline) }
    }
  }

  @Test func `a child of a task group waits, is woken, and hears a cancel`() throws {
    try runVirtually { loop in
      let woken = Noting()
      let cancelled = Noting()
      let executor = loop.executor
      let group = loop.createTask {
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask { try await woken.wait(on: executor) }
          group.addTask { try await cancelled.wait(on: executor) }
          try await group.waitForAll()
        }
      }
      while !(woken.isWaiting && cancelled.isWaiting) { try await sleep(for: .zero) }
      woken.wake()
      try await sleep(for: .zero)
      group.cancel()
      await #expect(throws: CancellationError.self) { try await group.value }
      #expect(woken.wasWoken && woken.hasLeft == 0)
      #expect(!cancelled.wasWoken && cancelled.hasLeft == 1)
      #expect(executor.outsiders.isEmpty)
    }
  }

  @Test func `what wakes a Swift task that is on its way into the wait is not lost`() throws {
    try runVirtually { loop in
      let waiter = Waiter()
      let wakes = Shared<[Bool]>([])
      // It is isolated to the loop and does not prefer it: so it makes a trip through the queue.
      let foreign = Task {
        loop.callSoon { wakes.change { $0.append(waiter.wake()) } }
        try await waiter.wait(on: loop.executor)
      }
      try await foreign.value
      #expect(wakes.value == [true])
    }
  }

  @Test func `T-76: a cancel of a child by another thread is one cancel, and none of a later wait`() throws {
    try runInRealTime { loop in
      let waiter = Waiter()
      let executor = loop.executor
      let child = Task(executorPreference: executor) { try await waiter.wait(on: executor) }
      try await settle { waiter.isWaiting }
      let thread = TestThread { child.cancel() }
      await #expect(throws: CancellationError.self) { try await child.value }
      thread.join()
      loop.callLater(.milliseconds(1)) { waiter.wake() }
      try await waiter.wait(on: executor)
    }
  }

  @Test func `closing the loop ends the waits: of its tasks as a cancel, of others with LoopClosedError`() throws {
    try inEachOrder { configuration in
      let loop = try EventLoop(configuration: configuration)
      let ends = Shared<[String]>([])
      try loop.runUntilComplete { loop in
        let executor = loop.executor
        loop.createTask {
          do { try await Waiter().wait(on: executor) } catch { ends.change { $0.append("\(type(of: error))") } }
        }
        Task(executorPreference: executor) {
          do { try await Waiter().wait(on: executor) } catch { ends.change { $0.append("\(type(of: error))") } }
        }
        for _ in 0..<5 { try await sleep(for: .zero) }
      }
      loop.close()
      #expect(ends.value.sorted() == ["CancellationError", "LoopClosedError"])
    }
  }

  @Test func `a Swift task that begins to wait on a loop that is closed gets LoopClosedError`() throws {
    try inEachOrder { configuration in
      let loop = try EventLoop(configuration: configuration)
      loop.close()
      let executor = loop.executor
      let ends = Shared<[String]>([])
      for wait in [
        { try await Waiter().wait(on: executor) }, { try await Waiter().waitUncancellably(on: executor) },
      ] as [@Sendable () async throws -> Void] {
        Task(executorPreference: executor) {
          do { try await wait() } catch { ends.change { $0.append("\(type(of: error))") } }
        }
      }
      // The thread that brings a job to a closed loop runs it, and all that comes of it.
      #expect(ends.value == ["LoopClosedError", "LoopClosedError"])
    }
  }
}
