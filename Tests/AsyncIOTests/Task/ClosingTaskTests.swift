// SPDX-License-Identifier: Apache-2.0
//
// What becomes of tasks, and of those who wait, when their loop is closed.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ClosingTaskTests {
  /// Runs a body on a loop, and closes it while things are pending.
  private func runAndClose(
    _ configuration: EventLoop.Configuration, _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void
  ) throws -> Reports {
    let loop = try EventLoop(configuration: configuration)
    let reports = try loop.runUntilComplete { loop in
      let reports = Reports(of: loop)
      try await body(loop)
      return reports
    }
    loop.close()
    #expect(loop.isClosed)
    return reports
  }

  @Test func `T-11: a task that is pending when the loop is closed is reported once, and cancelled`() throws {
    try inEachOrder { configuration in
      let log = Notes<String>()
      let line: UInt = #line + 3
      let reports = try runAndClose(configuration) { loop in
        // Made here:
        loop.createTask(name: "pending") {
          do {
            try await sleep(for: .seconds(1))
          } catch {
            log.add("\(AnyLoopTask.current?.cancellationReason?.kind.rawValue ?? "none")")
            throw error
          }
        }
        loop.createTask(name: "done") {}
        try await turns(2)
      }
      #expect(reports.kinds == [.taskDestroyedPending])
      #expect(reports.value.first?.taskName == "pending")
      #expect(reports.value.first?.creationSite == "\(#fileID):\(line)")
      #expect(log.value == ["shutdown"])
    }
  }

  @Test func `T-11: a body that has not started when the loop is closed never runs`() throws {
    try inEachOrder { configuration in
      let log = Notes<String>()
      let tasks = Notes<AnyLoopTask>()
      let loop = try EventLoop(configuration: configuration)
      let reports = try loop.whileIdle { loop in
        let reports = Reports(of: loop)
        tasks.add(loop.createTask(name: "new") { log.add("ran") })
        return reports
      }
      loop.close()
      #expect(reports.value.map(\.taskName) == ["new"])
      #expect(log.value.isEmpty)
      #expect(tasks.value.allSatisfy { $0.isCancelled })
    }
  }

  @Test func `T-11: a body that catches the closing's cancel stays at its next await for ever`() throws {
    try inEachOrder { configuration in
      let log = Notes<String>()
      let tasks = Notes<AnyLoopTask>()
      let reports = try runAndClose(configuration) { loop in
        let task = loop.createTask(name: "stubborn") {
          defer { log.add("must not end") }
          try? await sleep(for: .seconds(1))
          log.add("cleanup")
          try? await sleep(for: .zero)
          log.add("not reached")
        }
        tasks.add(task)
        try await turns(2)
      }
      #expect(reports.kinds == [.taskDestroyedPending])
      #expect(log.value == ["cleanup"])
      #expect(tasks.value.allSatisfy { !$0.isDone })
    }
  }

  @Test func `T-34: a chain of tasks is reported one by one when the loop is closed`() throws {
    try inEachOrder { configuration in
      let tasks = Notes<AnyLoopTask>()
      let reports = try runAndClose(configuration) { loop in
        let c = loop.createTask(name: "c") { try await loop.createFuture(of: Void.self).value }
        let b = loop.createTask(name: "b") { try await c.value }
        let a = loop.createTask(name: "a") { try await b.value }
        for task in [a, b, c] { tasks.add(task) }
        try await turns(2)
      }
      #expect(reports.value.map(\.taskName) == ["c", "b", "a"])
      #expect(tasks.value.allSatisfy { $0.isCancelled })
    }
  }

  @Test(arguments: [false, true])
  func `F-43: a future that somebody awaits from outside is reported when the loop is closed`(debug: Bool)
    throws
  {
    try inEachOrder { configuration in
      let log = Notes<String>()
      let line: UInt = #line + 2
      let reports = try runAndClose(configuration.with(debug: debug)) { loop in
        let future = loop.createFuture(of: Int.self)
        future.addDoneCallback { log.add("callback") }
        for _ in 0..<2 {
          _ = loop.foreignTask {
            log.add(await outcome(of: future))
          }
        }
        while loop.executor.outsiders.isEmpty { try await turns() }
        try await turns(2)
      }
      #expect(reports.kinds == [.futureAbandoned])
      #expect(reports.value.first?.creationSite == (debug ? "\(#fileID):\(line)" : nil))
      // A done callback is dropped: the future is not done.
      #expect(log.value == ["the event loop is closed", "the event loop is closed"])
    }
  }

  @Test func `F-43: an outsider of a task that the closing cancels gets a cancellation`() throws {
    try inEachOrder { configuration in
      let log = Notes<String>()
      let reports = try runAndClose(configuration) { loop in
        let task = loop.createTask { try await sleep(for: .seconds(1)) }
        _ = loop.foreignTask {
          log.add(await outcome(of: task))
        }
        while loop.executor.outsiders.isEmpty { try await turns() }
        try await turns(2)
      }
      #expect(reports.kinds == [.taskDestroyedPending])
      #expect(log.value == ["cancelled"])
    }
  }

  @Test func `F-43: an outsider of a task that stays pending for ever gets LoopClosedError`() throws {
    try inEachOrder { configuration in
      let log = Notes<String>()
      let reports = try runAndClose(configuration) { loop in
        let task = loop.createTask {
          while true { try? await sleep(for: .seconds(1)) }
        }
        _ = loop.foreignTask {
          log.add(await outcome(of: task))
        }
        while loop.executor.outsiders.isEmpty { try await turns() }
        try await turns(2)
      }
      #expect(Set(reports.kinds) == [.taskDestroyedPending, .futureAbandoned])
      #expect(reports.count == 2)
      #expect(log.value == ["the event loop is closed"])
    }
  }

  @Test func `F-43: those who come after the closing get LoopClosedError, and what has ended stays readable`()
    async throws
  {
    let (pending, done, failed) = try await onThread {
      let loop = try EventLoop()
      let pending = loop.createFuture(of: Int.self)
      let done = loop.createFuture(of: Int.self)
      let failed = try loop.createTaskFromOutside { throw Boom() }
      try done.setResult(1)
      _ = try? loop.runUntilComplete(failed)
      loop.close()
      return (pending, done, failed)
    }
    #expect(await outcome(of: pending) == "the event loop is closed")
    #expect(await outcome(of: done) == "1")
    #expect(await outcome(of: failed) == "boom")
    // It can still be ended: nobody is left to be told.
    try pending.setResult(2)
    #expect(await outcome(of: pending) == "2")
    #expect(!done.cancel())
    let late = pending.loop.createFuture(of: Int.self)
    #expect(late.cancel())
    #expect(late.isCancelled)
  }

  @Test func `F-43: outsiders on the global pool are told of the closing`() async throws {
    let waiters = try await onThread {
      let loop = try EventLoop()
      let waiters = try loop.runUntilComplete { loop in
        loop.exceptionHandler = { _ in }
        let waiters = (0..<8).map { _ in
          let future = loop.createFuture(of: Int.self)
          return Task.detached { await outcome(of: future) }
        }
        while loop.executor.outsiders.count < 8 { try await turns() }
        return waiters
      }
      loop.close()
      return waiters
    }
    for waiter in waiters { #expect(await waiter.value == "the event loop is closed") }
  }

  @Test func `a task that is created on a closed loop is cancelled already, and reported`() async throws {
    let loop = try await onThread {
      let loop = try EventLoop()
      loop.close()
      return loop
    }
    let task = await loop.createTaskWhenClosed()
    #expect(task.isCancelled)
    #expect(task.cancellationReason?.kind == .shutdown)
    #expect(!task.cancel())
    #expect(await loop.allTasks.isEmpty)
  }

  @Test func `a task that is created while its loop is closed never runs, and is reported`() throws {
    try inEachOrder { configuration in
      let log = Notes<String>()
      let reports = try runAndClose(configuration) { loop in
        loop.createTask {
          try? await sleep(for: .seconds(1))
          let late = loop.createTask(name: "late") { log.add("must not run") }
          log.add("\(late.cancellationReason?.kind.rawValue ?? "none")")
        }
        try await turns(2)
      }
      #expect(log.value == ["shutdown"])
      #expect(reports.kinds == [.taskDestroyedPending, .scheduledOnClosedLoop])
      #expect(reports.value.last?.taskName == "late")
    }
  }

  @Test func `T-11: an await of another library may end after the closing, and the loop goes with its task`()
    throws
  {
    try inEachOrder { configuration in
      let continuation = Notes<CheckedContinuation<Void, Never>>()
      let log = Notes<String>()
      weak var closed: EventLoop?
      func leave() throws {
        let loop = try EventLoop(configuration: configuration)
        closed = loop
        try loop.runUntilComplete { loop in
          loop.exceptionHandler = { _ in }
          loop.createTask {
            await withCheckedContinuation { continuation.add($0) }
            log.add("resumed \(Task.isCancelled)")
            await Task.yield()
            do { try await loop.createFuture(of: Void.self).value } catch { log.add("\(type(of: error))") }
          }
          try await turns(2)
        }
        loop.close()
      }
      try leave()
      #expect(closed != nil)
      continuation.value[0].resume()
      #expect(log.value == ["resumed true", "CancellationError"])
      #expect(closed == nil)
    }
  }

  @Test func `closing ends although callbacks schedule each other for ever`() throws {
    try inEachOrder { configuration in
      let count = Notes<Int>()
      _ = try runAndClose(configuration) { loop in
        var again: () -> Void = {}
        again = {
          // So that a failure of this test ends, too.
          if count.count < 100_000 { loop.callSoon { again() } }
          count.add(1)
        }
        again()
        try await turns(2)
      }
      #expect(count.count < 1_000)
    }
  }

  @Test func `an error that nobody reads is reported to the handler while the loop closes`() throws {
    try inEachOrder { configuration in
      let reports = try runAndClose(configuration) { loop in
        loop.createTask(name: "failing") {
          try? await sleep(for: .seconds(1))
          throw Boom()
        }
        try await turns(2)
      }
      #expect(reports.kinds == [.taskDestroyedPending, .errorNeverRetrieved])
    }
  }
}

extension EventLoop {
  /// A task, of a loop that nobody runs.
  fileprivate nonisolated func createTaskFromOutside(
    _ body: @escaping @Sendable () async throws -> Void
  ) throws -> LoopTask<Void> {
    try whileIdle { loop in loop.createTask { try await body() } }
  }

  fileprivate func createTaskWhenClosed() -> LoopTask<Void> {
    createTask { Issue.record("it must not run") }
  }
}
