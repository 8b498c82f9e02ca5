// SPDX-License-Identifier: Apache-2.0
//
// Swift's own concurrency inside of a task of a loop: it runs on the loop, and hears a cancel.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct SwiftConcurrencyTests {
  @concurrent private static func threadOfConcurrent() async -> UInt { thisThread }
  private static func threadOfPlain() async -> UInt { thisThread }

  /// Waits, and notes how that ended and where.
  private static func wait(for future: Future<Int>, _ notes: Notes<String>, home: UInt) async throws -> Int {
    do {
      let value = try await future.value
      notes.add("\(value)\(thisThread == home ? "" : " away")")
      return value
    } catch {
      notes.add("\(type(of: error)) \(Task.isCancelled)\(thisThread == home ? "" : " away")")
      throw error
    }
  }

  @Test func `plain and concurrent async functions run on the loop`() throws {
    try runVirtually { loop in
      let home = thisThread
      #expect(await Self.threadOfPlain() == home)
      #expect(await Self.threadOfConcurrent() == home)
      #expect(thisThread == home)
    }
  }

  @Test func `async let runs on the loop, and shares the turns with other tasks`() throws {
    try runVirtually { loop in
      let home = thisThread
      let notes = Notes<String>()
      let future = loop.createFuture(of: Int.self)
      let task = loop.createTask { () async throws -> Int in
        async let a = Self.wait(for: future, notes, home: home)
        async let b = Self.wait(for: future, notes, home: home)
        return try await a + b
      }
      try await turns(2)
      try future.setResult(2)
      #expect(try await task.value == 4)
      #expect(notes.value == ["2", "2"])
    }
  }

  @Test func `async let hears a cancel of the task around it`() throws {
    try runVirtually { loop in
      let home = thisThread
      let notes = Notes<String>()
      let future = loop.createFuture(of: Int.self)
      let task = loop.createTask { () async throws -> Int in
        async let a = Self.wait(for: future, notes, home: home)
        return try await a
      }
      try await turns(2)
      #expect(task.cancel("enough"))
      #expect(await outcome(of: task) == "cancelled")
      #expect(notes.value == ["CancellationError true"])
      #expect(future.cancellationReason?.kind == .parent)
      #expect(task.cancelling == 1)
      #expect(task.cancellationReason?.message == "enough")
    }
  }

  @Test func `an async let that the body does not await is cancelled and awaited at its end`() throws {
    try runVirtually { loop in
      let home = thisThread
      let notes = Notes<String>()
      let future = loop.createFuture(of: Int.self)
      let task = loop.createTask { () async throws -> Int in
        async let a = Self.wait(for: future, notes, home: home)
        try await turns(2)
        if loop.isClosed { return try await a }
        return 1
      }
      let value = try await task.value
      #expect(value == 1)
      #expect(notes.value == ["CancellationError true"])
      #expect(future.isCancelled)
    }
  }

  @Test(.inOrder) func `the children of a task group run on the loop, and hear a cancel`() throws {
    try runVirtually { loop in
      let home = thisThread
      let notes = Notes<String>()
      let future = loop.createFuture(of: Int.self)
      let task = loop.createTask {
        try await withThrowingTaskGroup(of: Int.self) { group in
          for _ in 0..<3 { group.addTask { try await Self.wait(for: future, notes, home: home) } }
          group.addTask {
            try await sleep(for: .seconds(3_600))
            return 0
          }
          return try await group.reduce(0, +)
        }
      }
      try await turns(2)
      #expect(loop.executor.timers.count == 1)
      task.cancel()
      #expect(await outcome(of: task) == "cancelled")
      #expect(notes.value == Array(repeating: "CancellationError true", count: 3))
      #expect(loop.executor.timers.count == 0)
      #expect(loop.executor.outsiders.isEmpty)
    }
  }

  @Test func `a child of a task group that fails cancels the others' awaits`() throws {
    try runVirtually { loop in
      let home = thisThread
      let notes = Notes<String>()
      let future = loop.createFuture(of: Int.self)
      let gate = loop.createFuture(of: Int.self)
      let task = loop.createTask { () async throws -> Int in
        try await withThrowingTaskGroup(of: Int.self) { group in
          group.addTask { try await Self.wait(for: future, notes, home: home) }
          group.addTask { try await gate.value }
          return try await group.reduce(0, +)
        }
      }
      try await turns(2)
      try gate.setError(Boom())
      #expect(await outcome(of: task) == "boom")
      #expect(notes.value == ["CancellationError true"])
      #expect(!task.isCancelled)
      #expect(task.cancelling == 0)
    }
  }

  @Test func `a stream is read on the loop, in turn with its callbacks, and ends by a cancel`() throws {
    try runVirtually { loop in
      let home = thisThread
      let log = Log()
      let (stream, continuation) = AsyncStream.makeStream(of: Int.self)
      let task = loop.createTask {
        for await number in stream { log.add("\(number) \(thisThread == home)") }
        log.add("end \(Task.isCancelled)")
      }
      try await turns()
      loop.callSoon { continuation.yield(1) }
      TestThread { continuation.yield(2) }.join()
      try await turns(4)
      task.cancel()
      _ = await outcome(of: task)
      #expect(log.entries.last == "end true")
      #expect(Set(log.entries) == ["1 true", "2 true", "end true"])
    }
  }

  @Test func `a throwing stream that fails gives its error to the task`() throws {
    try runVirtually { loop in
      let (stream, continuation) = AsyncThrowingStream.makeStream(of: Int.self)
      let task = loop.createTask { () async throws -> Int in try await stream.reduce(0, +) }
      try await turns()
      continuation.yield(1)
      continuation.finish(throwing: Boom())
      #expect(await outcome(of: task) == "boom")
    }
  }

  @Test func `Task.sleep hears a cancel, and comes back on the loop`() throws {
    try runInRealTime { loop in
      let home = thisThread
      let task = loop.createTask { () async throws -> Bool in
        do {
          try await Task.sleep(for: .seconds(3_600))
          return false
        } catch {
          return error is CancellationError && thisThread == home
        }
      }
      try await turns(3)
      #expect(task.cancel())
      #expect(try await task.value)
      try await Task.sleep(for: .nanoseconds(1))
      #expect(thisThread == home)
    }
  }

  @Test func `T-35: Task.yield gives up the turn, and a cancel is heard by the next await of ours`() throws {
    try runVirtually { loop in
      let log = Log()
      let task = loop.createTask {
        let home = thisThread
        loop.callSoon { log.add("callback") }
        await Task.yield()
        log.add("task \(thisThread == home)")
        while !Task.isCancelled { await Task.yield() }
        log.add("cancelled")
        try await turns()
        log.add("not reached")
      }
      try await turns(2)
      task.cancel()
      #expect(await outcome(of: task) == "cancelled")
      #expect(log.entries == ["callback", "task true", "cancelled"])
    }
  }

  @Test func `a body that heard the cancel in Task.sleep, and returns, has a value`() throws {
    try runVirtually { loop in
      let task = loop.createTask { () async throws -> Int in
        try? await Task.sleep(for: .seconds(3_600))
        return 1
      }
      try await turns(2)
      task.cancel()
      #expect(await outcome(of: task) == "1")
    }
  }

  @Test func `a detached task runs elsewhere, has no loop, and its awaiter comes back to the loop`()
    async throws
  {
    try await onThread {
      try runInRealTime { loop in
        let home = thisThread
        let detached = Task.detached {
          #expect(AnyLoopTask.current == nil)
          await #expect(throws: NoRunningLoopError.self) { try await sleep(for: .zero) }
          return thisThread
        }
        #expect(await detached.value != home)
        #expect(thisThread == home)
      }
    }
  }

  @Test func `Task.immediate runs at once, goes on on the loop, and hears its own cancel`() throws {
    try runVirtually { loop in
      let home = thisThread
      let log = Log()
      let future = loop.createFuture(of: Int.self)
      let immediate = Task.immediate {
        _ = loop
        log.add("start \(thisThread == home)")
        do {
          _ = try await future.value
        } catch {
          log.add("\(type(of: error)) \(thisThread == home)")
        }
      }
      #expect(log.entries == ["start true"])
      while loop.executor.outsiders.isEmpty { try await turns() }
      immediate.cancel()
      await immediate.value
      #expect(log.entries == ["start true", "CancellationError true"])
      #expect(future.cancellationReason?.kind == .parent)
    }
  }

  @Test func `Task.immediate in a task of the loop may await, and finds the loop's state whole`() throws {
    try runVirtually { loop in
      let log = Log()
      let task = loop.createTask(name: "outer") {
        let immediate = Task.immediate {
          _ = loop
          log.add("immediate")
          try await sleep(for: .zero)
          log.add("woken")
        }
        log.add("\(AnyLoopTask.current?.name ?? "none")")
        try await turns()
        AnyLoopTask.current?.cancel()
        try? await turns()
        try await immediate.value
        log.add("\(AnyLoopTask.current?.name ?? "none")")
      }
      try await task.value
      #expect(log.entries == ["immediate", "outer", "woken", "outer"])
    }
  }

  @Test
  func `a cancellation handler of the body runs inside of cancel, and may end what is awaited`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let home = thisThread
      let order = Notes<String>()
      let task = loop.createTask { () async throws -> Int in
        try await withTaskCancellationHandler {
          defer { order.add("end \(thisThread == home)") }
          return try await future.value
        } onCancel: {
          order.add("handler")
          try? future.setResult(1)
        }
      }
      try await turns(2)
      task.cancel()
      order.add("after cancel")
      #expect(order.value == ["handler", "after cancel"])
      // As with any finish before a cancel in one turn (T-50).
      let ended = await outcome(of: task)
      #expect(ended == "cancelled")
      #expect(try future.result() == 1)
      #expect(order.value.last == "end true")
    }
  }
}
