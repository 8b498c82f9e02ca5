// SPDX-License-Identifier: Apache-2.0
//
// The lock with limits, and with Swift tasks that are none of the loop's: SY-33, SY-38.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct AsyncLockRaceTests {
  @Test func `SY-33: a limit that passes as the lock is handed over: both orders, and by a block with a limit`() throws
  {
    for releaseFirst in [true, false] {
      for withBlock in [true, false] {
        try runVirtually { loop in
          let lock = AsyncLock()
          let log = Log()
          try await lock.acquire()
          let deadline = loop.now.advanced(by: .seconds(1))
          let gate = AsyncEvent()
          if releaseFirst { loop.callAt(deadline) { gate.set() } }
          let limited = loop.createTask {
            if withBlock {
              try await withTimeout(until: deadline) { try await lock.withLock { log.add("limited") } }
            } else {
              try await lock.withLock(timeout: .seconds(1)) { log.add("limited") }
            }
          }
          let next = loop.createTask { try await lock.withLock { log.add("next") } }
          try await turns(3)
          if !releaseFirst { loop.callAt(deadline) { gate.set() } }
          try await gate.waitUntilSet()
          try lock.release()
          _ = try await wait([limited, next])
          #expect(log.entries.last == "next")
          #expect(!lock.isLocked && lock.queue.isEmpty)
          #expect(loop.executor.timers.count == 0)
          if limited.isDone, (try? limited.error()) is TimeoutError { #expect(log.entries == ["next"]) }
        }
      }
    }
  }

  @Test(.inOrder) func `SY-33: a grant and a limit in one turn`() throws {
    try runVirtually { loop in
      for grantFirst in [true, false] {
        let semaphore = try AsyncSemaphore(value: 0)
        let deadline = loop.now.advanced(by: .seconds(1))
        if grantFirst { loop.callAt(deadline) { semaphore.release() } }
        let limited = loop.createTask { try await semaphore.acquire(timeout: .seconds(1)) }
        let next = loop.createTask { try await semaphore.acquire() }
        try await turns(2)
        if !grantFirst { loop.callAt(deadline) { semaphore.release() } }
        try await sleep(for: .seconds(2))
        // What came first counts; and who has nothing waits on.
        #expect(await outcome(of: limited) == (grantFirst ? "()" : "\(TimeoutError())"))
        #expect(next.isDone == !grantFirst)
        #expect(semaphore.value == 0)
        semaphore.release()
        #expect(await outcome(of: next) == "()")
      }
    }
  }

  @Test func `a limit of nothing is over in the next turn`() throws {
    try runVirtually { loop in
      let lock = AsyncLock()
      let holder = loop.createTask { try await lock.withLock { try await sleep(for: .seconds(1)) } }
      try await turns()
      for timeout in [Duration.zero, .seconds(-5)] {
        await #expect(throws: TimeoutError.self) { try await lock.acquire(timeout: timeout) }
      }
      #expect(lock.queue.isEmpty && !holder.isDone)
      try await lock.acquire(timeout: .seconds(5))
    }
  }

  @Test func `children of a task group and other Swift tasks on the loop use it as tasks do`() throws {
    try runVirtually { loop in
      let lock = Smuggled(AsyncLock())
      let log = Smuggled(Log())
      try await lock.value.acquire()
      let foreign = loop.foreignTask {
        try await lock.value.withLock {
          log.value.add("foreign")
          await Task.yield()
        }
      }
      try await turns(2)
      let cancelled = loop.foreignTask { try await lock.value.withLock { log.value.add("never") } }
      try await turns(2)
      #expect(lock.value.queue.count == 2)
      cancelled.cancel()
      #expect(lock.value.queue.count == 1)
      try lock.value.release()
      await #expect(throws: CancellationError.self) { try await cancelled.value }
      try await foreign.value
      try await withThrowingTaskGroup { group in
        for number in 0..<3 {
          group.addTask { try await lock.value.withLock { log.value.add("\(number)") } }
        }
        try await group.waitForAll()
      }
      #expect(log.value.entries.first == "foreign")
      #expect(Set(log.value.entries) == ["foreign", "0", "1", "2"])
      #expect(!lock.value.isLocked)
    }
  }

  @Test func `a Swift task that is woken and cancelled passes the lock on`() throws {
    try runVirtually { loop in
      let lock = Smuggled(AsyncLock())
      try await lock.value.acquire()
      let foreign = loop.foreignTask { try await lock.value.withLock {} }
      try await turns(2)
      let next = loop.createTask { try await lock.value.withLock {} }
      try await turns(2)
      try lock.value.release()
      foreign.cancel()
      try await next.value
      await #expect(throws: CancellationError.self) { try await foreign.value }
      #expect(!lock.value.isLocked)
    }
  }

  @Test(.inOrder)
  func `SY-38: a lock and an optional are a value that is made once; of a maker that is cancelled the next takes over`()
    throws
  {
    try runVirtually { loop in
      let once = Once()
      let first = loop.createTask { try await once.value() }
      let second = loop.createTask { try await once.value() }
      let third = loop.createTask { try await once.value() }
      try await turns()
      first.cancel()
      #expect(try await second.value == 2)
      #expect(try await third.value == 2)
      #expect(first.isCancelled)
      #expect(try await once.value() == 2)
    }
  }

  /// As in the article.
  private final class Once {
    private let lock = AsyncLock()
    private var made: Int?
    private var starts = 0

    func value() async throws -> Int {
      if let made { return made }
      return try await lock.withLock {
        if let made { return made }
        starts += 1
        try await sleep(for: .seconds(1))
        made = starts
        return starts
      }
    }
  }
}
