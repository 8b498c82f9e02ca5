// SPDX-License-Identifier: Apache-2.0
//
// Awaiting futures, from tasks of their loop.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(200)) struct FutureAwaitingTests {
  @Test func `F-28: a future that has ended is awaited without giving up the turn`() throws {
    try runVirtually { loop in
      let counter = Counter()
      loop.callSoon { counter.value += 1 }
      let done = loop.createFuture(of: Int.self)
      try done.setResult(1)
      #expect(try await done.value == 1)
      let failed = loop.createFuture(of: Int.self)
      try failed.setError(Boom())
      #expect(await outcome(of: failed) == "boom")
      let cancelled = loop.createFuture(of: Int.self)
      cancelled.cancel()
      #expect(await outcome(of: cancelled) == "cancelled")
      #expect(counter.value == 0)
      try await turns()
      #expect(counter.value == 1)
    }
  }

  @Test(.inOrder) func `F-29: two tasks that await one future resume in order of waiting, in one turn`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let log = Log()
      for name in ["a", "b", "c"] {
        loop.createTask {
          let value = try await future.value
          loop.callSoon { log.add("a turn after \(name)") }
          log.add("\(name) \(value)")
        }
      }
      try await turns()
      try future.setResult(7)
      #expect(log.entries.isEmpty)
      try await turns(2)
      #expect(
        log.entries == ["a 7", "b 7", "c 7", "a turn after a", "a turn after b", "a turn after c"])
    }
  }

  @Test func `F-29: one waiter's cancel cancels the future for all`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let a = loop.createTask { try await future.value }
      let b = loop.createTask { try await future.value }
      try await turns()
      a.cancel()
      #expect(await outcome(of: a) == "cancelled")
      #expect(await outcome(of: b) == "cancelled")
      #expect((a.cancelling, b.cancelling) == (1, 0))
    }
  }

  @Test func `F-39: a future that only its waiter has goes with the waiter`() throws {
    try runVirtually { loop in
      weak var future: Future<Int>?
      weak var task: LoopTask<Int>?
      let start: () -> Void = {
        let new = loop.createFuture(of: Int.self)
        future = new
        task = loop.createTask { try await new.value }
      }
      start()
      try await turns()
      #expect(future != nil)
      #expect(task != nil)
      task?.cancel()
      try await turns()
      #expect(future == nil)
      #expect(task == nil)
    }
  }

  @Test func `F-39: a future that only an outside waiter has goes with the waiter`() throws {
    try runVirtually { loop in
      weak var future: Future<Int>?
      let start: () -> Task<Int, any Error> = {
        let new = loop.createFuture(of: Int.self)
        future = new
        return loop.foreignTask {
          return try await new.value
        }
      }
      let waiter = start()
      try await turns()
      #expect(future != nil)
      waiter.cancel()
      _ = await waiter.result
      try await turns()
      #expect(future == nil)
      #expect(loop.executor.outsiders.isEmpty)
    }
  }

  @Test func `F-39: a future, its callbacks and what they hold go when it has ended`() throws {
    try runVirtually { loop in
      weak var future: Future<Int>?
      weak var captured: Log?
      let start: () throws -> Void = {
        let new = loop.createFuture(of: Int.self)
        let log = Log()
        (future, captured) = (new, log)
        new.addDoneCallback { log.add("\(try new.result())") }
        try new.setResult(1)
        new.addDoneCallback { log.add("\(try new.result())") }
      }
      try start()
      #expect(captured != nil)
      try await turns()
      #expect(future == nil)
      #expect(captured == nil)
    }
  }

  @Test func `F-44: an error for several waiters is the same object for each, however often it is thrown`()
    throws
  {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let boom = Boom()
      let readers = (0..<100).map { _ in loop.createTask { try await future.value } }
      try await turns()
      try future.setError(boom)
      for reader in readers {
        for _ in 0..<3 {
          let error = await #expect(throws: Boom.self) { try await reader.value }
          #expect(error === boom)
        }
      }
    }
  }

  @Test func `T-09: awaiting a future of another loop throws into the body`() throws {
    let other = try EventLoop()
    let foreign = other.createFuture(of: Int.self)
    try runVirtually { loop in
      let task = loop.createTask {
        do {
          return "\(try await foreign.value)"
        } catch is WrongLoopError {
          try await turns()
          return "wrong loop"
        }
      }
      #expect(await outcome(of: task) == "wrong loop")
    }
    #expect(!foreign.isDone)
    try foreign.setResult(1)
    let value = try runVirtually { _ in try await foreign.value }
    #expect(value == 1)
    #expect(throws: WrongLoopError.self) {
      let loop = try EventLoop()
      defer { loop.close() }
      try loop.runUntilComplete(foreign)
    }
    other.close()
  }
}
