// SPDX-License-Identifier: Apache-2.0
//
// Cancel, finish, cancel again, take back: in one turn, in every order.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct CancellationRaceTests {
  enum Event: String, CaseIterable { case finish, fail, cancel, cancelAgain, uncancel, cancelFuture }

  /// What asyncio does with a task that awaits a future, while events come before it resumes.
  private struct Model {
    var future = "pending"
    var requests = 0
    var isOwed = false

    mutating func take(_ event: Event) -> Bool {
      switch event {
      case .finish: return end("1")
      case .fail: return end("boom")
      case .cancelFuture: return end("cancelled")
      case .cancel, .cancelAgain:
        requests += 1
        if !end("cancelled") { isOwed = true }
        return true
      case .uncancel:
        guard requests > 0 else { return false }
        requests -= 1
        if requests == 0 { isOwed = false }
        return true
      }
    }

    private mutating func end(_ outcome: String) -> Bool {
      guard future == "pending" else { return false }
      future = outcome
      return true
    }

    var task: String { isOwed ? "cancelled" : future }
  }

  /// All orders of all subsets.
  private static let orders: [[Event]] = {
    var orders: [[Event]] = [[]]
    var longest = orders
    for _ in Event.allCases {
      longest = longest.flatMap { order in
        Event.allCases.filter { !order.contains($0) }.map { order + [$0] }
      }
      orders += longest
    }
    return orders
  }()

  @Test func `T-33, T-43, T-45, T-50, T-51: all 1,956 orders of six events in one turn`() throws {
    #expect(Self.orders.count == 1_957)
    try runVirtually { loop in
      for order in Self.orders {
        let future = loop.createFuture(of: Int.self)
        let seen = Log()
        let task = loop.createTask {
          defer { seen.add("end") }
          do {
            return "\(try await future.value)"
          } catch is CancellationError {
            // One throw for all of the requests: this await works.
            try await turns()
            return "cancelled"
          } catch {
            try await turns()
            return "\(error)"
          }
        }
        try await turns()
        var model = Model()
        for event in order {
          let expected = model.take(event)
          let result =
            switch event {
            case .finish: (try? future.setResult(1)) != nil
            case .fail: (try? future.setError(Boom())) != nil
            case .cancelFuture: future.cancel()
            case .cancel, .cancelAgain: task.cancel()
            case .uncancel: task.cancelling > task.uncancel()
            }
          #expect(result == expected, "\(event) in \(order)")
        }
        #expect(task.cancelling == model.requests, "\(order)")
        guard model.future != "pending" else {
          #expect(!future.isDone)
          future.cancel()
          continue
        }
        #expect(await outcome(of: task) == model.task, "\(order)")
        #expect(await outcome(of: future) == model.future, "\(order)")
        #expect(seen.entries == ["end"])
      }
      try await turns(4)
      #expect(loop.allTasks.count == 1)
    }
  }

  @Test func `T-33: future and task cancelled in one turn give one cancellation`() throws {
    try runVirtually { loop in
      for futureFirst in [true, false] {
        let future = loop.createFuture(of: Int.self)
        let seen = Counter()
        let task = loop.createTask {
          for _ in 0..<3 {
            do { _ = try await future.value } catch { seen.value += 1 }
            try await turns()
          }
        }
        try await turns()
        let both = futureFirst ? (future.cancel(), task.cancel()) : (task.cancel(), future.cancel())
        #expect(both == (true, futureFirst))
        try await task.value
        // The future stays cancelled, and says so each time; no other await was interrupted.
        #expect(seen.value == 3)
        #expect((future.isCancelled, task.isCancelled) == (true, false))
      }
    }
  }

  @Test func `T-50: finish, then cancel: the body sees the cancel, and other readers the value`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let task = loop.createTask { try await future.value }
      let other = loop.createTask { try await future.value }
      try await turns()
      try future.setResult(1)
      #expect(task.cancel())
      #expect(await outcome(of: task) == "cancelled")
      #expect(await outcome(of: other) == "1")
      #expect(try future.result() == 1)
    }
  }

  @Test(.inOrder) func `T-50: an inner task finishes in the turn in which the outer is cancelled`() throws {
    try runVirtually { loop in
      let inner = loop.createTask { () async throws -> Int in
        try await sleep(for: .seconds(1))
        return 1
      }
      inner.addDoneCallback {}
      let outer = loop.createTask { try await inner.value }
      loop.createTask {
        try await turns()
        inner.addDoneCallback { outer.cancel() }
      }
      try await turns()
      // A callback that was added before the outer task waits runs before it resumes.
      let early = loop.createTask { () async throws -> Int in
        try await sleep(for: .seconds(2))
        return 2
      }
      var late: LoopTask<Int>?
      early.addDoneCallback { #expect(late?.cancel() == true) }
      late = loop.createTask { try await early.value }
      #expect(await outcome(of: outer) == "1")
      #expect(await outcome(of: early) == "2")
      let reader = try #require(late)
      #expect(await outcome(of: reader) == "cancelled")
      #expect(try early.result() == 2)
    }
  }

  @Test func `T-51: finish, then cancel of the future: the body gets the value`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let task = loop.createTask { try await future.value }
      try await turns()
      try future.setResult(1)
      #expect(!future.cancel())
      #expect(await outcome(of: task) == "1")
      #expect(task.cancelling == 0)
    }
  }

  @Test func `T-78: a cancel from code that the body calls takes effect at its next await`() throws {
    try runVirtually { loop in
      let log = Log()
      var itself: AnyLoopTask?
      let task = loop.createTask {
        try await turns()
        #expect(itself?.cancel() == true)
        #expect(itself?.cancel() == true)
        log.add("goes on")
        try await turns()
        log.add("not reached")
      }
      itself = task
      #expect(await outcome(of: task) == "cancelled")
      #expect(log.entries == ["goes on"])
      #expect(task.cancelling == 2)
    }
  }

  @Test func `T-79: a done callback that cancels its own task gets false, and changes nothing`() throws {
    try runVirtually { loop in
      let task = loop.createTask { 1 }
      let results = Log()
      task.addDoneCallback { results.add("\(task.cancel()) \(task.cancelling)") }
      #expect(await outcome(of: task) == "1")
      try await turns()
      #expect(results.entries == ["false 0"])
      #expect(try task.result() == 1)
    }
  }

  @Test func `T-80: of a chain the middle is cancelled: the outer sees an error, and is not asked`() throws {
    try runVirtually { loop in
      let c = loop.createTask { try await sleep(for: .seconds(1)) }
      let b = loop.createTask { try await c.value }
      let a = loop.createTask { () async throws -> String in
        do {
          try await b.value
          return "value"
        } catch is CancellationError {
          try await turns()
          return "saw it, \(AnyLoopTask.current?.cancelling ?? -1) \(Task.isCancelled)"
        }
      }
      try await turns()
      #expect(b.cancel())
      #expect(await outcome(of: a) == "saw it, 0 false")
      #expect(c.isCancelled)
      #expect(b.isCancelled)
      #expect((c.cancelling, b.cancelling, a.cancelling) == (1, 1, 0))
    }
  }

  @Test(arguments: 0..<50)
  func `cancels in any order of the turn's entries lose nothing, and nothing hangs`(seed: UInt64) throws {
    var configuration = EventLoop.Configuration()
    configuration.seams.batchOrder = .seeded(seed)
    try runVirtually(configuration) { loop in
      var generator = SplitMix64(state: seed)
      for _ in 0..<40 {
        let future = loop.createFuture(of: Int.self)
        let c = loop.createTask { try await future.value }
        let b = loop.createTask { try await c.value }
        let a = loop.createTask { try await b.value }
        let tasks = [a, b, c]
        for _ in 0..<Int.random(in: 0...3, using: &generator) { try await turns() }
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
          let victim = tasks[Int.random(in: 0..<3, using: &generator)]
          loop.callSoon { victim.cancel() }
        }
        loop.callSoon { _ = try? future.setResult(1) }
        for task in tasks {
          let end = await outcome(of: task)
          #expect(end == "1" || end == "cancelled")
          #expect(task.isCancelled == (end == "cancelled"))
        }
        #expect(future.isDone)
      }
      #expect(loop.allTasks.count == 1)
    }
  }
}
