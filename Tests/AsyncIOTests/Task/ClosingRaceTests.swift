// SPDX-License-Identifier: Apache-2.0
//
// Somebody waits from outside, and the loop is closed: every order of the two, and of the end that may come in between.

import Glibc
import Synchronization
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ClosingRaceTests {
  private static let closed = "the event loop is closed"

  // MARK: A job

  @Test func `L-48: a job of a closed loop runs, though other threads are trying to run the loop`() throws {
    let loop = try EventLoop()
    loop.close()
    let isOver = Shared(false)
    let runners = [
      TestThread { while !isOver.value { try? loop.runForever() } },
      TestThread { while !isOver.value { _ = try? loop.runUntilComplete { _ in } } },
    ]
    defer {
      isOver.change { $0 = true }
      for runner in runners { runner.join() }
    }
    let ran = Shared(0)
    for round in 1...300 {
      Task.detached {
        _ = await loop.debug
        ran.change { $0 += 1 }
      }
      try wait { ran.value == round }
    }
  }

  // MARK: A future

  @Test func `F-43: a wait that is left in the inbox is told by the closing`() throws {
    let log = Notes<String>()
    let loop = try EventLoop()
    let future = loop.createFuture(of: Int.self)
    Task.detached { log.add(await outcome(of: future)) }
    try wait { !loop.executor.inbox.isEmpty }
    loop.close()
    try wait { log.count == 1 }
    #expect(log.value == [Self.closed])
    #expect(!future.isDone)
  }

  @Test func `F-43: a wait that begins while the tasks are abandoned is told`() throws {
    try inEachOrder { configuration in
      let (_, log) = try abandon(configuration) { loop, future, log in
        loop.createTask {
          try? await sleep(for: .seconds(1))
          Task.immediate { log.add(await outcome(of: future)) }
        }
      }
      try wait { log.count == 1 }
      #expect(log.value == [Self.closed])
    }
  }

  @Test func `F-43: a wait that another thread begins while the tasks are abandoned is told`() throws {
    try inEachOrder { configuration in
      let (_, log) = try abandon(configuration) { loop, future, log in
        loop.createTask {
          try? await sleep(for: .seconds(1))
          Task.detached { log.add(await outcome(of: future)) }
          try wait { log.count == 1 }
        }
      }
      #expect(log.value == [Self.closed])
    }
  }

  @Test func `F-43: a wait that begins while the others are told is told`() throws {
    try inEachOrder { configuration in
      let (_, log) = try abandon(configuration) { loop, future, log in
        loop.exceptionHandler = { _ in
          Task.immediate { log.add(await outcome(of: future)) }
        }
        _ = loop.foreignTask { log.add(await outcome(of: loop.createFuture(of: Void.self))) }
      }
      try wait { log.count == 2 }
      #expect(log.value == [Self.closed, Self.closed])
    }
  }

  @Test(arguments: [true, false])
  func `F-43: one that ends in the closing gives its outcome, and no report`(isEndedByAnotherThread: Bool) throws {
    try inEachOrder { configuration in
      let reports = Reports()
      let (_, log) = try abandon(configuration) { loop, future, log in
        loop.exceptionHandler = { reports.add($0) }
        _ = loop.foreignTask { log.add(await outcome(of: future)) }
        loop.createTask {
          try? await sleep(for: .seconds(1))
          if isEndedByAnotherThread {
            TestThread { try? future.setResult(1) }.join()
          } else {
            try future.setResult(1)
          }
        }
      }
      #expect(log.value == ["1"])
      #expect(reports.kinds == [.taskDestroyedPending])
    }
  }

  @Test func `F-43: one who is cancelled in the closing hears that`() throws {
    try inEachOrder { configuration in
      let (future, log) = try abandon(configuration) { loop, future, log in
        let waiter = loop.foreignTask { log.add(await outcome(of: future)) }
        loop.createTask {
          try? await sleep(for: .seconds(1))
          TestThread { waiter.cancel() }.join()
        }
      }
      #expect(log.value == ["cancelled"])
      #expect(future.isCancelled)
    }
  }

  @Test func `F-43: whoever waits while a loop is closed is told, whatever came first`() async throws {
    for round in 0..<300 {
      let loop = try await onThread { try EventLoop(configuration: .virtual().with(log: RecordingLog())) }
      let futures = (0..<4).map { _ in loop.createFuture(of: Int.self) }
      async let closing: Void = onThread {
        for _ in 0..<(round * 20) {}
        loop.closeNow()
      }
      let outcomes = await withTaskGroup(of: String.self) { group in
        for future in futures { group.addTask { await outcome(of: future) } }
        return await group.reduce(into: Set()) { $0.insert($1) }
      }
      #expect(outcomes == [Self.closed])
      try await closing
    }
  }

  @Test func `L-30: a task goes on though another thread ends what it awaits while its loop is closed`() throws {
    try inEachOrder { configuration in
      let (_, log) = try abandon(configuration) { loop, future, log in
        // After the closing of the inbox, and before the task is asked.
        loop.exceptionHandler = { _ in TestThread { try? future.setResult(1) }.join() }
        loop.createTask { log.add(await outcome(of: future)) }
      }
      #expect(log.value == ["cancelled"])
    }
  }

  // MARK: A body for a LoopThread

  @Test func `TH-05: a body that is left in the inbox never runs, and its caller is told`() throws {
    let ran = Notes<String>()
    try EventLoop.run { loop in
      let thread = try LoopThread.start(configuration: .init().with(log: RecordingLog()))
      let block = try Block(thread.loop)
      let caller = loop.createTask { try await thread.run { _ in ran.add("ran") } }
      // By now it has left both: the body, and the wait for its task.
      try await turns(2)
      thread.loop.stop()
      block.end()
      #expect(await outcome(of: caller) == Self.closed)
      await thread.waitUntilEnded()
    }
    #expect(ran.value.isEmpty)
  }

  @Test func `TH-05: a body that has not started when its thread is shut down never runs`() throws {
    let ran = Notes<String>()
    try EventLoop.run { loop in
      let thread = try LoopThread.start()
      let block = try Block(thread.loop)
      let caller = loop.createTask { try await thread.run { _ in ran.add("ran") } }
      try await turns(2)
      // In the same turn as the body's task, and so before the task's start.
      try thread.loop.callSoonThreadsafe { $0.stop() }
      block.end()
      #expect(await outcome(of: caller) == "cancelled")
      await thread.waitUntilEnded()
    }
    #expect(ran.value.isEmpty)
  }

  @Test func `TH-05: a body that comes while the tasks are abandoned is refused`() throws {
    let log = Notes<String>()
    try EventLoop.run { loop in
      let thread = try LoopThread.start(configuration: .init().with(log: RecordingLog()))
      try await thread.run { inner in
        inner.createTask {
          while !inner.isClosing { try? await sleep(for: .seconds(3_600)) }
          Task.detached {
            do { try await thread.run { _ in log.add("ran") } } catch { log.add("\(error)") }
          }
          try? wait { log.count == 1 }
        }
        try await turns()
      }
      await thread.shutdown(grace: .zero)
    }
    #expect(log.value == [Self.closed])
  }

  @Test func `TH-05: callers of a thread that is shut down meanwhile get a value or an error`() async throws {
    for round in 0..<200 {
      let thread = try LoopThread.start(configuration: .init().with(log: RecordingLog()))
      async let shutdown: Void = {
        for _ in 0..<(round % 20) { await Task.yield() }
        await thread.shutdown()
      }()
      let outcomes = await withTaskGroup(of: String.self) { group in
        for _ in 0..<8 {
          group.addTask {
            do { return "\(try await thread.run { _ in 1 })" } catch is CancellationError {
              return "cancelled"
            } catch { return "\(error)" }
          }
        }
        return await group.reduce(into: Set()) { $0.insert($1) }
      }
      #expect(outcomes.isSubset(of: ["1", "cancelled", Self.closed]))
      await shutdown
    }
  }

  // MARK: Below

  /// Closes a loop right after a body has prepared it and two more turns have passed.
  ///
  /// - Returns: A future of the loop, and what the body's tasks wrote down.
  private func abandon(
    _ configuration: EventLoop.Configuration,
    _ body: @escaping @Sendable (isolated EventLoop, Future<Int>, Notes<String>) throws -> Void
  ) throws -> (Future<Int>, Notes<String>) {
    let log = Notes<String>()
    let loop = try EventLoop(configuration: configuration.with(log: RecordingLog()))
    let future = loop.createFuture(of: Int.self)
    try loop.runUntilComplete { loop in
      try body(loop, future, log)
      try await turns(2)
    }
    loop.close()
    return (future, log)
  }
}

/// Blocks the thread until a condition holds, for ten seconds at most.
private func wait(until condition: () -> Bool) throws {
  let start = ContinuousClock.now
  while !condition() {
    if ContinuousClock.now - start > .seconds(10) { throw NeverSettled() }
    usleep(100)
  }
}

/// Keeps a loop's thread in a callback.
private final class Block: Sendable {
  private let hasBegun = Atomic(false)
  private let isOver = Atomic(false)

  init(_ loop: EventLoop) throws {
    try loop.callSoonThreadsafe { [self] _ in
      hasBegun.store(true, ordering: .releasing)
      try wait { isOver.load(ordering: .acquiring) }
    }
    try wait { hasBegun.load(ordering: .acquiring) }
  }

  func end() { isOver.store(true, ordering: .releasing) }
}
