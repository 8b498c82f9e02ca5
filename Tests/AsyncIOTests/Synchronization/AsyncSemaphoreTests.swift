// SPDX-License-Identifier: Apache-2.0
//
// The semaphores: SY-20 to SY-25.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct AsyncSemaphoreTests {
  @Test func `SY-20: a negative value is refused, 0 is not`() throws {
    #expect(throws: InvalidArgumentError.self) { try AsyncSemaphore(value: -1) }
    #expect(throws: InvalidArgumentError.self) { try AsyncBoundedSemaphore(value: .min) }
    try runVirtually { loop in
      let semaphore = try AsyncSemaphore(value: 0)
      #expect(semaphore.isLocked)
      loop.callSoon { semaphore.release() }
      try await semaphore.acquire()
      #expect(semaphore.value == 0)
      // It need not have been acquired; and as many as there are stay as many.
      let most = try AsyncSemaphore(value: .max)
      most.release()
      #expect(most.value == .max)
    }
  }

  @Test func `a permit that is there is taken without a turn`() throws {
    try runVirtually { loop in
      let semaphore = try AsyncSemaphore(value: 3)
      var hasTurned = false
      loop.callSoon { hasTurned = true }
      for left in [2, 1, 0] {
        try await semaphore.acquire()
        #expect(semaphore.value == left)
      }
      #expect(!hasTurned && semaphore.isLocked)
      await #expect(throws: TimeoutError.self) { try await semaphore.acquire(timeout: .seconds(1)) }
      #expect(hasTurned && semaphore.value == 0)
    }
  }

  @Test(.inOrder) func `SY-21: first come, first served; who releases and acquires at once stands at the end`() throws {
    try runVirtually { loop in
      let semaphore = try AsyncSemaphore(value: 1)
      let log = Log()
      try await semaphore.acquire()
      let tasks = loop.tasks(0..<3) { number in
        try await semaphore.acquire()
        log.add("\(number)")
        semaphore.release()
      }
      try await turns()
      semaphore.release()
      // SY-24: the permit is somebody's.
      #expect(semaphore.isLocked && semaphore.value == 0)
      try await semaphore.acquire()
      log.add("releaser")
      _ = try await wait(tasks)
      #expect(log.entries == ["0", "1", "2", "releaser"])
    }
  }

  @Test(.inOrder) func `SY-22: many releases in one turn: as many go on, in order, before tasks that are made later`()
    throws
  {
    try runVirtually { loop in
      let semaphore = try AsyncSemaphore(value: 0)
      let log = Log()
      let tasks = loop.tasks(0..<5) { number in
        try await semaphore.acquire()
        log.add("\(number)")
      }
      try await turns()
      for _ in 0..<3 { semaphore.release() }
      loop.createTask { log.add("later") }
      try await turns(3)
      #expect(log.entries == ["0", "1", "2", "later"])
      semaphore.release()
      semaphore.release()
      _ = try await wait(tasks)
      #expect(semaphore.value == 0)
    }
  }

  @Test func `SY-24: it is locked while those who wait are due`() throws {
    try runVirtually { loop in
      let semaphore = try AsyncSemaphore(value: 0)
      let task = loop.createTask { try await semaphore.acquire() }
      try await turns()
      semaphore.release()
      #expect(semaphore.isLocked)
      semaphore.release()
      #expect(!semaphore.isLocked)
      try await task.value
      #expect(semaphore.value == 1)
    }
  }

  @Test(arguments: permutations(["cancel 0", "cancel 1", "release", "release"]))
  func `SY-23: cancels and releases in one turn, in every order: no permit is lost, none is made`(order: [String])
    throws
  {
    try runVirtually { loop in
      let semaphore = try AsyncSemaphore(value: 0)
      let tasks = loop.tasks(0..<4) { _ in try await semaphore.acquire() }
      try await turns()
      for event in order {
        switch event {
        case "cancel 0": tasks[0].cancel()
        case "cancel 1": tasks[1].cancel()
        default: semaphore.release()
        }
      }
      try await turns(5)
      #expect(tasks.map(\.isDone) == [true, true, true, true])
      #expect(tasks.map(\.isCancelled) == [true, true, false, false])
      #expect(semaphore.value == 0 && semaphore.queue.isEmpty)
    }
  }

  @Test func `SY-23: the last one who waits is woken and cancelled: the permit is there again`() throws {
    try runVirtually { loop in
      let semaphore = try AsyncSemaphore(value: 0)
      let task = loop.createTask { try await semaphore.acquire() }
      try await turns()
      semaphore.release()
      task.cancel()
      _ = try await wait([task])
      #expect(semaphore.value == 1)
    }
  }

  @Test func `the block releases on a value, an error and a cancel`() throws {
    try runVirtually { loop in
      let semaphore = try AsyncSemaphore(value: 2)
      let bounded = try AsyncBoundedSemaphore(value: 2)
      #expect(try await semaphore.withPermit { semaphore.value } == 1)
      #expect(try await bounded.withPermit { bounded.value } == 1)
      await #expect(throws: Oops()) { try await semaphore.withPermit { throw Oops() } }
      await #expect(throws: Oops()) { try await bounded.withPermit { throw Oops() } }
      let task = loop.createTask {
        try await bounded.withPermit { try await semaphore.withPermit { try await sleep(for: .seconds(9)) } }
      }
      try await turns()
      #expect((semaphore.value, bounded.value) == (1, 1))
      task.cancel()
      _ = try await wait([task])
      #expect((semaphore.value, bounded.value) == (2, 2))
    }
  }

  @Test func `SY-25: a release too many of a bounded one is an error, and changes nothing`() throws {
    try runVirtually { loop in
      let semaphore = try AsyncBoundedSemaphore(value: 1)
      #expect(throws: SemaphoreOverreleasedError.self) { try semaphore.release() }
      #expect(semaphore.value == 1 && semaphore.bound == 1)
      try await semaphore.acquire()
      let task = loop.createTask { try await semaphore.acquire() }
      try await turns()
      try semaphore.release()
      try await task.value
      #expect(semaphore.isLocked)
      try semaphore.release()
      #expect(throws: SemaphoreOverreleasedError.self) { try semaphore.release() }
      await #expect(throws: SemaphoreOverreleasedError.self) {
        try await semaphore.withPermit { try semaphore.release() }
      }
      #expect(semaphore.value == 1)
    }
  }
}
