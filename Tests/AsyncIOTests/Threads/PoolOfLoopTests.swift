// SPDX-License-Identifier: Apache-2.0
//
// Contract: L-45, DN-04, TH-03: the end of a loop whose pools have work.

import Glibc
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct PoolOfLoopTests {
  @Test func `L-45: the end of a run waits for the work that its pools have`() throws {
    let notes = Notes<Int>()
    var configuration = EventLoop.Configuration()
    configuration.maximumBlockingThreads = 1
    let log = RecordingLog()
    try EventLoop.run(configuration: configuration.with(log: log)) { loop in
      for number in 0..<5 {
        try loop.runInExecutor {
          usleep(2_000)
          notes.add(number)
        }
      }
    }
    #expect(notes.value == Array(0..<5))
    #expect(log.kinds == [])
  }

  @Test func `L-45: work that does not end in time is reported, and left behind`() throws {
    let gate = Gate()
    let notes = Notes<String>()
    let log = RecordingLog()
    var configuration = EventLoop.Configuration()
    configuration.maximumBlockingThreads = 1
    let start = ContinuousClock.now
    try EventLoop.run(configuration: configuration.with(log: log), shutdownGrace: .milliseconds(10)) { loop in
      try loop.runInExecutor {
        notes.add("begun")
        gate.wait()
        notes.add("ended")
      }
      try loop.runInExecutor { notes.add("never") }
      try await settle { notes.count == 1 }
    }
    let taken = ContinuousClock.now - start
    #expect(taken >= .milliseconds(10) && taken < .seconds(5))
    #expect(log.kinds == ["blocking-work-unfinished"])
    #expect(log.lines.first?.contains("before 1 blocking functions") == true)
    #expect(log.lines.first?.contains("1 had not begun") == true)
    gate.open()
    for _ in 0..<1_000 where notes.count < 2 { usleep(1_000) }
    #expect(notes.value == ["begun", "ended"])
  }

  @Test func `L-45: the grace is for the tasks and the work together`() throws {
    let gate = Gate()
    let log = RecordingLog()
    let start = ContinuousClock.now
    try EventLoop.run(configuration: EventLoop.Configuration().with(log: log), shutdownGrace: .milliseconds(10)) {
      loop in
      try loop.runInExecutor { gate.wait() }
      loop.createTask { while true { try? await sleep(for: .seconds(3_600)) } }
      try await turns()
    }
    #expect(ContinuousClock.now - start < .seconds(5))
    #expect(log.kinds.sorted() == ["blocking-work-unfinished", "task-destroyed-pending"])
    gate.open()
  }

  @Test func `L-45: a task's cleanup may use the pool`() throws {
    let notes = Notes<String>()
    try EventLoop.run { loop in
      loop.createTask {
        do { try await sleep(for: .seconds(3_600)) } catch { notes.add(try await runBlocking { "cleaned up" }) }
      }
      try await turns()
    }
    #expect(notes.value == ["cleaned up"])
  }

  @Test func `L-45: work that waits for its loop is served until it has ended`() throws {
    let notes = Notes<Int>()
    try EventLoop.run { loop in
      try loop.runInExecutor { [loop] in
        usleep(5_000)
        notes.add(try loop.runCoroutineThreadsafe { _ in 7 }.wait(timeout: .seconds(10)))
      }
    }
    #expect(notes.value == [7])
  }

  @Test func `L-45: a close does not wait, and reports`() throws {
    let gate = Gate()
    let log = RecordingLog()
    let loop = try EventLoop(configuration: EventLoop.Configuration().with(log: log))
    let future = try loop.runUntilComplete { loop in
      let begun = Notes<Int>()
      let future = try loop.runInExecutor {
        begun.add(1)
        gate.wait()
        return 1
      }
      try await settle { begun.count == 1 }
      return future
    }
    loop.close()
    #expect(log.kinds == ["blocking-work-unfinished"])
    #expect(!future.isDone)
    gate.open()
    for _ in 0..<1_000 where !future.isDone { usleep(1_000) }
    // Whoever has kept the future may read it.
    #expect(try future.result() == 1)
  }

  @Test func `DN-04: closing a loop with work that waits cancels it, and lets go of it`() async throws {
    let gate = Gate()
    let notes = Notes<String>()
    let log = RecordingLog()
    var configuration = EventLoop.Configuration().with(log: log)
    configuration.maximumLookUpThreads = 1
    let thread = try LoopThread.start(configuration: configuration)
    let outside = Task {
      try await thread.run { loop in
        try loop.runInExecutor(loop.lookUpPool) { gate.wait() }
        let sentinel = SentinelOfThreads { notes.add("gone") }
        try await loop.runBlocking(on: loop.lookUpPool) { withExtendedLifetime(sentinel) { notes.add("never") } }
      }
    }
    while try await thread.run({ $0.lookUpPool.queuedCount }) == 0 {}
    // It waits for no look-up.
    await thread.shutdown()
    await #expect(throws: CancellationError.self) { try await outside.value }
    for _ in 0..<1_000 where notes.count < 1 { usleep(1_000) }
    #expect(notes.value == ["gone"])
    // Nobody has asked for what a look-up does.
    #expect(log.kinds == [])
    gate.open()
  }

  @Test func `TH-03: on a loop that is closing, or closed, there is an error`() throws {
    let loop = try EventLoop()
    let errors = Notes<String>()
    try loop.runUntilComplete { loop in
      loop.createTask {
        do {
          try await sleep(for: .seconds(3_600))
        } catch {
          do { try await runBlocking { errors.add("ran") } } catch { errors.add("\(error)") }
        }
      }
      try await turns()
    }
    loop.close()
    #expect(errors.value == ["the event loop is closed"])
  }

  @Test func `TH-03: the loop leaves a pool that it was given to its maker`() throws {
    let pool = ThreadPool(name: "given", maximumThreads: 1)
    let gate = Gate()
    let log = RecordingLog()
    let future = try EventLoop.run(configuration: EventLoop.Configuration().with(log: log)) { loop in
      loop.blockingPool = pool
      #expect(loop.blockingPool === pool)
      #expect(try await runBlocking { ProcessFacts.currentThreadName } == "given")
      return try loop.runInExecutor { gate.wait() }
    }
    #expect(!future.isDone)
    #expect(log.kinds == [])
    #expect(pool.threadCount == 1)
    gate.open()
    try EventLoop.run { _ in
      let value = try await runBlocking(on: pool) { 1 }
      #expect(value == 1)
      #expect(await pool.shutdown())
    }
  }

  @Test func `DB-05: loops with pools, many times, leave no threads, no descriptors, and no work`() throws {
    let before = ProcessFacts.descriptors.count
    for _ in 0..<100 {
      try EventLoop.run { loop in
        let futures = try (0..<4).map { number in try loop.runInExecutor { number } }
        _ = try loop.runInExecutor(loop.lookUpPool) { 1 }
        for future in futures { _ = try await future.value }
      }
    }
    for _ in 0..<1_000 where ProcessFacts.threadNames.contains(where: { $0.hasPrefix("asyncio-worker") }) {
      usleep(2_000)
    }
    #expect(!ProcessFacts.threadNames.contains { $0 == "asyncio-worker" || $0 == "asyncio-lookup" })
    #expect(ProcessFacts.descriptors.count < before + 50)
  }

  @Test func `DB-05: a future and its work are gone when both have ended, also on a loop that was closed`() throws {
    let gate = Gate()
    let notes = Notes<String>()
    let log = RecordingLog()
    do {
      let loop = try EventLoop(configuration: EventLoop.Configuration().with(log: log))
      try loop.runUntilComplete { loop in
        let begun = Notes<Int>()
        try loop.runInExecutor {
          begun.add(1)
          gate.wait()
          return SentinelOfThreads { notes.add("value gone") }
        }
        try await settle { begun.count == 1 }
      }
      loop.close()
    }
    gate.open()
    for _ in 0..<1_000 where notes.count < 1 { usleep(1_000) }
    #expect(notes.value == ["value gone"])
  }
}
