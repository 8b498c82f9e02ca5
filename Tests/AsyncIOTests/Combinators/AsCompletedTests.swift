// SPDX-License-Identifier: Apache-2.0
//
// One by one, as they end.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct AsCompletedTests {
  @Test func `AC-01: they come in the order of finishing`() throws {
    try runVirtually { loop in
      let early = loop.createFuture(of: Int.self)
      try early.setResult(0)
      let tasks = [3, 1, 2].map { loop.sleeper(.seconds($0), $0) }
      var values: [Int] = []
      for try await future in asCompleted([tasks[0], early, tasks[1], tasks[2]] as [AnyFuture]) {
        if future === early { values.append(0) }
        if let task = future as? LoopTask<Int> { values.append(try task.result()) }
      }
      #expect(values == [0, 1, 2, 3])
      for try await _ in asCompleted([LoopTask<Int>]()) { Issue.record("there is none") }
    }
  }

  @Test func `AC-02: the limit passes: a timeout at the next one; those that run are not cancelled`() throws {
    try runVirtually { loop in
      let start = loop.now
      let tasks = [3, 1, 2, 9].map { loop.sleeper(.seconds($0), $0) }
      var values: [Int] = []
      let end = await ending {
        for try await task in asCompleted(tasks, timeout: .milliseconds(2_500)) { values.append(try task.result()) }
      }
      #expect(end == "timeout")
      #expect(values == [1, 2])
      #expect(loop.now == start.advanced(by: .milliseconds(2_500)))
      #expect(tasks.allSatisfy { $0.cancelling == 0 && $0.observerCount == 0 })
      #expect(await outcome(of: tasks[3]) == "9")
    }
  }

  @Test func `AC-02: the time runs from the call on, and what has ended by then is delivered all the same`() throws {
    try runVirtually { loop in
      let tasks = [1, 2, 9].map { loop.sleeper(.seconds($0), $0) }
      let sequence = asCompleted(tasks, timeout: .seconds(3))
      var iterator = sequence.makeAsyncIterator()
      var values = [try await iterator.next()?.result()]
      try await sleep(for: .seconds(5))
      values.append(try await iterator.next()?.result())
      #expect(values == [1, 2])
      await #expect(throws: TimeoutError.self) { try await iterator.next() }
    }
  }

  @Test func `AC-03: a limit that is not reached leaves no timer`() throws {
    try runVirtually { loop in
      let tasks = [1, 2].map { loop.sleeper(.seconds($0), $0) }
      for try await _ in asCompleted(tasks, timeout: .seconds(60)) {
        #expect(loop.executor.timers.count <= 1)
      }
      #expect(loop.executor.timers.count == 0)
    }
  }

  @Test func `AC-05: one that is given twice comes once`() throws {
    try runVirtually { loop in
      let task = loop.sleeper(.seconds(1), 1)
      var count = 0
      for try await _ in asCompleted([task, task]) { count += 1 }
      #expect(count == 1)
    }
  }

  @Test func `AC-07: the very tasks come out`() throws {
    try runVirtually { loop in
      let tasks = [2, 1].map { loop.sleeper(.seconds($0), $0) }
      var seen: [LoopTask<Int>] = []
      for try await task in asCompleted(tasks) { seen.append(task) }
      #expect(seen == [tasks[1], tasks[0]])
      var again: [LoopTask<Int>] = []
      for try await task in asCompleted(tasks) { again.append(task) }
      #expect(again == tasks)
    }
  }

  @Test func `AC-09: those that end in one turn all come, in the order of ending`() throws {
    try runVirtually { loop in
      let futures = (0..<5).map { _ in loop.createFuture(of: Int.self) }
      loop.callSoon { for number in [3, 0, 4, 1, 2] { try futures[number].setResult(number) } }
      var values: [Int] = []
      for try await future in asCompleted(futures) { values.append(try future.result()) }
      #expect(values == [3, 0, 4, 1, 2])
    }
  }

  @Test func `AC-10: an iterator that is dropped half-way leaves nothing on the others`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      let tasks = [1, 2, 3].map { loop.sleeper(.seconds($0), $0) }
      for try await _ in asCompleted(tasks) { break }
      #expect(tasks.allSatisfy { $0.observerCount == 0 })
      let values = try await gather(tasks)
      #expect(values == [1, 2, 3])
      #expect(reports.count == 0)
    }
    // And off the loop.
    try EventLoop.run { loop in
      let future = loop.createFuture(of: Int.self)
      let gone = loop.createFuture(of: Void.self)
      Task.detached {
        let waiter = Task {
          for try await _ in asCompleted([future]) {}
        }
        waiter.cancel()
        _ = await waiter.result
        try gone.setResult()
      }
      try await gone.value
      try await turns(2)
      #expect(future.observerCount == 0)
      #expect(!future.isDone)
    }
  }

  @Test func `AC-11: one that fails comes in its turn, and the iteration goes on`() throws {
    try runVirtually { loop in
      let cancelled = loop.sleeper(.seconds(9), 0)
      loop.callLater(.seconds(3)) { cancelled.cancel() }
      var ends: [String] = []
      for try await task in asCompleted([loop.sleeper(.seconds(1), 1), loop.failer(.seconds(2)), cancelled]) {
        ends.append(await ending { try task.result() })
      }
      #expect(ends == ["1", "boom", "cancelled"])
    }
  }

  @Test func `a cancel interrupts the wait for the next one, cancels none, and loses none`() throws {
    try runVirtually { loop in
      let futures = (0..<2).map { _ in loop.createFuture(of: Int.self) }
      let task = loop.createTask { () async throws -> [Int] in
        var iterator = asCompleted(futures).makeAsyncIterator()
        var values: [Int] = []
        while values.count < 2 {
          do {
            guard let future = try await iterator.next() else { break }
            values.append(try future.result())
          } catch is CancellationError {
            values.append(-1)
            let future = try await iterator.next()
            values.append(try future?.result() ?? -2)
          }
        }
        return values
      }
      try await turns()
      // In one turn: the end of one, and the cancel.
      try futures[1].setResult(1)
      task.cancel()
      #expect(await outcome(of: task) == "[-1, 1]")
      #expect(!futures[0].isDone)
    }
  }

  @Test func `members of two loops are refused`() throws {
    let other = try EventLoop()
    defer { other.close() }
    try runVirtually { loop in
      let members = [loop.createFuture(of: Int.self), other.createFuture(of: Int.self)]
      await #expect(throws: WrongLoopError.self) {
        for try await _ in asCompleted(members) {}
      }
    }
  }

  @Test func `off the loop the elements come, too`() async throws {
    let home = LoopOnThread()
    defer { home.end() }
    let futures = (0..<100).map { _ in home.loop.createFuture(of: Int.self) }
    let thread = TestThread { for number in futures.indices.reversed() { try? futures[number].setResult(number) } }
    var values: [Int] = []
    for try await future in asCompleted(futures, timeout: .seconds(60)) { values.append(try future.result()) }
    #expect(values.sorted() == Array(0..<100))
    thread.join()
    await #expect(throws: TimeoutError.self) {
      for try await _ in asCompleted([home.loop.createFuture(of: Int.self)], timeout: .milliseconds(1)) {}
    }
  }
}
