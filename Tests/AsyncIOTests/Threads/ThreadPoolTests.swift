// SPDX-License-Identifier: Apache-2.0
//
// Contract: TH-02, TH-03, TH-10, L-45, DN-04, DN-05: the threads of a pool, their number, their order and their end.

import CLinux
import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ThreadPoolTests {
  @Test func `TH-02: work is begun in the order of its coming`() throws {
    try EventLoop.run { loop in
      let pool = ThreadPool(maximumThreads: 1)
      let order = Notes<Int>()
      let futures = try (0..<500).map { number in try loop.runInExecutor(pool) { order.add(number) } }
      for future in futures { try await future.value }
      #expect(order.value == Array(0..<500))
    }
  }

  @Test func `TH-02: threads are started when they are needed, and never more than the bound`() throws {
    try EventLoop.run { loop in
      let pool = ThreadPool(maximumThreads: 3)
      #expect(pool.threadCount == 0)
      try await runBlocking(on: pool) {}
      #expect(pool.threadCount == 1)
      // One that rests is used again.
      for _ in 0..<50 {
        try await settle { pool.core.restingCount == 1 }
        try await runBlocking(on: pool) {}
      }
      #expect(pool.threadCount == 1)
      let gate = Gate()
      let atOnce = Shared((now: 0, most: 0))
      let futures = try (0..<20).map { _ in
        try loop.runInExecutor(pool) {
          atOnce.change {
            $0.now += 1
            $0.most = max($0.most, $0.now)
          }
          gate.wait()
          atOnce.change { $0.now -= 1 }
        }
      }
      try await settle { atOnce.value.now == 3 }
      try await linger()
      #expect(pool.threadCount == 3)
      #expect(pool.queuedCount == 17)
      gate.open()
      for future in futures { try await future.value }
      #expect(atOnce.value.most == 3)
      #expect(pool.threadCount == 3)
    }
  }

  @Test func `TH-02: threads that have nothing to do end after a while, and come back`() throws {
    try EventLoop.run { loop in
      let pool = ThreadPool(name: "th-02-idle", maximumThreads: 4, idleTime: .milliseconds(30))
      for _ in 0..<3 {
        let gate = Gate()
        let futures = try (0..<4).map { _ in try loop.runInExecutor(pool) { gate.wait() } }
        #expect(pool.threadCount == 4)
        gate.open()
        for future in futures { try await future.value }
        try await settle { pool.threadCount == 0 }
        try await settle { !ProcessFacts.threadNames.contains("th-02-idle") }
      }
    }
  }

  @Test func `TH-02: work that comes as a thread is about to leave is done`() throws {
    try EventLoop.run { loop in
      // Each wait is about as long as the idle time, so that the two meet.
      let pool = ThreadPool(maximumThreads: 1, idleTime: .microseconds(500))
      for number in 0..<300 {
        #expect(try await runBlocking(on: pool) { number } == number)
        try await sleep(for: .microseconds(400 + number % 7 * 50))
      }
    }
  }

  @Test func `TH-02: a thread that hangs in what it lets go of does not keep the others from their work`() throws {
    try EventLoop.run { loop in
      let pool = ThreadPool(maximumThreads: 2)
      for round in 0..<20 {
        let gate = Gate()
        let notes = Notes<String>()
        let dropped = try loop.runInExecutor(pool) {
          notes.add("begun")
          while !Task.isCancelled { sched_yield() }
          return SentinelOfThreads {
            notes.add("going")
            gate.wait()
          }
        }
        try await settle { notes.count == 1 }
        // Added while the first thread is about to hang, and when it does.
        dropped.cancel()
        #expect(try await runBlocking(on: pool) { round } == round)
        try await settle { notes.count == 2 }
        for number in 0..<10 { #expect(try await runBlocking(on: pool) { number } == number) }
        gate.open()
      }
      #expect(await pool.shutdown())
    }
  }

  @Test(arguments: [0, -1, Int.min])
  func `TH-02: a bound below one counts as one`(bound: Int) throws {
    try EventLoop.run { loop in
      let pool = ThreadPool(maximumThreads: bound, idleTime: .seconds(-1))
      for number in 0..<10 {
        let value = try await runBlocking(on: pool) { number }
        #expect(value == number)
      }
    }
    var configuration = EventLoop.Configuration()
    configuration.maximumBlockingThreads = bound
    let value = try EventLoop.run(configuration: configuration) { _ in try await runBlocking { 1 } }
    #expect(value == 1)
  }

  @Test func `TH-02: the bound of the loop's own pool is configured`() throws {
    #expect(ThreadPool.usualMaximumThreads >= 5 && ThreadPool.usualMaximumThreads <= 32)
    var configuration = EventLoop.Configuration()
    #expect(configuration.maximumBlockingThreads == ThreadPool.usualMaximumThreads)
    configuration.maximumBlockingThreads = 2
    try EventLoop.run(configuration: configuration) { loop in
      let gate = Gate()
      let futures = try (0..<5).map { _ in try loop.runInExecutor { gate.wait() } }
      #expect(loop.blockingPool.threadCount == 2)
      try await settle { loop.blockingPool.queuedCount == 3 }
      gate.open()
      for future in futures { try await future.value }
    }
  }

  @Test func `TH-03: a pool that is shut down refuses work, with a clear error`() throws {
    try EventLoop.run { loop in
      let pool = ThreadPool()
      try await runBlocking(on: pool) {}
      #expect(await pool.shutdown())
      #expect(pool.threadCount == 0)
      let notes = Notes<String>()
      let sentinel = SentinelOfThreads { notes.add("gone") }
      await #expect(throws: ThreadPoolClosedError.self) {
        try await runBlocking(on: pool) { [sentinel] in withExtendedLifetime(sentinel) { notes.add("ran") } }
      }
      #expect(throws: ThreadPoolClosedError.self) { try loop.runInExecutor(pool) { notes.add("ran") } }
      #expect("\(ThreadPoolClosedError())".contains("shut down"))
      // Once more is nothing; and the loop's own is another one.
      #expect(await pool.shutdown(grace: .zero))
      #expect(try await runBlocking { 2 } == 2)
      #expect(!notes.value.contains("ran"))
    }
  }

  @Test func `TH-03: a shutdown waits for what runs and what waits`() throws {
    try EventLoop.run { loop in
      let pool = ThreadPool(maximumThreads: 2)
      let notes = Notes<Int>()
      let futures = try (0..<10).map { number in
        try loop.runInExecutor(pool) {
          usleep(2_000)
          notes.add(number)
        }
      }
      #expect(await pool.shutdown(grace: .seconds(30)))
      #expect(notes.value.sorted() == Array(0..<10))
      for future in futures { try await future.value }
    }
  }

  @Test func `TH-03: a shutdown with a limit cancels what has not begun, and leaves what runs`() throws {
    try EventLoop.run { loop in
      let pool = ThreadPool(maximumThreads: 1)
      let gate = Gate()
      let notes = Notes<String>()
      let running = try loop.runInExecutor(pool) {
        gate.wait()
        return "late"
      }
      let waiting = try loop.runInExecutor(pool) { notes.add("never") }
      let start = ContinuousClock.now
      #expect(await pool.shutdown(grace: .milliseconds(30)) == false)
      #expect(ContinuousClock.now - start >= .milliseconds(30))
      await #expect(throws: CancellationError.self) { try await waiting.value }
      #expect(waiting.cancellationReason?.kind == .shutdown)
      #expect(!running.isDone)
      gate.open()
      #expect(try await running.value == "late")
      #expect(await pool.shutdown())
      #expect(notes.value == [])
    }
  }

  @Test func `TH-03: a pool that is dropped does what it was given, and its threads end`() throws {
    try EventLoop.run { loop in
      var futures: [Future<Int>] = []
      do {
        let pool = ThreadPool(name: "th-03-dropped", maximumThreads: 2)
        futures = try (0..<20).map { number in try loop.runInExecutor(pool) { number } }
      }
      for (number, future) in futures.enumerated() { #expect(try await future.value == number) }
      try await settle { !ProcessFacts.threadNames.contains("th-03-dropped") }
    }
  }

  @Test func `TH-03: where no thread can be started there is an error, and nothing is lost`() throws {
    try EventLoop.run { loop in
      let isScarce = Atomic(true)
      let core = PoolCore(name: "scarce", limit: 4, idleTime: .seconds(10)) { name, body throws(SystemError) in
        if isScarce.load(ordering: .relaxed) {
          throw SystemError(.resourceTemporarilyUnavailable, in: "pthread_create")
        }
        try PlainThread.start(name: name, body)
      }
      let pool = ThreadPool(core)
      let notes = Notes<String>()
      do {
        let sentinel = SentinelOfThreads { notes.add("gone") }
        #expect(throws: SystemError(.resourceTemporarilyUnavailable, in: "pthread_create")) {
          try loop.runInExecutor(pool) { withExtendedLifetime(sentinel) { notes.add("ran") } }
        }
      }
      #expect(notes.value == ["gone"])
      #expect(pool.threadCount == 0 && pool.queuedCount == 0)
      isScarce.store(false, ordering: .relaxed)
      let gate = Gate()
      let first = try loop.runInExecutor(pool) { gate.wait() }
      // The thread that there is does it.
      isScarce.store(true, ordering: .relaxed)
      let second = try loop.runInExecutor(pool) { 2 }
      gate.open()
      try await first.value
      #expect(try await second.value == 2)
      #expect(pool.threadCount == 1)
      #expect(await pool.shutdown())
    }
  }

  @Test func `DN-05: of four threads with one that hangs, three go on; and files do not wait for names`() throws {
    try EventLoop.run { loop in
      let gate = Gate()
      let hung = try loop.runInExecutor(loop.lookUpPool) { gate.wait() }
      let names = try (0..<1_000).map { number in try loop.runInExecutor(loop.lookUpPool) { number } }
      #expect(loop.lookUpPool.threadCount == 4)
      // All threads of one hang, and the other does not notice; both ways.
      #expect(try await runBlocking { 1 } == 1)
      for (number, name) in names.enumerated() { #expect(try await name.value == number) }
      #expect(!hung.isDone)
      gate.open()
      try await hung.value
      let files = Gate()
      let blocked = try (0..<ThreadPool.usualMaximumThreads + 1).map { _ in try loop.runInExecutor { files.wait() } }
      #expect(try await runBlocking(on: loop.lookUpPool) { 3 } == 3)
      files.open()
      for future in blocked { try await future.value }
    }
  }

  @Test func `TH-10: eight threads give work to one pool for one loop`() throws {
    let thread = try LoopThread.start()
    let sum = Shared(0)
    let pool = ThreadPool(maximumThreads: 3)
    let threads = (0..<8).map { number in
      TestThread {
        for step in 0..<100 {
          let call = try? thread.loop.runCoroutineThreadsafe { loop in
            try await loop.runBlocking(on: pool) { number * 100 + step }
          }
          let value = (try? call?.wait(timeout: .seconds(20))) ?? -1_000_000
          sum.change { $0 += value }
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(sum.value == 800 * 799 / 2)
    thread.loop.stop()
  }
}
