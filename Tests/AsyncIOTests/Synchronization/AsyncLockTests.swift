// SPDX-License-Identifier: Apache-2.0
//
// The lock: SY-02 to SY-10, T-62.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct AsyncLockTests {
  @Test(.inOrder) func `a free lock is taken without a turn, and without memory`() throws {
    try runVirtually { loop in
      let count = 200_000
      let locks = (0..<count).map { _ in AsyncLock() }
      try await locks[0].withLock {}
      var hasTurned = false
      loop.callSoon { hasTurned = true }
      let before = ProcessFacts.residentKilobytes
      for lock in locks { try await lock.acquire() }
      let growth = ProcessFacts.residentKilobytes - before
      #expect(!hasTurned)
      // The smallest allocation for each would be 3,000 times 2.
      if !ProcessFacts.keepsFreedMemory { #expect(growth < 3_000, "\(growth) KiB for \(count) locks") }
      for lock in locks { try lock.release() }
    }
  }

  @Test(.inOrder) func `SY-02: a release hands over to the next; who comes in the same turn does not overtake`() throws
  {
    try runVirtually { loop in
      let lock = AsyncLock()
      let log = Log()
      try await lock.acquire()
      let tasks = loop.tasks(0..<3) { number in
        try await lock.withLock {
          log.add("\(number)")
          try await turns()
        }
      }
      try await turns()
      try lock.release()
      // It is somebody's already.
      #expect(lock.isLocked)
      try await lock.withLock { log.add("newcomer") }
      _ = try await wait(tasks)
      #expect(log.entries == ["0", "1", "2", "newcomer"])
      #expect(!lock.isLocked)
    }
  }

  @Test(.inOrder) func `SY-03: one who waits is cancelled, and the others do not notice`() throws {
    try runVirtually { loop in
      let lock = AsyncLock()
      let log = Log()
      try await lock.acquire()
      let tasks = loop.tasks(0..<3) { number in try await lock.withLock { log.add("\(number)") } }
      try await turns()
      tasks[1].cancel()
      #expect(lock.queue.count == 2)
      try lock.release()
      _ = try await wait(tasks)
      #expect(tasks[1].isCancelled)
      #expect(log.entries == ["0", "2"])
    }
  }

  @Test(.inOrder, arguments: [true, false])
  func `SY-04, SY-05: a cancel and a release in one callback, in either order`(cancelFirst: Bool) throws {
    try runVirtually { loop in
      for others in 0...2 {
        let lock = AsyncLock()
        let log = Log()
        try await lock.acquire()
        let tasks = loop.tasks(0...others) { number in try await lock.withLock { log.add("\(number)") } }
        try await turns()
        if cancelFirst { tasks[0].cancel() }
        try lock.release()
        if !cancelFirst { tasks[0].cancel() }
        #expect(lock.isLocked == (others > 0 || !cancelFirst))
        _ = try await wait(tasks)
        #expect(tasks[0].isCancelled)
        #expect(log.entries == (0...others).dropFirst().map { "\($0)" })
        #expect(!lock.isLocked && lock.queue.isEmpty)
      }
    }
  }

  @Test func `SY-04: all who were woken are cancelled, one after the other, and the last one gets it`() throws {
    try runVirtually { loop in
      let lock = AsyncLock()
      let log = Log()
      try await lock.acquire()
      let tasks = loop.tasks(0..<5) { number in try await lock.withLock { log.add("\(number)") } }
      try await turns()
      try lock.release()
      for task in tasks.dropLast() { task.cancel() }
      _ = try await wait(tasks)
      #expect(log.entries == ["4"])
    }
  }

  @Test func `SY-07: a release of a free lock, and by another than its owner, are errors that change nothing`() throws {
    try runVirtually { loop in
      let lock = AsyncLock()
      #expect(throws: LockError.notLocked) { try lock.release() }
      try await lock.acquire()
      let other = loop.createTask { _ = #expect(throws: LockError.notOwned) { try lock.release() } }
      try await other.value
      loop.callSoon { _ = #expect(throws: LockError.notOwned) { try lock.release() } }
      try await turns(2)
      #expect(lock.isLocked)
      try lock.release()
      #expect(throws: LockError.notLocked) { try lock.release() }
    }
  }

  @Test func `SY-07: one who was given the lock owns it before its turn, and nobody else`() throws {
    try runVirtually { loop in
      let lock = AsyncLock()
      try await lock.acquire()
      let next = loop.createTask { try await lock.acquire() }
      try await turns()
      try lock.release()
      #expect(throws: LockError.notOwned) { try lock.release() }
      try await next.value
      #expect(lock.isLocked)
    }
  }

  @Test func `SY-08: an acquire by its own owner is an error, and not a hang`() throws {
    try runVirtually { _ in
      let lock = AsyncLock()
      try await lock.withLock {
        await #expect(throws: LockError.alreadyOwned) { try await lock.acquire() }
        await #expect(throws: LockError.alreadyOwned) { try await lock.withLock {} }
      }
      #expect(!lock.isLocked)
      try await lock.acquire()
      try lock.release()
    }
  }

  @Test func `SY-10: the block releases on a value, an error and a cancel`() throws {
    try runVirtually { loop in
      let lock = AsyncLock()
      #expect(try await lock.withLock { 7 } == 7)
      #expect(!lock.isLocked)
      await #expect(throws: Oops(number: 3)) { try await lock.withLock { throw Oops(number: 3) } }
      #expect(!lock.isLocked)
      let task = loop.createTask { try await lock.withLock { try await sleep(for: .seconds(9)) } }
      try await turns()
      #expect(lock.isLocked)
      task.cancel()
      #expect(await outcome(of: task) == "cancelled")
      #expect(!lock.isLocked)
    }
  }

  @Test func `SY-10: a body that releases the lock itself is told, and does not release another's`() throws {
    try runVirtually { loop in
      let lock = AsyncLock()
      await #expect(throws: LockError.notLocked) { try await lock.withLock { try lock.release() } }
      let isTaken = AsyncEvent()
      let isOver = AsyncEvent()
      let other = loop.createTask {
        try await lock.withLock {
          isTaken.set()
          try await isOver.waitUntilSet()
        }
      }
      let end = await ending {
        try await lock.withLock {
          try lock.release()
          try await isTaken.waitUntilSet()
        }
      }
      #expect(end == "\(LockError.notOwned)")
      #expect(lock.isLocked)
      isOver.set()
      try await other.value
      // One that takes it again in between is its owner, after all.
      try await lock.withLock {
        try lock.release()
        try await lock.acquire()
      }
      #expect(!lock.isLocked)
    }
  }

  @Test(.inOrder)
  func `T-62: a task that holds a lock is cancelled, and the lock is released as it unwinds, after its cleanup`()
    throws
  {
    try runVirtually { loop in
      let lock = AsyncLock()
      let log = Log()
      let holder = loop.createTask {
        try await lock.withLock {
          do {
            try await sleep(for: .seconds(9))
          } catch {
            try await turns(2)
            log.add("cleaned up")
            throw error
          }
        }
      }
      let next = loop.createTask { try await lock.withLock { log.add("next") } }
      try await turns()
      holder.cancel()
      try await next.value
      #expect(log.entries == ["cleaned up", "next"])
      #expect(holder.isCancelled)
    }
  }

  @Test func `T-38: a request that is due does not touch a lock that is free, and interrupts the next that waits`()
    throws
  {
    try runVirtually { loop async throws in
      let lock = AsyncLock()
      let task = loop.createTask {
        AnyLoopTask.current?.cancel()
        try await lock.acquire()
        try lock.release()
        await #expect(throws: CancellationError.self) { try await turns() }
        return true
      }
      let wasInterrupted = try await task.value
      #expect(wasInterrupted)
    }
  }
}
