// SPDX-License-Identifier: Apache-2.0
//
// Cancels, limits and crowds at a queue: QU-05 to QU-07, QU-13 to QU-15.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct AsyncQueueRaceTests {
  @Test func `QU-05: one who waits for an item is cancelled, and the item that comes stays`() throws {
    try runVirtually { loop in
      let queue = AsyncQueue<Int>()
      let getter = loop.createTask { try await queue.get() }
      try await turns()
      getter.cancel()
      #expect(queue.core.getters.isEmpty)
      try queue.putNoWait(1)
      #expect(await outcome(of: getter) == "cancelled")
      #expect(queue.count == 1)
      #expect(try queue.getNoWait() == 1)
    }
  }

  @Test(.inOrder, arguments: [true, false])
  func `QU-05: an item and a cancel in one turn, in either order: the next one gets it, or it stays`(putFirst: Bool)
    throws
  {
    try runVirtually { loop in
      for others in 0...2 {
        let queue = AsyncQueue<Int>()
        let getters = (0...others).map { _ in loop.createTask { try await queue.get() } }
        try await turns()
        if putFirst { try queue.putNoWait(1) }
        getters[0].cancel()
        if !putFirst { try queue.putNoWait(1) }
        try await turns(3)
        #expect(getters[0].isCancelled)
        if others == 0 {
          #expect(try queue.getNoWait() == 1)
        } else {
          #expect(try await getters[1].value == 1)
          #expect(queue.core.getters.count == others - 1)
        }
        queue.shutdown()
        _ = try await wait(getters)
      }
    }
  }

  @Test func `QU-05: those who were given items in one turn are all cancelled: the items stay, in order`() throws {
    try runVirtually { loop in
      let queue = AsyncQueue<Int>()
      let getters = (0..<3).map { _ in loop.createTask { try await queue.get() } }
      try await turns()
      for number in 0..<3 { try queue.putNoWait(number) }
      for getter in getters { getter.cancel() }
      _ = try await wait(getters)
      #expect(queue.count == 3)
      for number in 0..<3 { #expect(try queue.getNoWait() == number) }
    }
  }

  @Test func `QU-06: many who wait are cancelled: all are gone, and the one who lives gets the item`() throws {
    try runVirtually { loop in
      let queue = AsyncQueue<Int>()
      let getters = (0..<1_000).map { _ in loop.createTask { try await queue.get() } }
      try await turns(8)
      #expect(queue.core.getters.count == 1_000)
      for (number, getter) in getters.enumerated() where number != 700 { getter.cancel() }
      #expect(queue.core.getters.count == 1)
      try queue.putNoWait(7)
      #expect(try await getters[700].value == 7)
      _ = try await wait(getters)
      #expect(queue.isEmpty && queue.core.getters.isEmpty)
    }
  }

  @Test(arguments: [true, false])
  func `QU-07: a place and a cancel in one turn, in either order: the item never enters, the next one's does`(
    getFirst: Bool
  ) throws {
    try runVirtually { loop in
      let queue = try AsyncQueue<Int>(capacity: 1)
      try queue.putNoWait(0)
      let putters = loop.tasks(1...2) { number in try await queue.put(number) }
      try await turns()
      if getFirst { #expect(try queue.getNoWait() == 0) }
      putters[0].cancel()
      if !getFirst { #expect(try queue.getNoWait() == 0) }
      _ = try await wait(putters)
      #expect(putters.map(\.isCancelled) == [true, false])
      #expect(queue.count == 1 && queue.isFull)
      #expect(try queue.getNoWait() == 2)
      #expect(!queue.isFull && queue.unfinishedCount == 2)
    }
  }

  @Test func `a limit of put passes, and the item is not in`() throws {
    try runVirtually { loop in
      let queue = try AsyncQueue<Int>(capacity: 1)
      try await queue.put(1)
      await #expect(throws: TimeoutError.self) { try await queue.put(2, timeout: .seconds(1)) }
      #expect(queue.core.putters.isEmpty && loop.executor.timers.count == 0 && loop.allTasks.count == 1)
      #expect(try await queue.get(timeout: .seconds(1)) == 1)
      #expect(queue.isEmpty)
    }
  }

  /// A limit and an item in one turn; the getter gets the item, or it stays.
  ///
  /// - Returns: Whether the limit won.
  private static func limitMeetsItem(
    _ item: Int, itemFirst: Bool, _ queue: AsyncQueue<Int>, _ loop: isolated EventLoop
  ) async throws -> Bool {
    let deadline = loop.now.advanced(by: .milliseconds(1))
    if itemFirst {
      loop.callAt(deadline) { try queue.putNoWait(item) }
    } else {
      loop.callSoon { loop.callAt(deadline) { try queue.putNoWait(item) } }
    }
    let inTime = try await itemInTime(queue)
    if inTime == nil { try await turns(2) }
    // One that came too late is there all the same.
    let got = try inTime ?? queue.getNoWait()
    if got != item { Issue.record("\(got) instead of \(item)") }
    return inTime == nil
  }

  private static func itemInTime(_ queue: AsyncQueue<Int>) async throws -> Int? {
    do { return try await queue.get(timeout: .milliseconds(1)) } catch is TimeoutError { return nil }
  }

  @Test(.inOrder) func `QU-13: a limit on get, and an item, in one turn: in either order, no item is lost`() throws {
    let trials = Amount.of(20_000, usually: 5_000)
    for seed in 0..<UInt64(Amount.of(50, optimized: 5, usually: 1)) {
      try runVirtually { loop in
        var random = SplitMix64(state: seed)
        let queue = AsyncQueue<Int>()
        var timeouts = 0
        for item in 0..<trials {
          // An error that is thrown costs the test library half a kilobyte: so this comes first most of the time.
          let itemFirst = Int.random(in: 0..<16, using: &random) != 0
          if try await Self.limitMeetsItem(item, itemFirst: itemFirst, queue, loop) { timeouts += 1 }
        }
        #expect(queue.isEmpty)
        #expect(timeouts > trials / 20 && timeouts < trials / 10)
        #expect(loop.executor.timers.count == 0)
      }
    }
  }

  @Test(.inOrder) func `QU-14: of many who put and many who get, nobody is more than a place in the line behind`()
    throws
  {
    try runVirtually { loop in
      let queue = try AsyncQueue<Int>(capacity: 4)
      let producers = 10
      let consumers = 7
      var put = [Int](repeating: 0, count: producers)
      var got = [Int](repeating: 0, count: consumers)
      var furthest = 0
      let producing = loop.tasks(0..<producers) { number in
        for _ in 0..<700 {
          try await queue.put(number)
          put[number] += 1
        }
      }
      let consuming = loop.tasks(0..<consumers) { number in
        var before = got.reduce(0, +)
        for try await _ in queue {
          // What the others got while this one waited.
          furthest = max(furthest, got.reduce(0, +) - before)
          got[number] += 1
          try await turns()
          before = got.reduce(0, +)
        }
      }
      var worst = 0
      loop.everyTurn {
        if put.allSatisfy({ $0 < 700 }) { worst = max(worst, (put.max() ?? 0) - (put.min() ?? 0)) }
        return !producing.allSatisfy(\.isDone)
      }
      _ = try await wait(producing)
      queue.shutdown()
      _ = try await wait(consuming)
      #expect(got.reduce(0, +) == 7_000)
      // A place in the line each, and the capacity that the first ones find free.
      #expect(worst <= 5, "\(worst)")
      // Those before it in the line, and those who come back before its turn.
      #expect(furthest <= 2 * consumers, "\(furthest)")
      #expect((got.min() ?? 0) > 100, "\(got)")
    }
  }

  @Test(.inOrder) func `QU-15: items without end, and no more memory`() throws {
    let items = Amount.of(10_000_000, usually: 200_000)
    try runVirtually { loop in
      let queue = try AsyncQueue<Int>(capacity: 64)
      let producer = loop.createTask {
        for number in 0..<items { try await queue.put(number) }
        queue.shutdown()
      }
      var sum = 0
      var before = 0
      var count = 0
      for try await number in queue {
        if number != count { Issue.record("\(number) instead of \(count)") }
        count += 1
        sum &+= number
        if count == items / 10 { before = ProcessFacts.residentKilobytes }
      }
      try await producer.value
      #expect(count == items)
      let growth = ProcessFacts.residentKilobytes - before
      if !ProcessFacts.keepsFreedMemory { #expect(growth < 2_048, "\(growth) KiB") }
    }
  }

  @Test(arguments: 0..<30 as Range<UInt64>)
  func `QU-05, QU-07, SY-32: random cancels and limits in a random order: each item that was put comes out once`(
    seed: UInt64
  ) throws {
    try runVirtually(.shuffled(seed)) { loop in
      var random = SplitMix64(state: seed)
      let queue =
        seed % 3 == 0 ? AsyncQueue<Int>(order: .priority) : try AsyncQueue<Int>(capacity: Int(seed % 3), order: .lifo)
      var entered: [Int] = []
      var left: [Int] = []
      var number = 0
      var tasks: [LoopTask<Void>] = []
      for _ in 0..<300 {
        let limit: Duration? = Bool.random(using: &random) ? nil : .milliseconds(Int.random(in: 0...3, using: &random))
        if Bool.random(using: &random) {
          number += 1
          let item = number
          tasks.append(
            loop.createTask {
              try await queue.put(item, timeout: limit)
              entered.append(item)
            })
        } else {
          tasks.append(loop.createTask { left.append(try await queue.get(timeout: limit)) })
        }
        if Int.random(in: 0..<3, using: &random) == 0 { tasks.randomElement(using: &random)?.cancel() }
        if Int.random(in: 0..<4, using: &random) == 0 { try await turns() }
        let core = queue.core
        // Nobody waits for what is there.
        #expect(core.getters.isEmpty || queue.isEmpty)
        #expect(core.putters.isEmpty || queue.isFull)
      }
      try await turns(50)
      for task in tasks { task.cancel() }
      _ = try await wait(tasks)
      while !queue.isEmpty { left.append(try queue.getNoWait()) }
      #expect(left.sorted() == entered.sorted())
      #expect(queue.core.getters.isEmpty && queue.core.putters.isEmpty && !queue.isFull)
      #expect(loop.executor.timers.count == 0)
    }
  }
}
