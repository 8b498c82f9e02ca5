// SPDX-License-Identifier: Apache-2.0
//
// The gather that cancels the others when one has failed; and the bodies' own tasks.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct GatherCancellingTests {
  @Test func `G-04: with cancelOthers the others are cancelled and waited for, then the error is thrown`() throws {
    try runVirtually { loop in
      let start = loop.now
      let slow = loop.slowToCancel(.seconds(2))
      let boom = Boom()
      let end = await ending { try await gather(slow, loop.failer(.seconds(1), boom), onError: .cancelOthers) }
      #expect(end == "boom")
      #expect(loop.seconds(since: start) == 3)
      #expect(slow.isCancelled)
      #expect(slow.cancellationReason?.kind == .parent)
    }
  }

  @Test func `with cancelOthers a child that somebody cancels cancels the others`() throws {
    try runVirtually { loop in
      let children = [loop.sleeper(.seconds(9), 1), loop.sleeper(.seconds(9), 2)]
      loop.callLater(.seconds(1)) { children[0].cancel() }
      #expect(await ending { try await gather(children, onError: .cancelOthers) } == "cancelled")
      #expect(children[1].isCancelled)
      #expect(AnyLoopTask.current?.cancelling == 0)
    }
  }

  @Test func `with cancelOthers a future's error calls no code of users in the call that sets it`() throws {
    try runVirtually { loop in
      let notes = Notes<String>()
      let future = loop.createFuture(of: Int.self)
      let child = loop.createTask { () async throws -> Int in
        await withTaskCancellationHandler {
          try? await Task.sleep(for: .seconds(3_600))
          return 1
        } onCancel: {
          notes.add("handler")
        }
      }
      let outer = loop.createTask { try await gather(future, child, onError: .cancelOthers) }
      try await turns(2)
      try future.setError(Boom())
      notes.add("set")
      #expect(await ending { try await outer.value } == "boom")
      #expect(notes.value == ["set", "handler"])
    }
  }

  @Test func `with cancelOthers a cancel of the caller wins over an error that was first`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      let child = loop.slowToCancel(.seconds(5))
      let outer = loop.createTask { try await gather(loop.failer(.seconds(1)), child, onError: .cancelOthers) }
      try await sleep(for: .seconds(2))
      outer.cancel()
      #expect(await outcome(of: outer) == "cancelled")
      #expect(child.isCancelled)
      try await turns(3)
      // The error found no reader.
      #expect(reports.kinds == [.errorNeverRetrieved])
    }
  }

  @Test(.inOrder) func `bodies share the caller's state, and start in the next turn, in order`() throws {
    try runVirtually { loop in
      let log = Log()
      var sum = 0
      loop.callSoon { log.add("callback") }
      let values = try await gather(1...3) { number in
        log.add("\(number)")
        sum += number
        return log
      }
      #expect(log.entries == ["callback", "1", "2", "3"])
      #expect(sum == 6)
      #expect(values.allSatisfy { $0 === log })
    }
  }

  @Test func `bodies stay in the isolation of an actor that calls`() throws {
    actor Account {
      var balance = 0
      func add(_ amounts: [Int]) async throws -> Int {
        try await gather(amounts) { amount in
          self.preconditionIsolated()
          let before = self.balance
          self.balance = before + amount
          try await sleep(for: .zero)
          self.preconditionIsolated()
        }
        return balance
      }
    }
    try runVirtually { loop in
      let account = Account()
      let balance = try await account.add([1, 2, 3])
      #expect(balance == 6)
    }
  }

  @Test func `a cancel of the caller cancels the bodies`() throws {
    try runVirtually { loop in
      let seen = Counter()
      let outer = loop.createTask {
        try await gather(0..<10) { _ in
          do { try await sleep(for: .seconds(9)) } catch {
            seen.value += 1
            throw error
          }
        }
      }
      try await turns(3)
      outer.cancel()
      #expect(await ending { try await outer.value } == "cancelled")
      #expect(seen.value == 10)
      #expect(loop.allTasks.count == 1)
    }
  }

  @Test(.inOrder) func `T-34: a cancel travels down a chain of 10,000 tasks that gather, without recursion`() throws {
    try runVirtually { loop in
      let end = loop.createFuture(of: Int.self)
      var last = loop.createTask { try await gather([end])[0] }
      for _ in 1..<10_000 {
        let next = last
        last = loop.createTask { try await gather([next])[0] }
      }
      try await turns()
      while end.observerCount == 0 { try await turns() }
      #expect(last.cancel("enough"))
      #expect(end.cancellationReason?.message == "enough")
      #expect(await outcome(of: last) == "cancelled")
      #expect(loop.allTasks.count == 1)
    }
  }

  @Test func `a cancel of tasks that gather each other in a circle comes to its end`() throws {
    let reports = try runVirtually(grace: .seconds(1), mayLeave: true) { loop in
      let reports = Reports(of: loop)
      let tasks = Tasks()
      tasks.all = (0..<3).map { number in
        loop.createTask { try await gather([tasks.all[(number + 1) % 3], tasks.all[(number + 2) % 3]])[0] }
      }
      try await turns(2)
      #expect(tasks.all[0].cancel())
      #expect(tasks.all.allSatisfy { $0.cancelling >= 1 && $0.cancelling <= 10 })
      tasks.all = []
      return reports
    }
    // Nobody in a circle can end, as in asyncio.
    #expect(reports.kinds == Array(repeating: .taskDestroyedPending, count: 3))
  }

  @Test func `gather waits for another loop's tasks in a task that is no loop's`() async throws {
    let home = LoopOnThread()
    defer { home.end() }
    let loop = home.loop
    let (a, b) = await (makeTask(loop, 1), makeTask(loop, 2))
    let values = try await gather(a, b)
    #expect(values == (1, 2))
    let futures = (0..<3).map { _ in loop.createFuture(of: Int.self) }
    let outer = Task { try await gather(futures) }
    let thread = TestThread { for (index, future) in futures.enumerated() { try? future.setResult(index) } }
    #expect(try await outer.value == [0, 1, 2])
    thread.join()
  }

  @Test func `what has ended can be gathered on a closed loop, too; what has not cannot`() async throws {
    let loop = try EventLoop()
    let futures = (0..<3).map { _ in loop.createFuture(of: Int.self) }
    for (index, future) in futures.enumerated() { try future.setResult(index) }
    try await onThread { loop.close() }
    let values = try await gather(futures)
    #expect(values == [0, 1, 2])
    let (done, _) = try await wait(futures)
    #expect(done.count == 3)
    var count = 0
    for try await _ in asCompleted(futures) { count += 1 }
    #expect(count == 3)
    let failed = loop.createFuture(of: Int.self)
    try failed.setError(Boom())
    let end = await ending { try await gather(futures + [failed], onError: .cancelOthers) }
    #expect(end == "boom")
    let pending = loop.createFuture(of: Int.self)
    await #expect(throws: LoopClosedError.self) { try await gather(pending, futures[0]) }
    await #expect(throws: LoopClosedError.self) { try await shield(pending) }
    await #expect(throws: LoopClosedError.self) { try await waitFor(pending, timeout: .seconds(1)) }
    await #expect(throws: LoopClosedError.self) { for try await _ in asCompleted([pending]) {} }
  }

  @Test func `a cancelled Swift task cancels what it gathers`() async throws {
    let home = LoopOnThread()
    defer { home.end() }
    let loop = home.loop
    let futures = (0..<3).map { _ in loop.createFuture(of: Int.self) }
    let outer = Task { try await gather(futures) }
    outer.cancel()
    await #expect(throws: CancellationError.self) { try await outer.value }
    #expect(futures.allSatisfy { $0.cancellationReason?.kind == .parent })
  }

  private func makeTask(_ loop: isolated EventLoop, _ value: Int) -> LoopTask<Int> {
    loop.sleeper(.milliseconds(1), value)
  }
}
