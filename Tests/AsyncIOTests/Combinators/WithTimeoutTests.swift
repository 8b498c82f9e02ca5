// SPDX-License-Identifier: Apache-2.0
//
// A block with a time limit.

import AsyncIOTesting
import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct WithTimeoutTests {
  @Test func `W-02: a block that ends in time has its value, whatever its type; the timer goes`() throws {
    try runVirtually { loop in
      var hits = 0
      let log = try await withTimeout(.seconds(5)) {
        hits += 1
        try await sleep(for: .seconds(1))
        hits += 1
        return Log()
      }
      log.add("mine")
      #expect(hits == 2)
      #expect(loop.executor.timers.count == 0)
      let none = try await withTimeout(nil) {
        try await sleep(for: .seconds(1_000_000))
        return 1
      }
      let until = try await withTimeout(until: loop.now.advanced(by: .seconds(2))) { $0.deadline }
      #expect(none == 1)
      #expect(until == loop.now.advanced(by: .seconds(2)))
    }
  }

  @Test func `W-16, T-48: the limit passes: timeout at the end of the block, and the task is not cancelled`() throws {
    try runVirtually { loop in
      let me = try #require(AnyLoopTask.current)
      let start = loop.now
      var limit: TimeLimit?
      let end = await ending {
        try await withTimeout(.seconds(3)) {
          limit = $0
          try await sleep(for: .seconds(60))
        }
      }
      #expect(end == "timeout")
      #expect(loop.seconds(since: start) == 3)
      #expect(limit?.isExpired == true)
      #expect(me.cancelling == 0)
      #expect(me.cancellationReason == nil)
      #expect(!Task.isCancelled)
      try await sleep(for: .seconds(1))
      #expect(loop.allTasks.count == 1)
    }
  }

  @Test func `W-03: a block is waited for when the limit has passed, and knows why`() throws {
    try runVirtually { loop in
      let start = loop.now
      let notes = Log()
      let end = await ending {
        try await withTimeout(.seconds(1)) {
          do {
            try await sleep(for: .seconds(60))
          } catch {
            notes.add("\(AnyLoopTask.current?.cancellationReason?.kind ?? .body)")
            try await sleep(for: .seconds(5))
            throw error
          }
        }
      }
      #expect(end == "timeout")
      #expect(loop.seconds(since: start) == 6)
      #expect(notes.entries == ["deadline"])
    }
  }

  @Test func `a limit reaches other libraries' awaits, and those after the block work, in them too`() throws {
    try runVirtually { loop in
      for _ in 0..<3 {
        // A new one each time: a cancel ends a stream for good.
        let (stream, continuation) = AsyncStream.makeStream(of: Int.self)
        let sleeping = await ending {
          try await withTimeout(.milliseconds(2)) { try await Task.sleep(for: .seconds(60)) }
        }
        #expect(sleeping == "timeout")
        let reading = await ending {
          try await withTimeout(.milliseconds(2)) {
            for await _ in stream {}
            try Task.checkCancellation()
          }
        }
        #expect(reading == "timeout")
        continuation.finish()
      }
      try await afterTheBlock(on: loop)
    }
  }

  @Test func `a limit in Swift's own child tasks`() throws {
    try runVirtually { loop in
      let ends = await withTaskGroup(of: String.self) { group in
        for seconds in [1, 3] {
          group.addTask {
            await ending { try await withTimeout(.seconds(2)) { try await waited(seconds) } }
          }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
      #expect(ends == ["1", "timeout"])
    }
  }

  @Test func `W-17: a busy block is interrupted in the first await after the deadline`() throws {
    try runVirtually { loop in
      let notes = Log()
      let end = await ending {
        try await withTimeout(.seconds(1)) {
          try loop.elapse(.seconds(5))
          notes.add("busy")
          try await sleep(for: .seconds(1))
          notes.add("not reached")
        }
      }
      #expect(end == "timeout")
      let value = try await withTimeout(.seconds(1)) {
        try loop.elapse(.seconds(5))
        return 1
      }
      #expect(value == 1)
      #expect(notes.entries == ["busy"])
    }
  }

  @Test(arguments: [(1, 1), (1, 2), (2, 1)])
  func `W-19: of nested blocks the one whose limit passes reports; the outer one, when both do`(
    outer: Int, inner: Int
  ) throws {
    try runVirtually { loop in
      let notes = Log()
      let end = await ending {
        try await withTimeout(.seconds(outer)) {
          do {
            try await withTimeout(.seconds(inner)) { try await sleep(for: .seconds(60)) }
          } catch {
            notes.add(error is TimeoutError ? "inner timeout" : "inner \(error)")
            throw error
          }
        }
      }
      #expect(end == "timeout")
      #expect(notes.entries == [inner < outer ? "inner timeout" : "inner CancellationError()"])
      #expect(AnyLoopTask.current?.cancelling == 0)
    }
  }

  @Test func `W-20: the inner one times out, the loop is busy past the outer deadline: the outer still fires`() throws {
    try runVirtually { loop in
      let notes = Log()
      let end = await ending {
        try await withTimeout(.seconds(2)) {
          notes.add(await ending { try await withTimeout(.seconds(1)) { try await sleep(for: .seconds(60)) } })
          try loop.elapse(.seconds(5))
          try await sleep(for: .seconds(1))
          notes.add("not reached")
        }
      }
      #expect(end == "timeout")
      #expect(notes.entries == ["timeout"])
    }
  }

  @Test func `W-21: an error before the deadline passes through, and nothing has expired`() throws {
    try runVirtually { loop in
      var limit: TimeLimit?
      let end = await ending {
        try await withTimeout(.seconds(5)) {
          limit = $0
          throw Boom()
        }
      }
      #expect(end == "boom")
      #expect(limit?.isExpired == false)
      try await sleep(for: .seconds(10))
      #expect(limit?.isExpired == false)
    }
  }

  @Test func `W-22, W-08: an error of the cleanup wins over the timeout, and isExpired tells`() throws {
    try runVirtually { loop in
      var limit: TimeLimit?
      let end = await ending {
        try await withTimeout(.seconds(5)) {
          limit = $0
          do { try await sleep(for: .seconds(60)) } catch { throw Boom("cleanup") }
        }
      }
      #expect(end == "cleanup")
      #expect(limit?.isExpired == true)
    }
  }

  @Test func `W-07: a block that swallows the cancel and returns a value: that is returned`() throws {
    try runVirtually { loop in
      let value = try await withTimeout(.seconds(1)) {
        try? await sleep(for: .seconds(60))
        return 7
      }
      #expect(value == 7)
    }
  }

  @Test func `W-23: a cancel from outside before the deadline is a cancellation`() throws {
    try runVirtually { loop in
      let notes = Log()
      let task = loop.createTask {
        try await withTimeout(.seconds(60)) {
          do { try await sleep(for: .seconds(60)) } catch {
            notes.add("\(AnyLoopTask.current?.cancellationReason?.message ?? "")")
            throw error
          }
        }
      }
      try await turns(3)
      task.cancel("enough")
      #expect(await ending { try await task.value } == "cancelled")
      #expect(notes.entries == ["enough"])
      #expect(task.cancelling == 1)
      #expect(loop.executor.timers.count == 0)
    }
  }

  @Test(arguments: [false, true])
  func `W-24, T-49: a cancel from outside and the deadline in one turn: the cancellation passes on`(
    limitFirst: Bool
  ) throws {
    try runVirtually { loop in
      var task: LoopTask<Void>?
      if !limitFirst { loop.callLater(.seconds(1)) { task?.cancel() } }
      let deadline = loop.now.advanced(by: .seconds(1))
      let made = loop.createTask {
        try await withTimeout(until: deadline) { try await sleep(for: .seconds(60)) }
      }
      task = made
      try await turns(3)
      if limitFirst { loop.callAt(deadline) { made.cancel() } }
      #expect(await ending { try await made.value } == "cancelled")
      #expect(made.cancelling == 1)
    }
  }
}

/// What would fail in a task whose flag is set.
private func afterTheBlock(on loop: isolated EventLoop) async throws {
  #expect(!Task.isCancelled)
  let read = await readElsewhere(on: loop)
  #expect(read == "1")
  async let child = Task.isCancelled
  let isChildCancelled = await child
  #expect(!isChildCancelled)
  let sum = try await withThrowingTaskGroup(of: Int.self) { group in
    for number in 1...3 {
      group.addTask {
        try await sleep(for: .milliseconds(1))
        return number
      }
    }
    return try await group.reduce(0, +)
  }
  #expect(sum == 6)
}
