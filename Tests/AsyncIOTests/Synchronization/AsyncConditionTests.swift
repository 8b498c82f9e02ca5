// SPDX-License-Identifier: Apache-2.0
//
// The condition: SY-13 to SY-18.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct AsyncConditionTests {
  /// A condition, and tasks that wait for a notification, and note that they have it.
  private static func waiting(
    _ count: Int, on loop: isolated EventLoop
  ) async throws -> (AsyncCondition, Log, [LoopTask<Void>]) {
    let condition = AsyncCondition()
    let log = Log()
    let tasks = waiters(count, of: condition, log, on: loop)
    try await turns(3)
    return (condition, log, tasks)
  }

  private static func waiters(
    _ count: Int, of condition: AsyncCondition, _ log: Log, on loop: isolated EventLoop
  ) -> [LoopTask<Void>] {
    loop.tasks(0..<count) { number in
      try await condition.withLock {
        try await noting(number, in: log) {
          do { try await condition.waitUntilNotified() } catch {
            try condition.lock.requireOwned()
            throw error
          }
          try condition.lock.requireOwned()
        }
      }
    }
  }

  @Test func `SY-13: waiting and notifying without the lock are errors`() throws {
    try runVirtually { loop in
      let condition = AsyncCondition()
      await #expect(throws: LockError.notLocked) { try await condition.waitUntilNotified() }
      await #expect(throws: LockError.notLocked) { try await condition.waitUntil { true } }
      #expect(throws: LockError.notLocked) { try condition.notify() }
      #expect(throws: LockError.notLocked) { try condition.notifyAll() }
      let holder = loop.createTask { try await condition.withLock { try await turns(5) } }
      try await turns()
      await #expect(throws: LockError.notOwned) { try await condition.waitUntilNotified() }
      #expect(throws: LockError.notOwned) { try condition.notify() }
      #expect(condition.queue.isEmpty)
      try await holder.value
    }
  }

  @Test(.inOrder)
  func `SY-14: notify wakes so many at most, first come, first served; with nobody there it is not kept`() throws {
    try runVirtually { loop in
      let condition = AsyncCondition()
      let log = Log()
      try await condition.withLock {
        try condition.notify(5)
        try condition.notifyAll()
      }
      let tasks = Self.waiters(5, of: condition, log, on: loop)
      try await turns(10)
      #expect(condition.queue.count == 5 && log.entries.isEmpty)
      try await condition.withLock {
        try condition.notify(2)
        try condition.notify(0)
        try condition.notify(-3)
      }
      try await turns(10)
      #expect(log.entries == ["0", "1"])
      try await condition.withLock { try condition.notify() }
      try await turns(10)
      #expect(log.entries == ["0", "1", "2"])
      try await condition.withLock { try condition.notifyAll() }
      _ = try await wait(tasks)
      #expect(log.entries == ["0", "1", "2", "3", "4"])
    }
  }

  @Test func `SY-15: cancelled while it waits, it takes the lock again before the error leaves`() throws {
    try runVirtually { loop in
      let (condition, log, tasks) = try await Self.waiting(2, on: loop)
      try await condition.withLock {
        tasks[0].cancel()
        try await turns(5)
        // Somebody else has the lock: it has to wait for that.
        #expect(!tasks[0].isDone && log.entries.isEmpty && condition.queue.count == 1)
      }
      #expect(await outcome(of: tasks[0]) == "cancelled")
      #expect(log.entries == ["x0"])
      tasks[1].cancel()
      _ = try await wait(tasks)
      #expect(!condition.lock.isLocked)
    }
  }

  @Test(.inOrder, arguments: [true, false])
  func `SY-16: notified and cancelled in one turn, in either order: another one gets the notification`(
    notifyFirst: Bool
  ) throws {
    try runVirtually { loop in
      let (condition, log, tasks) = try await Self.waiting(3, on: loop)
      try await condition.withLock {
        if notifyFirst { try condition.notify() }
        tasks[0].cancel()
        if !notifyFirst { try condition.notify() }
      }
      try await turns(10)
      #expect(tasks[0].isCancelled)
      #expect(Set(log.entries) == ["x0", "1"])
      #expect(condition.queue.count == 1)
      tasks[2].cancel()
      _ = try await wait(tasks)
    }
  }

  @Test(.inOrder)
  func `SY-17: cancelled while it takes the lock again, it holds it when the error leaves, and passes on`() throws {
    try runVirtually { loop in
      let (condition, log, tasks) = try await Self.waiting(2, on: loop)
      try await condition.withLock {
        try condition.notify()
        try await turns(3)
        // It waits for the lock now.
        #expect(condition.lock.queue.count == 1)
        tasks[0].cancel()
        tasks[0].cancel()
        try await turns(3)
        #expect(!tasks[0].isDone && condition.lock.queue.count == 1)
      }
      try await turns(10)
      #expect(tasks[0].isCancelled && tasks[0].cancelling == 2)
      #expect(log.entries == ["x0", "1"])
      #expect(!condition.lock.isLocked)
    }
  }

  @Test func `SY-17: the same in a Swift task on the loop, for which cancelled stays cancelled`() throws {
    try runVirtually { loop in
      let condition = Smuggled(AsyncCondition())
      let log = Smuggled(Log())
      let foreign = loop.foreignTask {
        try await condition.value.withLock {
          do {
            try await condition.value.waitUntilNotified()
          } catch {
            try condition.value.lock.requireOwned()
            log.value.add("holds it")
            throw error
          }
        }
      }
      try await turns(5)
      try await condition.value.withLock {
        foreign.cancel()
        try await turns(5)
        #expect(log.value.entries.isEmpty)
      }
      await #expect(throws: CancellationError.self) { try await foreign.value }
      #expect(log.value.entries == ["holds it"])
      #expect(!condition.value.lock.isLocked)
    }
  }

  @Test func `a limit passes: the lock is held, and a later cancel is not lost`() throws {
    try runVirtually { loop in
      let condition = AsyncCondition()
      let task = loop.createTask {
        try await condition.withLock {
          await #expect(throws: TimeoutError.self) { try await condition.waitUntilNotified(timeout: .seconds(1)) }
          try condition.lock.requireOwned()
          try await condition.waitUntilNotified(timeout: .seconds(1))
        }
      }
      try await sleep(for: .milliseconds(1_500))
      try await condition.withLock {
        try await sleep(for: .seconds(2))
        // The limit has passed, and it waits for the lock; the cancel wins.
        #expect(condition.queue.isEmpty && condition.lock.queue.count == 1)
        task.cancel()
      }
      #expect(await outcome(of: task) == "cancelled")
      #expect(!condition.lock.isLocked && loop.executor.timers.count == 0)
    }
  }

  @Test func `SY-18: waiting for a predicate that holds, that comes to hold, and that throws`() throws {
    try runVirtually { loop in
      let condition = AsyncCondition()
      var number = 0
      var questions = 0
      try await condition.withLock {
        var hasTurned = false
        loop.callSoon { hasTurned = true }
        try await condition.waitUntil { true }
        #expect(!hasTurned)
      }
      let task = loop.createTask {
        try await condition.withLock {
          try await condition.waitUntil {
            questions += 1
            return number == 3
          }
          try condition.lock.requireOwned()
        }
      }
      for next in 1...3 {
        try await turns(5)
        #expect(questions == next && !task.isDone)
        number = next
        try await condition.withLock { try condition.notifyAll() }
      }
      try await task.value
      await #expect(throws: Oops(number: 1)) {
        try await condition.withLock {
          do {
            try await condition.waitUntil { throw Oops(number: 1) }
          } catch {
            try condition.lock.requireOwned()
            throw error
          }
        }
      }
      let start = loop.now
      let notifier = loop.createTask {
        while true {
          try await sleep(for: .milliseconds(100))
          try await condition.withLock { try condition.notifyAll() }
        }
      }
      // The limit is one for all its waits.
      await #expect(throws: TimeoutError.self) {
        try await condition.withLock { try await condition.waitUntil(timeout: .seconds(1)) { false } }
      }
      #expect(start.duration(to: loop.now) == .seconds(1))
      notifier.cancel()
      #expect(!condition.lock.isLocked)
    }
  }

  @Test func `several conditions share a lock`() throws {
    try runVirtually { loop in
      let lock = AsyncLock()
      let full = AsyncCondition(lock: lock)
      let empty = AsyncCondition(lock: lock)
      var item: Int?
      var got: [Int] = []
      let consumer = loop.createTask {
        for _ in 0..<10 {
          try await lock.withLock {
            try await full.waitUntil { item != nil }
            if let taken = item.take() { got.append(taken) }
            try empty.notify()
          }
        }
      }
      for number in 0..<10 {
        try await lock.withLock {
          try await empty.waitUntil { item == nil }
          item = number
          try full.notify()
        }
      }
      try await consumer.value
      #expect(got == Array(0..<10))
    }
  }

  @Test(arguments: 0..<30 as Range<UInt64>)
  func `SY-16, SY-32: notifications and random cancels in random order: as many go on as were notified`(seed: UInt64)
    throws
  {
    try runVirtually(.shuffled(seed)) { loop in
      var random = SplitMix64(state: seed)
      let condition = AsyncCondition()
      let log = Log()
      let count = 60
      let tasks = Self.waiters(count, of: condition, log, on: loop)
      while condition.queue.count < count { try await turns() }
      var notified = 0
      for _ in 0..<20 {
        try await condition.withLock {
          if Bool.random(using: &random) {
            notified += min(1, condition.queue.count)
            try condition.notify()
          }
          if let task = tasks.randomElement(using: &random) { task.cancel() }
        }
        for _ in 0..<Int.random(in: 0...2, using: &random) { try await turns() }
      }
      try await turns(200)
      // A notification is lost only when nobody is left to get it.
      let went = log.entries.filter { !$0.hasPrefix("x") }.count
      #expect(went == notified || condition.queue.isEmpty)
      #expect(went <= notified)
      for task in tasks { task.cancel() }
      _ = try await wait(tasks)
      #expect(!condition.lock.isLocked && condition.lock.queue.isEmpty)
    }
  }
}
