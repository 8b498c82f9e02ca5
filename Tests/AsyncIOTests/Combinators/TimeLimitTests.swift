// SPDX-License-Identifier: Apache-2.0
//
// Limits that are moved, limits at the edges, and what a block may use.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct TimeLimitTests {
  @Test func `W-25, T-74: a block in the cleanup of a cancelled task has its own limit, which is a timeout`() throws {
    try runVirtually { loop in
      let task = loop.createTask { () async throws -> String in
        do {
          try await sleep(for: .seconds(60))
          return ""
        } catch {
          // One request, one throw: the block and its awaits are not cancelled.
          let good = await ending { try await withTimeout(.seconds(1)) { try await turns(3) } }
          let late = await ending { try await withTimeout(.seconds(1)) { try await sleep(for: .seconds(9)) } }
          let count = AnyLoopTask.current?.cancelling ?? -1
          return "\(good) \(late) \(count)"
        }
      }
      try await turns(2)
      task.cancel()
      #expect(await outcome(of: task) == "() timeout 1")
    }
  }

  @Test func `W-26: a limit that is moved earlier, later, or away: the new one holds, the old timer is gone`() throws {
    try runVirtually { loop in
      let start = loop.now
      let end = await ending {
        try await withTimeout(.seconds(10)) { limit in
          limit.reschedule(.seconds(2))
          #expect(limit.deadline == start.advanced(by: .seconds(2)))
          #expect(loop.executor.timers.count == 1)
          try await sleep(for: .seconds(60))
        }
      }
      #expect(end == "timeout")
      #expect(loop.seconds(since: start) == 2)
      let value = try await withTimeout(.seconds(1)) { limit in
        for _ in 0..<5 {
          try await sleep(for: .milliseconds(900))
          limit.reschedule(.seconds(1))
        }
        limit.reschedule(until: nil)
        #expect(limit.deadline == nil)
        #expect(loop.executor.timers.count == 0)
        try await sleep(for: .seconds(60))
        return 1
      }
      #expect(value == 1)
      #expect(
        await ending {
          try await withTimeout(nil) { limit in
            limit.reschedule(until: loop.now.advanced(by: .seconds(-1)))
            try await sleep(for: .seconds(60))
          }
        } == "timeout")
    }
  }

  @Test func `W-26: a limit that has passed, or whose block has ended, cannot be moved`() throws {
    try runVirtually { loop in
      var kept: TimeLimit?
      let end = await ending {
        try await withTimeout(.seconds(1)) { limit in
          kept = limit
          do { try await sleep(for: .seconds(60)) } catch {
            limit.reschedule(.seconds(60))
            throw error
          }
        }
      }
      #expect(end == "timeout")
      kept?.reschedule(.seconds(1))
      #expect(loop.executor.timers.count == 0)
      #expect(kept?.isExpired == true)
    }
  }

  @Test func `W-28: outside of a loop a block is refused, and does not run`() async throws {
    await #expect(throws: NoRunningLoopError.self) { try await withTimeout(.seconds(1)) { 1 } }
    await #expect(throws: NoRunningLoopError.self) { try await withTimeout(until: nil) { 1 } }
  }

  @Test func `W-29: a block in a group, and a group in a block: the errors of both, and the count is back`() throws {
    try runVirtually { loop in
      let me = try #require(AnyLoopTask.current)
      let inGroup = await ending {
        try await withLoopTaskGroup { group in
          group.createTask { try await withTimeout(.seconds(1)) { try await sleep(for: .seconds(60)) } }
          try await sleep(for: .seconds(60))
        }
      }
      #expect(inGroup == "group(the time limit has passed)")
      let inBlock = await ending {
        try await withTimeout(.seconds(1)) {
          try await withLoopTaskGroup { group in
            group.createTask { do { try await sleep(for: .seconds(60)) } catch { throw Boom() } }
            try await sleep(for: .seconds(60))
          }
        }
      }
      #expect(inBlock == "group(boom)")
      let clean = await ending {
        try await withTimeout(.seconds(1)) {
          try await withLoopTaskGroup { group in
            group.createTask { try await sleep(for: .seconds(60)) }
          }
        }
      }
      #expect(clean == "timeout")
      #expect(me.cancelling == 0)
      #expect(loop.allTasks.count == 1)
    }
  }

  @Test(.inOrder) func `W-30: an endless limit never passes; one of zero or less interrupts the first await`() throws {
    try runVirtually { loop in
      for limit in [try Duration(clampingSeconds: .infinity), .seconds(Int64.max)] {
        let value = try await withTimeout(limit) { limit in
          #expect(limit.deadline == nil)
          try await sleep(for: .seconds(1_000_000))
          return 1
        }
        #expect(value == 1)
      }
      for limit in [Duration.zero, .seconds(-1), .nanoseconds(Int64.min)] {
        var started = false
        let end = await ending {
          try await withTimeout(limit) {
            started = true
            try await sleep(for: .seconds(60))
          }
        }
        #expect((end, started) == ("timeout", true))
      }
    }
  }

  @Test(.inOrder) func `W-31: 20,000 blocks that end early leave no timer and no task`() throws {
    try runVirtually { loop in
      for _ in 0..<20_000 { try await withTimeout(.seconds(60)) {} }
      #expect(loop.executor.timers.count == 0)
      #expect(loop.allTasks.count == 1)
    }
  }

  @Test func `a block stays in the isolation of an actor that calls, and may be its method`() throws {
    actor Account {
      var balance = 0
      func add() async throws -> Int {
        try await withTimeout(.seconds(5)) {
          self.balance += 1
          try await sleep(for: .milliseconds(1))
          self.preconditionIsolated()
          return self.balance
        }
      }
    }
    try runVirtually { loop in
      let account = Account()
      let balance = try await account.add()
      #expect(balance == 1)
    }
  }

  @Test func `a method of a class that is not Sendable may limit its own awaits`() throws {
    final class Connection {
      var reads = 0
      func read() async throws -> Connection {
        try await withTimeout(.seconds(1)) {
          self.reads += 1
          try await sleep(for: .zero)
          return self
        }
      }
    }
    try runVirtually { loop in
      let connection = Connection()
      let same = try await connection.read()
      #expect(same === connection)
      #expect(connection.reads == 1)
    }
  }

  @Test func `a block inherits the task-locals`() throws {
    try runVirtually { loop in
      let value = try await TestLocal.$number.withValue(7) {
        try await withTimeout(.seconds(1)) { TestLocal.number }
      }
      #expect(value == 7)
    }
  }
}
