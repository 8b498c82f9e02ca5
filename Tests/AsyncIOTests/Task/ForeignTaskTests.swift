// SPDX-License-Identifier: Apache-2.0
//
// Swift tasks that are no tasks of the loop await its futures and tasks: T-76.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ForeignTaskTests {
  @Test func `T-76: on the loop, a cancelled Swift task cancels the task that it awaits, once`() throws {
    try runVirtually { loop in
      let seen = Counter()
      let inner = loop.createTask {
        do {
          try await sleep(for: .seconds(1))
        } catch {
          seen.value += 1
          try await turns(2)
          throw error
        }
      }
      let foreign = loop.foreignTask {
        try await inner.value
      }
      try await turns()
      foreign.cancel()
      foreign.cancel()
      await #expect(throws: CancellationError.self) { try await foreign.value }
      #expect(inner.isCancelled)
      #expect(inner.cancelling == 1)
      #expect(inner.cancellationReason?.kind == .parent)
      #expect(seen.value == 1)
    }
  }

  @Test(.inOrder) func `T-76: on the loop, a cancelled Swift task cancels the future that it awaits`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let foreign = loop.foreignTask {
        return await outcome(of: future)
      }
      try await turns()
      foreign.cancel()
      #expect(future.isCancelled)
      #expect(await foreign.value == "cancelled")
      #expect(future.cancellationReason?.kind == .parent)
    }
  }

  @Test func `T-76: a Swift task that is cancelled already cancels what it awaits, at once, each time`()
    throws
  {
    try runVirtually { loop in
      let futures = (0..<3).map { _ in loop.createFuture(of: Int.self) }
      let foreign = loop.foreignTask {
        var outcomes: [String] = []
        for future in futures { outcomes.append(await outcome(of: future)) }
        await #expect(throws: CancellationError.self) { try await sleep(for: .seconds(1)) }
        return outcomes
      }
      foreign.cancel()
      // Swift's rule: cancelled stays cancelled.
      #expect(await foreign.value == ["cancelled", "cancelled", "cancelled"])
      #expect(loop.executor.timers.count == 0)
    }
  }

  @Test func `T-76: a Swift task that is isolated to the loop comes back to it without another thread`() throws {
    try runVirtually { loop in
      let log = Log()
      let task = Task {
        _ = loop
        for _ in 0..<100 {
          let future = loop.createFuture(of: Int.self)
          loop.callSoon { try future.setResult(1) }
          log.add("\(try await future.value)")
        }
      }
      // Time stands still, and so would this loop, if it had to wait for a thread.
      try await turns(500)
      #expect(log.entries.count == 100)
      try await task.value
    }
  }

  @Test(.inOrder) func `T-76: one that is isolated to the loop hears a cancel`() throws {
    let log = Notes<String>()
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let task = Task {
        _ = loop
        log.add(await outcome(of: future))
        log.add("\(Task.isCancelled)")
      }
      try await turns(2)
      task.cancel()
      await task.value
      #expect(future.cancellationReason?.kind == .parent)
    }
    #expect(log.value == ["cancelled", "true"])
  }

  @Test func `T-76: what has ended is given to a cancelled Swift task all the same`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      try future.setResult(1)
      let foreign = loop.foreignTask {
        return await outcome(of: future)
      }
      foreign.cancel()
      #expect(await foreign.value == "1")
    }
  }

  @Test func `T-76: finish, then cancel in one turn: the Swift task gets the value`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let foreign = loop.foreignTask {
        return await outcome(of: future)
      }
      try await turns()
      try future.setResult(1)
      foreign.cancel()
      #expect(await foreign.value == "1")
    }
  }

  @Test func `T-76: a task that catches the cancel gives its value to the Swift task`() throws {
    try runVirtually { loop in
      let inner = loop.createTask { () async throws -> Int in
        try? await sleep(for: .seconds(1))
        return 5
      }
      let foreign = loop.foreignTask {
        return await outcome(of: inner)
      }
      try await turns()
      foreign.cancel()
      #expect(await foreign.value == "5")
    }
  }

  @Test func `T-76: from the global pool, values, errors and cancels come through`() async throws {
    let thread = try LoopThread.start(name: "t76")
    let loop = thread.loop
    let value = loop.createFuture(of: Int.self)
    let error = loop.createFuture(of: Int.self)
    let cancelled = loop.createFuture(of: Int.self)
    let readers = [value, error, cancelled].map { future in Task.detached { await outcome(of: future) } }
    try value.setResult(1)
    try error.setError(Boom())
    cancelled.cancel()
    var outcomes: [String] = []
    for reader in readers { outcomes.append(await reader.value) }
    #expect(outcomes == ["1", "boom", "cancelled"])
    await thread.shutdown()
  }

  @Test
  func `T-76: from the global pool, a cancel is one request, and is heard inside`() async throws {
    let thread = try LoopThread.start(name: "t76")
    let seen = Notes<String>()
    let inner = try await thread.run { loop in
      let task = loop.createTask {
        do {
          try await loop.createFuture(of: Void.self).value
        } catch {
          let current = AnyLoopTask.current
          seen.add("\(current?.cancelling ?? -1) \(current?.cancellationReason?.kind.rawValue ?? "none")")
          try await turns(2)
          throw error
        }
      }
      try await turns()
      return task
    }
    let foreign = Task.detached { await outcome(of: inner) }
    let loop = thread.loop
    while try await thread.run({ loop in loop.executor.outsiders[ObjectIdentifier(inner)] == nil }) {}
    foreign.cancel()
    #expect(await foreign.value == "cancelled")
    #expect(seen.value == ["1 parent"])
    #expect(inner.cancelling == 1)
    #expect(loop === inner.loop)
    await thread.shutdown()
  }

  @Test
  func `T-76: from the global pool, finish and cancel race, and nothing hangs`() async throws {
    let thread = try LoopThread.start(name: "t76")
    for _ in 0..<500 {
      let future = thread.loop.createFuture(of: Int.self)
      let foreign = Task.detached { await outcome(of: future) }
      let finisher = Task.detached { try? future.setResult(1) }
      foreign.cancel()
      let seen = await foreign.value
      _ = await finisher.value
      #expect(seen == (future.isCancelled ? "cancelled" : "1"))
    }
    try await thread.run { loop in
      try await turns(3)
      // Nobody waits from outside but for this body.
      #expect(loop.executor.outsiders.count <= 1)
    }
    await thread.shutdown()
  }

  @Test func `T-76: a foreign cancel of a task of ours reaches it in one of the loop's turns`() async throws {
    let thread = try LoopThread.start(name: "t76")
    let task = try await thread.run { loop in
      loop.createTask { try await loop.createFuture(of: Void.self).value }
    }
    #expect(task.cancel("from outside"))
    #expect(await outcome(of: task) == "cancelled")
    #expect(task.cancellationReason?.message == "from outside")
    #expect(!task.cancel())
    await thread.shutdown()
  }

  @Test func `T-09: a Swift task may await futures of two loops`() async throws {
    let (a, b) = (try LoopThread.start(name: "a"), try LoopThread.start(name: "b"))
    let onA = a.loop.createFuture(of: Int.self)
    let onB = b.loop.createFuture(of: Int.self)
    let sum = Task.detached { try await onA.value + onB.value }
    try onB.setResult(2)
    try onA.setResult(1)
    #expect(try await sum.value == 3)
    let wrong = loopTask(on: a, awaiting: b.loop.createFuture(of: Int.self))
    #expect(try await wrong.value == "WrongLoopError")
    await a.shutdown()
    await b.shutdown()
  }

  private func loopTask(on thread: LoopThread, awaiting future: Future<Int>) -> Task<String, any Error> {
    Task.detached {
      try await thread.run { _ in
        do {
          return "\(try await future.value)"
        } catch {
          return "\(type(of: error))"
        }
      }
    }
  }
}
