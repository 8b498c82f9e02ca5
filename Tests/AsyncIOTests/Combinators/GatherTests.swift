// SPDX-License-Identifier: Apache-2.0
//
// All values, in the order of the arguments.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct GatherTests {
  @Test func `G-01: of nothing, gather is done at once`() throws {
    try runVirtually { loop in
      var ran = false
      loop.callSoon { ran = true }
      let none = try await gather([Future<Int>]())
      let results = try await gatherResults([LoopTask<Int>]())
      let bodies = try await gather([Int]()) { $0 }
      try await gather()
      #expect((none, results.count, bodies) == ([], 0, []))
      #expect(!ran)
    }
  }

  @Test func `G-02: values come in the order of the arguments, whatever the order of finishing`() throws {
    try runVirtually { loop in
      let tasks = [3, 1, 2].map { loop.sleeper(.seconds($0), $0) }
      let values = try await gather(tasks)
      #expect(values == [3, 1, 2])
      let start = loop.now
      let bodies = try await gather([3, 1, 2]) { seconds in
        try await sleep(for: .seconds(seconds))
        return "\(seconds)"
      }
      #expect(bodies == ["3", "1", "2"])
      #expect(loop.seconds(since: start) == 3)
    }
  }

  @Test func `G-03: the same awaitable twice runs once, and its value is in both places`() throws {
    try runVirtually { loop in
      var runs = 0
      let task = loop.createTask { () async throws -> Int in
        runs += 1
        try await turns()
        return 1
      }
      let values = try await gather([task, task])
      let (a, b) = try await gather(task, task)
      #expect((values, a, b, runs) == ([1, 1], 1, 1, 1))
      let again = loop.sleeper(.seconds(1), 2)
      #expect(await ending { try await gather([again, again, again]) } == "[2, 2, 2]")
      #expect(again.observerCount == 0)
    }
  }

  @Test func `G-04: the first error is thrown at once, and the others run on`() throws {
    try runVirtually { loop in
      let start = loop.now
      let slow = loop.sleeper(.seconds(5), 1)
      let boom = Boom()
      let end = await ending { try await gather(slow, loop.failer(.seconds(1), boom)) }
      #expect(end == "boom")
      #expect(loop.seconds(since: start) == 1)
      #expect(slow.observerCount == 0)
      #expect(await ending { try await slow.value } == "1")
      #expect(slow.cancelling == 0)
    }
  }

  @Test func `G-05: a second one that fails later counts as read`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      _ = await ending { try await gather([loop.failer(.seconds(1)), loop.failer(.seconds(2))]) }
      try await sleep(for: .seconds(3))
      #expect(reports.count == 0)
    }
  }

  @Test func `G-06: gatherResults returns errors and cancellations in place`() throws {
    try runVirtually { loop in
      let cancelled = loop.sleeper(.seconds(9), 3)
      loop.callLater(.seconds(1)) { cancelled.cancel() }
      let start = loop.now
      let results = try await gatherResults([loop.sleeper(.seconds(2), 1), loop.failer(.seconds(1)), cancelled])
      var ends: [String] = []
      for result in results { ends.append(await ending { try result.get() }) }
      #expect(ends == ["1", "boom", "cancelled"])
      #expect(loop.seconds(since: start) == 2)
      let (number, text) = try await gatherResults(loop.sleeper(.zero, 1), loop.sleeper(.zero, "a"))
      #expect(try (number.get(), text.get()) == (1, "a"))
      let bodies = try await gatherResults([1, 2]) { number in
        if number == 2 { throw Oops() }
        return number
      }
      #expect(bodies.map { (try? $0.get()) ?? 0 } == [1, 0])
    }
  }

  @Test func `G-07: a gather that is cancelled asks all, and ends when all have ended`() throws {
    try runVirtually { loop in
      let children = [loop.slowToCancel(.seconds(1)), loop.slowToCancel(.seconds(3))]
      let outer = loop.createTask { try await gather(children) }
      try await turns(2)
      let start = loop.now
      #expect(outer.cancel())
      #expect(await outcome(of: outer) == "cancelled")
      #expect(loop.seconds(since: start) == 3)
      #expect(children.allSatisfy { $0.isCancelled && $0.cancelling == 1 })
    }
  }

  @Test func `G-07: a cancelled gather of futures ends in the same turn`() throws {
    try runVirtually { loop in
      let futures = (0..<3).map { _ in loop.createFuture(of: Int.self) }
      let outer = loop.createTask { try await gather(futures) }
      try await turns()
      outer.cancel("enough")
      #expect(futures.allSatisfy { $0.isCancelled && $0.cancellationReason?.message == "enough" })
      #expect(await outcome(of: outer) == "cancelled")
    }
  }

  @Test func `G-09: a cancelled gatherResults throws the cancellation, and returns no list`() throws {
    try runVirtually { loop in
      let children = [loop.sleeper(.seconds(9), 1), loop.sleeper(.seconds(9), 2)]
      let outer = loop.createTask { try await gatherResults(children).count }
      try await turns(2)
      outer.cancel()
      #expect(await outcome(of: outer) == "cancelled")
      #expect(children.allSatisfy { $0.isCancelled })
    }
  }

  @Test func `G-10: a child that somebody else cancels is a failure; the caller is not cancelled`() throws {
    try runVirtually { loop in
      let child = loop.sleeper(.seconds(9), 1)
      let sibling = loop.sleeper(.seconds(2), 2)
      let outer = loop.createTask { () async throws -> String in
        let end = await ending { try await gather(child, sibling) }
        return "\(end) \(AnyLoopTask.current?.cancelling ?? -1)"
      }
      try await turns(2)
      child.cancel()
      #expect(await outcome(of: outer) == "cancelled 0")
      #expect(await ending { try await sibling.value } == "2")
    }
  }

  @Test func `G-11: in gatherResults a cancelled child is a value in place`() throws {
    try runVirtually { loop in
      let child = loop.createFuture(of: Int.self)
      child.cancel()
      let results = try await gatherResults([child])
      #expect(throws: CancellationError.self) { try results[0].get() }
    }
  }

  @Test func `G-12: a child swallows the cancel and returns: the cancellation still reaches the caller`() throws {
    try runVirtually { loop in
      let children = [loop.stubborn(.seconds(1)), loop.stubborn(.seconds(2))]
      for collecting in [false, true] {
        let outer = loop.createTask {
          collecting ? try await gatherResults(children).count : try await gather(children).count
        }
        try await turns(2)
        if collecting { #expect(await outcome(of: outer) == "2") } else { outer.cancel() }
        if !collecting { #expect(await outcome(of: outer) == "cancelled") }
      }
      #expect(try children.map { try $0.result() } == [7, 7])
    }
  }

  @Test func `G-13: tasks and futures of several types, mixed`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: String.self)
      loop.callLater(.seconds(1)) { try future.setResult("a") }
      let (number, text, _) = try await gather(loop.sleeper(.seconds(2), 1), future, loop.createTask {})
      #expect((number, text) == (1, "a"))
    }
  }

  @Test func `G-13: what belongs to another loop is refused`() throws {
    let other = try EventLoop()
    defer { other.close() }
    try runVirtually { loop in
      let ours = loop.createFuture(of: Int.self)
      let theirs = other.createFuture(of: Int.self)
      await #expect(throws: WrongLoopError.self) { try await gather(ours, theirs) }
      await #expect(throws: WrongLoopError.self) { try await gather([theirs]) }
      await #expect(throws: WrongLoopError.self) { try await gatherResults(theirs, ours) }
      #expect(ours.observerCount == 0)
    }
  }

  @Test func `T-07: a task that gathers itself gets an error, and does not hang`() throws {
    try runVirtually { loop in
      let tasks = Tasks()
      let task = loop.createTask { try await gather(tasks.all)[0] }
      tasks.all = [task]
      await #expect(throws: AwaitsItselfError.self) { try await task.value }
      tasks.all = []
    }
  }

  @Test func `G-14: a cancel reaches all leaves of nested gathers`() throws {
    try runVirtually { loop in
      let leaves = (0..<6).map { _ in loop.createFuture(of: Int.self) }
      let outer = loop.createTask {
        try await gather([0, 3]) { start in
          try await gather(leaves[start..<start + 3]) { try await $0.value }
        }
      }
      try await turns(4)
      outer.cancel("enough")
      #expect(leaves.allSatisfy { $0.cancellationReason?.message == "enough" })
      #expect(await outcome(of: outer) == "cancelled")
      try await turns()
      #expect(loop.allTasks.count == 1)
    }
  }

  @Test func `G-15, T-56: a cancel's message is seen by the children, and by the reader`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let child = loop.createTask { try await future.value }
      let outer = loop.createTask { try await gather(child, loop.sleeper(.seconds(9), 1)) }
      let reader = loop.createTask { try await outer.value }
      try await turns(3)
      reader.cancel("no client left")
      #expect(await outcome(of: reader) == "cancelled")
      for reason in [future, child, outer, reader].map({ ($0 as AnyFuture).cancellationReason }) {
        #expect(reason?.message == "no client left")
        #expect(reason?.kind == .call)
      }
    }
  }

  @Test func `G-16: a gather whose error nobody reads is one report, and not one a child`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      loop.createTask(name: "reader") { try await gather([loop.failer(.seconds(1)), loop.failer(.seconds(2))]) }
      try await sleep(for: .seconds(4))
      #expect(reports.value.map(\.taskName) == ["reader"])
    }
  }

  @Test func `G-17: two children fail with the same error object`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      let boom = Boom()
      let tasks = [loop.failer(.seconds(1), boom), loop.failer(.seconds(1), boom)]
      do {
        _ = try await gather(tasks)
        Issue.record("no error")
      } catch {
        #expect(error as? Boom === boom)
      }
      let results = try await gatherResults(tasks)
      for result in results { #expect(throws: Boom.self) { try result.get() } }
      try await turns(3)
      #expect(reports.count == 0)
    }
  }

  @Test(.inOrder) func `G-18: 100,000 children`() throws {
    try runVirtually { loop in
      let count = Amount.of(100_000, usually: 8_000)
      let values = try await gather(0..<count) { number in
        try await sleep(for: .microseconds((number * 7_919) % 1_000))
        return number
      }
      #expect(values == Array(0..<count))
      let future = loop.createFuture(of: Int.self)
      let waiting = loop.createTask { try await gather((0..<count).map { _ in future }).count }
      try await turns()
      try future.setResult(1)
      #expect(await ending { try await waiting.value } == "\(count)")
    }
  }

  @Test(.inOrder) func `G-18: 20,000 waits for one future detach in any order, in reasonable time`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let kept = loop.createTask { try await shield(future) }
      let count = Amount.of(20_000, usually: 5_000)
      let tasks = (0..<count).map { _ in loop.createTask { try await shield(future) } }
      while future.observerCount < count + 1 { try await turns() }
      var generator = SplitMix64(state: 1)
      for task in tasks.shuffled(using: &generator) { task.cancel() }
      for task in tasks { _ = await outcome(of: task) }
      #expect(future.observerCount == 1)
      try future.setResult(1)
      #expect(await ending { try await kept.value } == "1")
    }
  }

  @Test func `G-19: children of a gather that nobody awaits any more run on`() throws {
    try runVirtually { loop in
      let notes = Log()
      loop.createTask {
        try await gather([1, 2]) { number in
          try await sleep(for: .seconds(number))
          notes.add("\(number)")
        }
      }
      try await sleep(for: .seconds(3))
      #expect(notes.entries == ["1", "2"])
    }
  }

  @Test func `G-20: of the same children gather throws the first error, and gatherResults has all`() throws {
    try runVirtually { loop in
      let children = [loop.sleeper(.seconds(1), 1), loop.failer(.seconds(2)), loop.sleeper(.seconds(3), 3)]
      let start = loop.now
      #expect(await ending { try await gather(children) } == "boom")
      #expect(loop.seconds(since: start) == 2)
      let results = try await gatherResults(children)
      #expect(results.map { (try? $0.get()) ?? 0 } == [1, 0, 3])
      #expect(loop.seconds(since: start) == 3)
    }
  }
}
