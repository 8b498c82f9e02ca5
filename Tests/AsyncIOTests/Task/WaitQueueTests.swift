// SPDX-License-Identifier: Apache-2.0
//
// The queue in which tasks stand for everything else here, and waits that begin before their suspension.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct WaitQueueTests {
  /// Tasks that wait in a queue, and note who went on.
  private static func waiters(
    _ count: Int, in queue: WaitQueue, _ log: Log, on loop: isolated EventLoop
  ) -> [LoopTask<Void>] {
    loop.tasks(0..<count) { number in
      let place = queue.enter()
      try await noting(number, in: log) {
        _ = try await queue.wait(in: place, on: loop.executor, until: nil) { log.add("pass \(number)") }
      }
    }
  }

  @Test(.inOrder) func `the first is woken first, and out at once`() throws {
    try runVirtually { loop in
      let queue = WaitQueue()
      let log = Log()
      let tasks = Self.waiters(3, in: queue, log, on: loop)
      try await turns()
      #expect(queue.count == 3)
      queue.wakeFirst()
      queue.wakeFirst()
      #expect(queue.count == 1)
      try await turns()
      #expect(log.entries == ["0", "1"])
      queue.wakeAll()
      #expect(queue.isEmpty && queue.wakeFirst() == nil)
      _ = try await wait(tasks)
      #expect(log.entries == ["0", "1", "2"])
    }
  }

  @Test(.inOrder, arguments: permutations([0, 1, 2, 3]))
  func `SY-03: those who are cancelled are out at once, whichever they are, and the order stays`(order: [Int]) throws {
    try runVirtually { loop in
      for left in 1...4 {
        let queue = WaitQueue()
        let log = Log()
        let tasks = Self.waiters(5, in: queue, log, on: loop)
        try await turns()
        for number in order.prefix(left) { tasks[number].cancel() }
        #expect(queue.count == 5 - left)
        queue.wakeAll()
        _ = try await wait(tasks)
        let gone = Set(order.prefix(left))
        #expect(log.entries.filter { !$0.hasPrefix("x") } == (0..<5).filter { !gone.contains($0) }.map { "\($0)" })
      }
    }
  }

  @Test func `one that was refused passes nothing on, one that was granted does`() throws {
    try runVirtually { loop in
      for verdict in [WaitQueue.Verdict.refused, .granted, .numbered(7)] {
        let queue = WaitQueue()
        let log = Log()
        let tasks = Self.waiters(1, in: queue, log, on: loop)
        try await turns()
        queue.wakeFirst(verdict)
        tasks[0].cancel()
        _ = try await wait(tasks)
        #expect(log.entries == (verdict == .refused ? ["x0"] : ["pass 0", "x0"]))
      }
    }
  }

  @Test func `a place is used again, and two who take turns need no other`() throws {
    try runVirtually { loop in
      let queue = WaitQueue()
      let log = Log()
      var places: Set<ObjectIdentifier> = []
      for _ in 0..<10 {
        let tasks = Self.waiters(1, in: queue, log, on: loop)
        try await turns()
        if let place = queue.wakeFirst() { places.insert(ObjectIdentifier(place)) }
        _ = try await wait(tasks)
      }
      #expect(places.count == 1)
    }
  }

  @Test func `a task that is asked to end before it waits does not stand in the queue`() throws {
    try runVirtually { loop in
      let queue = WaitQueue()
      let task = loop.createTask {
        AnyLoopTask.current?.cancel()
        let place = queue.enter()
        #expect(queue.count == 1)
        await #expect(throws: CancellationError.self) {
          _ = try await queue.wait(in: place, on: loop.executor, until: nil) { Issue.record("nothing to pass on") }
        }
        #expect(queue.isEmpty)
        // And its next wait works.
        let next = queue.enter()
        loop.callSoon { queue.wakeFirst() }
        _ = try await queue.wait(in: next, on: loop.executor, until: nil) {}
      }
      try await task.value
    }
  }

  @Test func `a wait that ends before its suspension does not suspend`() throws {
    try runVirtually { loop in
      let queue = WaitQueue()
      let place = queue.enter()
      queue.wakeFirst()
      var hasTurned = false
      loop.callSoon { hasTurned = true }
      let verdict = try await queue.wait(in: place, on: loop.executor, until: nil) {}
      #expect(verdict == .granted)
      #expect(!hasTurned)
    }
  }

  @Test func `a Swift task that is isolated to the loop, and does not prefer it, is not passed over on its way in`()
    throws
  {
    try runVirtually { loop in
      let queue = WaitQueue()
      let foreign = Task {
        _ = loop
        let place = queue.enter()
        return try await queue.wait(in: place, on: loop.executor, until: nil) {}
      }
      // It comes from the global pool, so this cannot be counted in turns.
      while queue.isEmpty { try await turns() }
      queue.wakeFirst(.numbered(3))
      #expect(try await foreign.value == .numbered(3))
    }
  }

  @Test func `a deaf wait ends by its wake-up only, and then tells of the request`() throws {
    try runVirtually { loop in
      let queue = WaitQueue()
      let task = loop.createTask {
        let place = queue.enter()
        await #expect(throws: CancellationError.self) {
          try await queue.waitUncancellably(in: place, on: loop.executor)
        }
        #expect(place.wasWoken)
        // Once: the next wait works.
        try await turns()
      }
      try await turns()
      task.cancel()
      task.cancel()
      try await turns(3)
      #expect(queue.count == 1 && !task.isDone)
      queue.wakeFirst()
      try await task.value
    }
  }

  @Test func `a deaf wait of a Swift task on the loop ends by its wake-up only`() throws {
    try runVirtually { loop in
      let queue = Smuggled(WaitQueue())
      let foreign = loop.foreignTask {
        try await queue.value.waitUncancellably(in: queue.value.enter(), on: loop.executor)
      }
      try await turns(2)
      foreign.cancel()
      try await turns(3)
      #expect(queue.value.count == 1)
      queue.value.wakeFirst()
      await #expect(throws: CancellationError.self) { try await foreign.value }
    }
  }

  @Test func `QU-16, SY-35: a loop that is closed lets those go who wait in a Swift task, and reports its own`() throws
  {
    try inEachOrder { configuration in
      let log = RecordingLog()
      let loop = try EventLoop(configuration: configuration.with(log: log))
      let ends = Notes<String>()
      try loop.runUntilComplete { loop in
        let queue = Smuggled(AsyncQueue<Int>())
        // Nobody else holds the queue: those who wait do.
        _ = loop.foreignTask {
          let end = await ending { try await queue.value.get() }
          ends.add(end)
        }
        loop.createTask(name: "getter") { try await queue.value.get() }
        try await turns(3)
      }
      loop.close()
      #expect(ends.value == ["the event loop is closed"])
      #expect(log.kinds == ["\(ExceptionContext.Kind.taskDestroyedPending)"])
    }
  }
}
