// SPDX-License-Identifier: Apache-2.0
//
// The event: SY-11, SY-12.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct AsyncEventTests {
  @Test(.inOrder) func `SY-11: set wakes all, in order; a wait on one that is set returns without a turn`() throws {
    try runVirtually { loop in
      let event = AsyncEvent()
      let log = Log()
      let tasks = loop.tasks(0..<3) { number in
        try await event.waitUntilSet()
        log.add("\(number)")
      }
      try await turns()
      #expect(event.queue.count == 3 && !event.isSet)
      event.set()
      event.set()
      var hasTurned = false
      loop.callSoon { hasTurned = true }
      try await event.waitUntilSet()
      #expect(!hasTurned && event.isSet)
      _ = try await wait(tasks)
      #expect(log.entries == ["0", "1", "2"])
      event.clear()
      #expect(!event.isSet)
      await #expect(throws: TimeoutError.self) { try await event.waitUntilSet(timeout: .seconds(1)) }
      #expect(event.queue.isEmpty)
    }
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func `SY-11: set and cleared before those who wait have run, and all return`(seed: UInt64) throws {
    try runVirtually(.shuffled(seed)) { loop in
      let event = AsyncEvent()
      let tasks = loop.tasks(0..<5) { _ in try await event.waitUntilSet() }
      try await turns(3)
      event.set()
      event.clear()
      let late = loop.createTask { try await event.waitUntilSet() }
      _ = try await wait(tasks)
      try await turns(3)
      #expect(!late.isDone)
      late.cancel()
    }
  }

  @Test func `SY-12: one who waits is cancelled, and is gone; one that was woken and is cancelled ends cancelled`()
    throws
  {
    try runVirtually { loop in
      let event = AsyncEvent()
      let tasks = loop.tasks(0..<3) { _ in try await event.waitUntilSet() }
      try await turns()
      tasks[0].cancel()
      #expect(event.queue.count == 2)
      event.set()
      tasks[1].cancel()
      _ = try await wait(tasks)
      #expect(tasks.map(\.isCancelled) == [true, true, false])
    }
  }

  @Test func `it may be set before any loop runs, and from a plain callback`() throws {
    let early = AsyncEvent()
    early.set()
    #expect(early.isSet)
    try runVirtually { loop in
      let event = AsyncEvent()
      loop.callLater(.seconds(1)) { event.set() }
      try await event.waitUntilSet(timeout: .seconds(2))
      #expect(loop.executor.timers.count == 0)
    }
  }
}
