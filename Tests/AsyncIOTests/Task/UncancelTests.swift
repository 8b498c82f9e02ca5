// SPDX-License-Identifier: Apache-2.0
//
// Requests that are taken back.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(200)) struct UncancelTests {
  @Test func `T-45: cancel and uncancel before the start leave the task as it was`() throws {
    try runVirtually { loop in
      let task = loop.createTask { () async throws -> Int in
        try await turns()
        return 1
      }
      task.cancel("withdrawn")
      #expect(task.uncancel() == 0)
      #expect(task.cancellationReason == nil)
      #expect(await outcome(of: task) == "1")
    }
  }

  @Test func `T-45: cancel and uncancel after the future has ended let the value come back`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let task = loop.createTask { () async throws -> Int in
        let value = try await future.value
        try await turns()
        return value
      }
      try await turns()
      try future.setResult(1)
      #expect(task.cancel())
      #expect(task.uncancel() == 0)
      #expect(await outcome(of: task) == "1")
    }
  }

  @Test func `T-45: a body that cancels and uncancels itself awaits as ever`() throws {
    try runVirtually { loop in
      let task = loop.createTask { () async throws -> Int in
        let current = AnyLoopTask.current
        current?.cancel()
        current?.uncancel()
        try await turns()
        return 1
      }
      #expect(await outcome(of: task) == "1")
    }
  }

  @Test func `T-45: uncancel does not bring back a future that the cancel has cancelled`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let task = loop.createTask { try await future.value }
      try await turns()
      task.cancel()
      #expect(task.uncancel() == 0)
      #expect(future.isCancelled)
      #expect(await outcome(of: task) == "cancelled")
    }
  }

  @Test func `T-45: of two requests one is taken back, and the other is delivered`() throws {
    try runVirtually { loop in
      let task = loop.createTask { 1 }
      task.cancel("a")
      task.cancel("b")
      #expect(task.uncancel() == 1)
      #expect(await outcome(of: task) == "cancelled")
      #expect(task.cancellationReason?.message == "a")
    }
  }

  @Test func `T-46: the count falls to zero and no further, and a later cancel works`() throws {
    try runVirtually { loop in
      let seen = Log()
      let task = loop.createTask {
        for _ in 0..<2 {
          do {
            try await sleep(for: .seconds(1))
          } catch {
            let current = try #require(AnyLoopTask.current)
            seen.add("\(current.cancelling) \(current.cancellationReason?.message ?? "none")")
            seen.add("\(current.uncancel()) \(current.uncancel()) \(current.cancelling)")
            #expect(current.cancellationReason == nil)
          }
        }
        try await sleep(for: .seconds(1))
      }
      for message in ["first", "second"] {
        try await turns()
        #expect(task.cancel(message))
      }
      try await turns(2)
      #expect(seen.entries == ["1 first", "0 0 0", "1 second", "0 0 0"])
      #expect(task.cancel("third"))
      #expect(await outcome(of: task) == "cancelled")
      #expect(task.cancellationReason?.message == "third")
      #expect(task.cancelling == 1)
    }
  }

  @Test func `T-46: an uncancel of a request that was delivered does not undo a later one`() throws {
    try runVirtually { loop in
      let task = loop.createTask { () async throws -> String in
        try? await sleep(for: .seconds(1))
        let current = try #require(AnyLoopTask.current)
        current.cancel("second")
        #expect(current.uncancel() == 1)
        do {
          try await turns()
          return "not interrupted"
        } catch {
          return "interrupted"
        }
      }
      try await turns()
      task.cancel("first")
      #expect(await outcome(of: task) == "interrupted")
    }
  }

  @Test func `T-45: Swift's own flag stays set after uncancel`() throws {
    try runVirtually { loop in
      let task = loop.createTask { () async throws -> Bool in
        try? await sleep(for: .seconds(1))
        AnyLoopTask.current?.uncancel()
        try await turns()
        return Task.isCancelled
      }
      try await turns()
      task.cancel()
      #expect(try await task.value)
    }
  }
}
