// SPDX-License-Identifier: Apache-2.0
//
// Contract: TH-01, TH-07, TH-08, T-69, T-70, F-33, F-34: one function on a thread of a pool.

import AsyncIOTesting
import CLinux
import Glibc
import Synchronization
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct RunBlockingTests {
  @Test func `TH-01: a function's value comes back, and it runs on a thread that is not the loop's`() throws {
    try runInRealTime { loop in
      let own = gettid()
      let (thread, name) = try await runBlocking { (gettid(), ProcessFacts.currentThreadName) }
      #expect(thread != own)
      #expect(name == "asyncio-worker")
      #expect(gettid() == own)
      #expect(try await loop.runBlocking { 7 } == 7)
    }
  }

  @Test func `TH-01: a function's error comes back, the very one`() throws {
    try runInRealTime { loop in
      let boom = Boom()
      let error = await #expect(throws: Boom.self) { try await runBlocking { throw boom } }
      #expect(error === boom)
      await #expect(throws: CancellationError.self) { try await runBlocking { throw CancellationError() } }
    }
  }

  @Test func `TH-01: a function carries the task-locals of its caller, as they were`() throws {
    try runInRealTime { loop in
      let value = try await TestLocal.$number.withValue(7) { try await runBlocking { TestLocal.number } }
      #expect(value == 7)
      #expect(try await runBlocking { TestLocal.number } == 0)
      let future = try TestLocal.$number.withValue(8) { try loop.runInExecutor { TestLocal.number } }
      let other = try await TestLocal.$number.withValue(9) { try await future.value }
      #expect(other == 8)
      let nested = try await TestLocal.$number.withValue(3) {
        try await runBlocking { TestLocal.$number.withValue(4) { TestLocal.number * 10 } + TestLocal.number }
      }
      #expect(nested == 43)
    }
  }

  @Test func `TH-01: a plain callback gives work to a pool, too`() throws {
    try runInRealTime { loop in
      let done = loop.createFuture(of: Int.self)
      loop.callSoon {
        let future = try loop.runInExecutor { 5 }
        future.addDoneCallback { try done.setResult(future.result()) }
      }
      let value = try await done.value
      #expect(value == 5)
    }
  }

  @Test func `TH-01: without a loop there is a clear error`() async {
    await #expect(throws: NoRunningLoopError.self) { try await runBlocking { 1 } }
  }

  @Test func `TH-01: a Swift task on another thread asks the loop for it`() async throws {
    let thread = try LoopThread.start()
    let id = try await thread.loop.runBlocking { gettid() }
    let loopThread = try await thread.run { _ in gettid() }
    #expect(id != loopThread)
    await thread.shutdown()
  }

  @Test func `F-33: the future of a function ends as that does, and its callbacks run on the loop`() throws {
    try runInRealTime { loop in
      let own = gettid()
      var threads: [Int32] = []
      let value = try loop.runInExecutor { 1 }
      value.addDoneCallback { threads.append(gettid()) }
      let failure = try loop.runInExecutor { () throws -> Int in throw Oops(number: 3) }
      failure.addDoneCallback { threads.append(gettid()) }
      #expect(try await value.value == 1)
      await #expect(throws: Oops(number: 3)) { try await failure.value }
      try await settle { threads.count == 2 }
      #expect(threads == [own, own])
    }
  }

  @Test func `F-21: a function's error that nobody reads is reported`() throws {
    try runInRealTime { loop in
      let reports = Reports(of: loop)
      try loop.runInExecutor { throw Oops() }
      try await settle { reports.count == 1 }
      #expect(reports.kinds == [.errorNeverRetrieved])
    }
  }

  @Test func `T-69: a cancel ends the wait at once; the function goes on, and its result is dropped`() throws {
    try runInRealTime { loop in
      let reports = Reports(of: loop)
      for fails in [false, true] {
        let gate = Gate()
        let notes = Notes<String>()
        let task = loop.createTask {
          try await runBlocking {
            notes.add("begun")
            gate.wait()
            notes.add("cancelled: \(Task.isCancelled)")
            if fails { throw Oops() }
          }
        }
        try await settle { notes.value == ["begun"] }
        task.cancel("enough")
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(task.cancellationReason?.message == "enough")
        #expect(notes.value == ["begun"])
        gate.open()
        try await settle { notes.count == 2 }
        #expect(notes.value == ["begun", "cancelled: true"])
        try await settle { loop.blockingPool.core.callCount == 0 }
        try await turns(3)
        #expect(reports.kinds == [])
      }
    }
  }

  @Test func `T-70: a function that is cancelled before its start never runs, and lets go of what it captured`()
    throws
  {
    try runInRealTime { loop in
      let pool = ThreadPool(maximumThreads: 1)
      let gate = Gate()
      let notes = Notes<String>()
      let first = try loop.runInExecutor(pool) { gate.wait() }
      var tasks: [LoopTask<Void>] = []
      for number in 0..<10 {
        tasks.append(
          loop.createTask {
            let sentinel = SentinelOfThreads { notes.add("gone \(number)") }
            try await runBlocking(on: pool) { withExtendedLifetime(sentinel) { notes.add("ran \(number)") } }
          })
      }
      try await settle { pool.queuedCount == 10 }
      for number in [0, 9, 4, 3, 5] { tasks[number].cancel() }
      for number in [0, 9, 4, 3, 5] { _ = try? await tasks[number].value }
      // The pool is as busy as before.
      try await settle { notes.count == 5 }
      #expect(notes.value.sorted() == ["gone 0", "gone 3", "gone 4", "gone 5", "gone 9"])
      #expect(pool.queuedCount == 5)
      gate.open()
      try await first.value
      for number in [1, 2, 6, 7, 8] { try await tasks[number].value }
      #expect(notes.value.filter { $0.hasPrefix("ran") } == [1, 2, 6, 7, 8].map { "ran \($0)" })
      #expect(tasks[0].isCancelled && tasks[9].isCancelled)
    }
  }

  @Test func `T-70: a task that is cancelled before it calls in gives nothing to the pool`() throws {
    try runVirtually { loop in
      let calls = Notes<Int>()
      let task = loop.createTask {
        AnyLoopTask.current?.cancel()
        try await runBlocking { calls.add(1) }
      }
      await #expect(throws: CancellationError.self) { try await task.value }
      // Time passes only when no thread of a pool has anything to do.
      try await sleep(for: .seconds(1))
      #expect(calls.count == 0)
    }
  }

  @Test func `F-34: a cancel of the future is one of the function, from any thread`() throws {
    try runInRealTime { loop in
      let pool = ThreadPool(maximumThreads: 1)
      let gate = Gate()
      let notes = Notes<String>()
      let running = try loop.runInExecutor(pool) {
        notes.add("begun")
        gate.wait()
        notes.add("cancelled: \(Task.isCancelled)")
      }
      let waiting = try loop.runInExecutor(pool) { notes.add("never") }
      try await settle { notes.count == 1 }
      TestThread {
        waiting.cancel()
        running.cancel()
      }.join()
      try await settle { pool.queuedCount == 0 }
      #expect(waiting.isCancelled && running.isCancelled)
      gate.open()
      try await settle { notes.count == 2 }
      #expect(notes.value == ["begun", "cancelled: true"])
    }
  }

  @Test func `T-70: ends and cancels that race leave each function run once or never`() throws {
    try runInRealTime { loop in
      let pool = ThreadPool(maximumThreads: 2)
      var generator = SplitMix64(state: 42)
      let runs = Notes<Int>()
      var futures: [Future<Int>] = []
      for number in 0..<2_000 {
        futures.append(
          try loop.runInExecutor(pool) {
            runs.add(number)
            return number
          })
        if generator.next() % 3 == 0 { futures[Int(generator.next() % UInt64(futures.count))].cancel() }
        if generator.next() % 50 == 0 { try await turns() }
      }
      for (number, future) in futures.enumerated() {
        let end = await outcome(of: future)
        #expect(end == "\(number)" || end == "cancelled")
      }
      try await settle { pool.core.callCount == 0 && pool.queuedCount == 0 }
      let ran = runs.value
      #expect(Set(ran).count == ran.count)
      for (number, future) in futures.enumerated() where !future.isCancelled { #expect(ran.contains(number)) }
      #expect(ran == ran.sorted() || Set(ran).count == ran.count)
    }
  }

  @Test func `TH-07: what a function captured is released before the caller goes on`() throws {
    try runInRealTime { loop in
      for _ in 0..<200 {
        let notes = Notes<String>()
        try await runBlocking { [sentinel = SentinelOfThreads { notes.add("gone") }] in
          withExtendedLifetime(sentinel) { notes.add("used") }
        }
        #expect(notes.value == ["used", "gone"])
        let future = try loop.runInExecutor { [sentinel = SentinelOfThreads { notes.add("gone") }] in
          withExtendedLifetime(sentinel) { notes.add("used") }
        }
        try await future.value
        #expect(notes.value == ["used", "gone", "used", "gone"])
      }
    }
  }

  @Test func `TH-07: a thread that rests holds neither the function nor its value`() throws {
    final class Weak: Sendable {
      nonisolated(unsafe) weak var object: SentinelOfThreads?
    }
    try runInRealTime { loop in
      let notes = Notes<String>()
      let weak = Weak()
      do {
        let value = try await runBlocking {
          let made = SentinelOfThreads { notes.add("gone") }
          unsafe weak.object = made
          return made
        }
        #expect(unsafe weak.object === value)
      }
      try await settle { notes.value == ["gone"] }
      #expect(unsafe weak.object == nil)
      #expect(loop.blockingPool.threadCount == 1)
    }
  }

  @Test func `TH-08: functions and what they captured may use the pool at their end`() throws {
    try runInRealTime { loop in
      let pool = ThreadPool(maximumThreads: 1)
      let counts = Notes<Int>()
      let gate = Gate()
      // While it runs, when it is dropped, and when it has run.
      let running = try loop.runInExecutor(pool) {
        gate.wait()
        counts.add(pool.queuedCount)
      }
      let dropped = try loop.runInExecutor(pool) {
        [sentinel = SentinelOfThreads { counts.add(pool.threadCount) }] in withExtendedLifetime(sentinel) {}
      }
      dropped.cancel()
      gate.open()
      try await running.value
      try await runBlocking(on: pool) {
        [other = SentinelOfThreads { counts.add(pool.threadCount) }] in withExtendedLifetime(other) {}
      }
      try await settle { counts.count == 3 }
    }
  }
}

/// A door that a thread waits at.
final class Gate: Sendable {
  private let isOpen = Atomic(false)

  func open() { isOpen.store(true, ordering: .releasing) }

  /// For ten seconds at most, so that a test that fails ends.
  func wait() {
    for _ in 0..<20_000 where !isOpen.load(ordering: .acquiring) { usleep(500) }
  }
}

/// Says when it goes, on any thread.
final class SentinelOfThreads: Sendable {
  private let atEnd: @Sendable () -> Void
  init(atEnd: @escaping @Sendable () -> Void) { self.atEnd = atEnd }
  deinit { atEnd() }
}
