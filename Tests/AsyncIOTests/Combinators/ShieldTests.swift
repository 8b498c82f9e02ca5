// SPDX-License-Identifier: Apache-2.0
//
// A cancel stops at a shield.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct ShieldTests {
  @Test func `SH-01: the shield gives the inner's value, or its very error`() throws {
    try runVirtually { loop in
      let value = try await shield(loop.sleeper(.seconds(1), 1))
      #expect(value == 1)
      let boom = Boom()
      do {
        _ = try await shield(loop.failer(.seconds(1), boom))
        Issue.record("no error")
      } catch {
        #expect(error as? Boom === boom)
      }
      let done = loop.createFuture(of: Int.self)
      try done.setResult(2)
      var ran = false
      loop.callSoon { ran = true }
      let at = try await shield(done)
      #expect((at, ran) == (2, false))
    }
  }

  @Test func `SH-02: an inner that is cancelled cancels the await, and not the caller`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let outer = loop.createTask { () async throws -> String in
        let end = await ending { try await shield(future) }
        return "\(end) \(AnyLoopTask.current?.cancelling ?? -1)"
      }
      try await turns()
      future.cancel()
      #expect(await outcome(of: outer) == "cancelled 0")
    }
  }

  @Test func `SH-03, T-59: a cancel of the caller interrupts it at once, and the inner runs to its end`() throws {
    try runVirtually { loop in
      let inner = loop.sleeper(.seconds(5), 1)
      let start = loop.now
      let outer = loop.createTask { try await shield(inner) }
      try await turns(2)
      #expect(outer.cancel("enough"))
      #expect(await outcome(of: outer) == "cancelled")
      #expect(outer.cancellationReason?.message == "enough")
      #expect(loop.seconds(since: start) == 0)
      #expect(inner.observerCount == 0)
      #expect(await outcome(of: inner) == "1")
      #expect(inner.cancelling == 0)
    }
  }

  @Test func `SH-03: a caller that catches the cancel may await the inner again`() throws {
    try runVirtually { loop in
      let inner = loop.sleeper(.seconds(5), 1)
      let outer = loop.createTask { () async throws -> Int in
        do { return try await shield(inner) } catch { return try await inner.value + 1 }
      }
      try await turns(2)
      outer.cancel()
      #expect(await outcome(of: outer) == "2")
    }
  }

  @Test func `SH-05: the inner fails after the caller has left: one report`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      let outer = loop.createTask { try await shield(loop.failer(.seconds(1))) }
      try await turns(2)
      outer.cancel()
      #expect(await outcome(of: outer) == "cancelled")
      try await sleep(for: .seconds(2))
      #expect(reports.kinds == [.errorNeverRetrieved])
    }
  }

  @Test func `SH-07: two shields on one inner, both cancelled, and it fails: one report`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      let tasks = Tasks()
      tasks.all = [loop.failer(.seconds(1))]
      let outers = (0..<2).map { _ in loop.createTask { try await shield(tasks.all[0]) } }
      try await turns(2)
      for outer in outers { outer.cancel() }
      for outer in outers { #expect(await outcome(of: outer) == "cancelled") }
      tasks.all = []
      try await sleep(for: .seconds(2))
      #expect(reports.kinds == [.errorNeverRetrieved])
    }
  }

  @Test func `SH-08: a cancelled shield around a gather lets the gather run on`() throws {
    try runVirtually { loop in
      let children = [loop.sleeper(.seconds(1), 1), loop.sleeper(.seconds(2), 2)]
      let all = loop.createTask { try await gather(children) }
      let outer = loop.createTask { try await shield(all) }
      let block = loop.createTask { try await shield { try await gather(children) } }
      try await turns(4)
      outer.cancel()
      block.cancel()
      #expect(await outcome(of: outer) == "cancelled")
      #expect(await outcome(of: block) == "cancelled")
      #expect(await outcome(of: all) == "[1, 2]")
    }
  }

  @Test func `SH-09: a cancelled gather of shields ends at once, and the inners run on`() throws {
    try runVirtually { loop in
      let inners = [loop.sleeper(.seconds(1), 1), loop.sleeper(.seconds(2), 2)]
      let outer = loop.createTask { try await gather(inners) { try await shield($0) } }
      try await turns(3)
      let start = loop.now
      outer.cancel()
      #expect(await outcome(of: outer) == "cancelled")
      #expect(loop.now == start)
      #expect(inners.allSatisfy { $0.observerCount == 0 && !$0.isDone })
      #expect(await ending { try await gather(inners) } == "[1, 2]")
    }
  }

  @Test(.inOrder) func `SH-10: a shield that is left is off the inner's list, each time`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let me = try #require(AnyLoopTask.current)
      for _ in 0..<Amount.of(100_000, usually: 8_000) {
        me.cancel()
        let end = await ending { try await shield(future) }
        me.uncancel()
        if end != "cancelled" || future.observerCount != 0 { Issue.record("\(end), \(future.observerCount)") }
      }
      #expect(!future.isDone)
    }
  }

  @Test func `SH-11: a task that nobody else holds runs to its end under a shield, and after it`() throws {
    try runVirtually { loop in
      let notes = Log()
      let outer = loop.createTask {
        try await shield {
          try await sleep(for: .seconds(1))
          notes.add("done")
        }
      }
      try await turns(3)
      outer.cancel()
      #expect(await ending { try await outer.value } == "cancelled")
      #expect(notes.entries.isEmpty)
      try await sleep(for: .seconds(2))
      #expect(notes.entries == ["done"])
    }
  }

  @Test func `T-54: in a task that was cancelled, a shielded block awaits other libraries, and is not interrupted`()
    throws
  {
    try runVirtually { loop in
      let notes = Log()
      let task = loop.createTask {
        do {
          try await sleep(for: .seconds(3_600))
        } catch {
          notes.add(await readElsewhere(on: loop))
          try await shield {
            notes.add("\(Task.isCancelled)")
            notes.add(await readElsewhere(on: loop))
          }
          throw error
        }
      }
      try await turns(2)
      task.cancel()
      #expect(await ending { try await task.value } == "cancelled")
      #expect(notes.entries == ["nil", "false", "1"])
    }
  }

  @Test func `a second cancel ends the wait for a shielded block, and the block goes on`() throws {
    try runVirtually { loop in
      let notes = Log()
      let task = loop.createTask {
        do {
          try await sleep(for: .seconds(3_600))
        } catch {
          try await shield {
            try await sleep(for: .seconds(5))
            notes.add("cleaned up")
          }
        }
      }
      try await turns(2)
      task.cancel()
      try await turns(3)
      task.cancel()
      #expect(await ending { try await task.value } == "cancelled")
      #expect(notes.entries.isEmpty)
      try await sleep(for: .seconds(6))
      #expect(notes.entries == ["cleaned up"])
    }
  }

  @Test func `a shield of another loop's task is refused`() throws {
    let other = try EventLoop()
    defer { other.close() }
    try runVirtually { loop in
      await #expect(throws: WrongLoopError.self) { try await shield(other.createFuture(of: Int.self)) }
    }
  }

  @Test func `a shielded block's value need not be Sendable, and the block needs a loop`() async throws {
    try runVirtually { loop in
      let log = try await shield { Log() }
      log.add("mine")
    }
    await #expect(throws: NoRunningLoopError.self) { try await shield { 1 } }
  }

  @Test func `a Swift task that is cancelled leaves the shield, and the inner runs on`() async throws {
    let home = LoopOnThread()
    defer { home.end() }
    let future = home.loop.createFuture(of: Int.self)
    let outer = Task { try await shield(future) }
    try await Task.sleep(for: .milliseconds(5))
    outer.cancel()
    await #expect(throws: CancellationError.self) { try await outer.value }
    #expect(!future.isDone)
    try future.setResult(1)
  }
}
