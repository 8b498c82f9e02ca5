// SPDX-License-Identifier: Apache-2.0
//
// One request, one throw: cancel, catch, go on, cancel again, take back.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(200)) struct CancellationTests {
  @Test func `T-31: a cancel cancels the awaited future, and the body sees it at that await`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let log = Log()
      let task = loop.createTask {
        log.add("start")
        do {
          _ = try await future.value
        } catch {
          log.add("\(type(of: error))")
          throw error
        }
        log.add("not reached")
      }
      try await turns()
      #expect(task.cancel("enough"))
      #expect(future.isCancelled)
      #expect(!task.isDone)
      #expect(await outcome(of: task) == "cancelled")
      #expect(log.entries == ["start", "CancellationError"])
      #expect(task.isCancelled)
      #expect(task.cancelling == 1)
      #expect(task.cancellationReason?.message == "enough")
      #expect(task.cancellationReason?.kind == .call)
      #expect(future.cancellationReason == task.cancellationReason)
    }
  }

  @Test func `T-31: a body that has not started never runs`() throws {
    try runVirtually { loop in
      let log = Log()
      weak var captured: Log?
      let start: () -> LoopTask<Void> = {
        let inner = Log()
        captured = inner
        return loop.createTask {
          log.add("ran")
          inner.add("ran")
        }
      }
      let task = start()
      #expect(task.cancel())
      #expect(await outcome(of: task) == "cancelled")
      #expect(log.entries.isEmpty)
      #expect(captured == nil)
      #expect(task.cancelling == 1)
    }
  }

  @Test func `T-32: a future that somebody else cancels ends the task cancelled`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let task = loop.createTask { try await future.value }
      let catcher = loop.createTask { (try? await future.value) ?? -1 }
      try await turns()
      future.cancel()
      #expect(await outcome(of: task) == "cancelled")
      #expect(await outcome(of: catcher) == "-1")
      #expect(task.cancelling == 0)
      #expect(task.cancellationReason?.kind == .body)
      #expect(!catcher.isCancelled)
    }
  }

  @Test func `T-34: a cancel travels to the innermost task, and all in the chain end cancelled`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let c = loop.createTask { try await future.value }
      let b = loop.createTask { try await c.value }
      let a = loop.createTask { try await b.value }
      try await turns()
      #expect(a.cancel("enough"))
      for task in [a, b, c] {
        #expect(await outcome(of: task) == "cancelled")
        #expect(task.cancelling == 1)
        #expect(task.cancellationReason?.message == "enough")
      }
      #expect(future.isCancelled)
    }
  }

  @Test func `T-34: an inner task that catches the cancel and returns gives its value to the outer`() throws {
    try runVirtually { loop in
      let inner = loop.createTask { () async throws -> Int in
        try? await sleep(for: .seconds(1))
        return 5
      }
      let outer = loop.createTask { try await inner.value + 1 }
      try await turns()
      #expect(outer.cancel())
      #expect(await outcome(of: outer) == "6")
      #expect(!outer.isCancelled)
      #expect((outer.cancelling, inner.cancelling) == (1, 1))
    }
  }

  @Test func `T-35: a cancel between two bare yields is seen at the next resume`() throws {
    try runVirtually { loop in
      let counter = Counter()
      let task = loop.createTask {
        while true {
          try await sleep(for: .zero)
          counter.value += 1
        }
      }
      try await turns(3)
      let seen = counter.value
      #expect(seen > 0)
      task.cancel()
      #expect(await outcome(of: task) == "cancelled")
      #expect(counter.value == seen)
    }
  }

  @Test func `T-36: a body that catches a cancel and returns has a value`() throws {
    try runVirtually { loop in
      let task = loop.createTask { () async throws -> String in
        do {
          try await sleep(for: .seconds(1))
          return "slept"
        } catch is CancellationError {
          return "caught"
        }
      }
      try await turns()
      task.cancel()
      #expect(await outcome(of: task) == "caught")
      #expect(!task.isCancelled)
      #expect(task.cancellationReason == nil)
      #expect(try task.result() == "caught")
    }
  }

  @Test func `T-37: a body that catches a cancel may await again`() throws {
    try runVirtually { loop in
      let start = loop.now
      let task = loop.createTask { () async throws -> Duration in
        try? await sleep(for: .seconds(1))
        try await sleep(for: .seconds(5))
        try await loop.createTask { try await turns() }.value
        return start.duration(to: loop.now)
      }
      try await turns()
      task.cancel()
      #expect(try await task.value == .seconds(5))
      #expect(task.cancelling == 1)
    }
  }

  enum Await: String, CaseIterable { case pending, zeroSleep, sleep, task, newTask, sleepUntil }

  @Test(arguments: Await.allCases)
  func `T-39, T-41: a body that cancels itself is interrupted at its next await`(kind: Await) throws {
    try runVirtually { loop in
      let other = loop.createTask { try await loop.createFuture(of: Void.self).value }
      let future = loop.createFuture(of: Void.self)
      try await turns()
      let task = loop.createTask { () async throws -> String in
        #expect(AnyLoopTask.current?.cancel("myself") == true)
        do {
          switch kind {
          case .pending: try await future.value
          case .zeroSleep: try await sleep(for: .zero)
          case .sleep: try await sleep(for: .seconds(1))
          case .task: try await other.value
          case .newTask: try await loop.createTask { try await turns(3) }.value
          case .sleepUntil: try await sleep(until: loop.now)
          }
          return "not interrupted"
        } catch is CancellationError {
          try await turns()
          return "interrupted"
        }
      }
      let start = loop.now
      #expect(await outcome(of: task) == "interrupted")
      #expect(loop.now == start)
      #expect(task.cancelling == 1)
      #expect(future.isCancelled == (kind == .pending))
      #expect(other.isCancelled == (kind == .task))
      other.cancel()
    }
  }

  @Test func `T-39: what has ended is not interrupted, and the await after it is`() throws {
    try runVirtually { loop in
      let done = loop.createFuture(of: Int.self)
      try done.setResult(1)
      let log = Log()
      let task = loop.createTask {
        AnyLoopTask.current?.cancel()
        log.add("\(try await done.value)")
        try await turns()
        log.add("not reached")
      }
      #expect(await outcome(of: task) == "cancelled")
      #expect(log.entries == ["1"])
    }
  }

  @Test func `T-40: a body that cancels itself and returns ends cancelled, and the value is lost`() throws {
    try runVirtually { loop in
      let task = loop.createTask { () async throws -> Int in
        AnyLoopTask.current?.cancel("myself")
        return 5
      }
      #expect(await outcome(of: task) == "cancelled")
      #expect(task.isCancelled)
      #expect(throws: CancellationError.self) { try task.result() }
      #expect(task.cancellationReason?.message == "myself")
    }
  }

  @Test func `T-40: a body that cancels itself and throws another error ends with that error`() throws {
    try runVirtually { loop in
      let task = loop.createTask { () async throws -> Int in
        AnyLoopTask.current?.cancel()
        throw Boom()
      }
      #expect(await outcome(of: task) == "boom")
      #expect(!task.isCancelled)
    }
  }

  @Test func `T-42, T-47: a task that has ended is neither cancelled nor uncancelled`() throws {
    try runVirtually { loop in
      let task = loop.createTask { 1 }
      _ = try await task.value
      #expect(!task.cancel())
      #expect(task.cancelling == 0)
      #expect(task.uncancel() == 0)
      #expect(try task.result() == 1)

      let cancelled = loop.createTask { try await turns() }
      cancelled.cancel("first")
      #expect(await outcome(of: cancelled) == "cancelled")
      #expect(!cancelled.cancel("second"))
      #expect(cancelled.uncancel() == 1)
      #expect(cancelled.cancelling == 1)
      #expect(cancelled.isCancelled)
      #expect(cancelled.cancellationReason?.message == "first")
    }
  }

  @Test func `T-43: of two cancels before it resumes the body sees one`() throws {
    try runVirtually { loop in
      let seen = Counter()
      let task = loop.createTask {
        for _ in 0..<3 {
          do {
            try await turns()
          } catch {
            seen.value += 1
          }
        }
      }
      try await turns()
      #expect(task.cancel("first"))
      #expect(task.cancel("second"))
      #expect(task.cancelling == 2)
      #expect(task.cancellationReason?.message == "first")
      try await task.value
      #expect(seen.value == 1)
    }
  }

  @Test func `T-44: a second cancel after the first was caught is seen, too`() throws {
    try runVirtually { loop in
      let seen = Counter()
      let task = loop.createTask {
        for _ in 0..<5 {
          do {
            try await sleep(for: .seconds(1))
          } catch {
            seen.value += 1
          }
        }
      }
      for round in 1...3 {
        try await turns()
        task.cancel()
        try await turns()
        #expect(seen.value == round)
        #expect(task.cancelling == round)
      }
      try await task.value
      #expect(seen.value == 3)
    }
  }
}
