// SPDX-License-Identifier: Apache-2.0
//
// Many tasks, deep chains, and busy ones.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct TaskScaleTests {
  private static let many = Amount.of(100_000, usually: 8_000)
  private static let depth = 10_000

  @Test(.inOrder) func `T-20: a chain of 10,000 awaits ends without recursion`() throws {
    try runVirtually { loop in
      let end = loop.createFuture(of: Int.self)
      var last = loop.createTask { try await end.value }
      for _ in 1..<Self.depth {
        let next = last
        last = loop.createTask { try await next.value + 1 }
      }
      try await turns()
      try end.setResult(1)
      #expect(try await last.value == Self.depth)
      #expect(loop.allTasks.count == 1)
    }
  }

  @Test(.inOrder) func `T-34: a cancel travels down a chain of 10,000 awaits`() throws {
    try runVirtually { loop in
      let end = loop.createFuture(of: Int.self)
      let first = loop.createTask { try await end.value }
      var last = first
      for _ in 1..<Self.depth {
        let next = last
        last = loop.createTask { try await next.value + 1 }
      }
      try await turns()
      #expect(last.cancel("enough"))
      #expect(end.cancellationReason?.message == "enough")
      #expect(await outcome(of: last) == "cancelled")
      #expect(first.cancellationReason?.message == "enough")
      #expect(loop.allTasks.count == 1)
    }
  }

  @Test(.inOrder) func `T-21: a million short tasks all run, and none is left`() throws {
    try runVirtually { loop in
      let counter = Counter()
      let many = Amount.of(1_000_000, optimized: 100_000, usually: 8_000)
      for _ in 0..<many { loop.createTask { counter.value += 1 } }
      #expect(loop.allTasks.count == many + 1)
      try await turns()
      while counter.value < many { try await turns() }
      #expect(counter.value == many)
      #expect(loop.allTasks.count == 1)
      #expect(loop.executor.residents.count == 1)
    }
  }

  @Test func `T-22: tasks that yield for ever starve neither tasks nor timers nor other threads`() throws {
    try runInRealTime { loop in
      let isOver = Counter()
      let spins = Counter()
      for _ in 0..<3 {
        loop.createTask {
          while isOver.value == 0 {
            spins.value += 1
            try await turns()
          }
        }
        loop.createTask {
          while isOver.value == 0 {
            spins.value += 1
            await Task.yield()
          }
        }
      }
      let timer = loop.createFuture(of: Void.self)
      loop.callLater(.milliseconds(1)) { try timer.setResult() }
      let outside = loop.createFuture(of: Void.self)
      let thread = TestThread { try? outside.setResult() }
      let neighbour = loop.createTask { try await turns(100) }
      try await neighbour.value
      // Of six busy tasks none got more than a few turns for each of the neighbour's.
      #expect(spins.value < 6 * 1_000)
      try await timer.value
      try await outside.value
      isOver.value = 1
      thread.join()
    }
  }

  @Test(.inOrder, arguments: [false, true])
  func `T-72: 100,000 tasks are cancelled at once, each hears it once, none is missed`(started: Bool) throws {
    try runVirtually { loop in
      let heard = Counter()
      let tasks = (0..<Self.many).map { _ in
        loop.createTask {
          do {
            try await sleep(for: .seconds(3_600))
          } catch {
            heard.value += 1
            throw error
          }
        }
      }
      if started {
        while loop.executor.timers.count < Self.many { try await turns() }
      }
      let start = loop.now
      for task in tasks { #expect(task.cancel()) }
      for task in tasks { _ = await outcome(of: task) }
      #expect(loop.allTasks.count == 1)
      #expect(tasks.allSatisfy { $0.isCancelled && $0.cancelling == 1 })
      #expect(heard.value == (started ? Self.many : 0))
      #expect(loop.executor.timers.count == 0)
      #expect(loop.now == start)
    }
  }
}
