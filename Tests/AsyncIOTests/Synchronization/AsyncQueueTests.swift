// SPDX-License-Identifier: Apache-2.0
//
// The queue: order, capacity, joining, shutting down, iterating. QU-01 to QU-03, QU-08 to QU-10, QU-16 to QU-20.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct AsyncQueueTests {
  private struct Job: Equatable {
    var priority: Int
    var name: String
  }

  private static func drain<T>(_ queue: AsyncQueue<T>) throws -> [T] {
    var items: [T] = []
    while !queue.isEmpty { items.append(try queue.getNoWait()) }
    return items
  }

  @Test func `QU-01: the oldest, the newest, the smallest first; of equal ones the oldest`() throws {
    let numbers = [3, 1, 2]
    for (order, expected) in [(AsyncQueue<Int>.Order.fifo, [3, 1, 2]), (.lifo, [2, 1, 3]), (.priority, [1, 2, 3])] {
      let queue = AsyncQueue<Int>(order: order)
      for number in numbers { try queue.putNoWait(number) }
      #expect(try Self.drain(queue) == expected)
    }
    let jobs = AsyncQueue<Job>(order: .priority { $0.priority > $1.priority })
    for (index, priority) in [1, 2, 1, 2, 1].enumerated() {
      try jobs.putNoWait(Job(priority: priority, name: "\(index)"))
    }
    #expect(try Self.drain(jobs).map(\.name) == ["1", "3", "0", "2", "4"])
    var random = SplitMix64(state: 1)
    let many = AsyncQueue<Int>(order: .priority)
    let values = (0..<2_000).map { _ in Int.random(in: 0..<100, using: &random) }
    for value in values { try many.putNoWait(value) }
    #expect(try Self.drain(many) == values.sorted())
  }

  @Test(.inOrder) func `QU-02: a put waits while it is full, and a get wakes one who waits`() throws {
    try runVirtually { loop in
      let queue = try AsyncQueue<Int>(capacity: 2)
      let log = Log()
      let putters = loop.tasks(0..<5) { number in
        try await queue.put(number)
        log.add("\(number)")
      }
      try await turns(3)
      #expect(log.entries == ["0", "1"])
      #expect(queue.isFull && queue.count == 2 && queue.capacity == 2)
      #expect(try await queue.get() == 0)
      try await turns(3)
      #expect(log.entries == ["0", "1", "2"])
      #expect(queue.core.putters.count == 2)
      for number in 1..<5 { #expect(try await queue.get() == number) }
      _ = try await wait(putters)
      #expect(queue.isEmpty)
    }
  }

  @Test func `QU-03: the forms that do not wait tell of a queue that is full, empty, or shut down`() throws {
    let queue = try AsyncQueue<Int>(capacity: 1)
    #expect(throws: QueueError.empty) { try queue.getNoWait() }
    try queue.putNoWait(1)
    #expect(throws: QueueError.full) { try queue.putNoWait(2) }
    queue.shutdown()
    #expect(throws: QueueError.shutDown) { try queue.putNoWait(2) }
    #expect(try queue.getNoWait() == 1)
    #expect(throws: QueueError.shutDown) { try queue.getNoWait() }
  }

  @Test func `what is there, and what has a place, takes no turn`() throws {
    try runVirtually { loop in
      let queue = AsyncQueue<Int>()
      var hasTurned = false
      loop.callSoon { hasTurned = true }
      for number in 0..<1_000 { try await queue.put(number) }
      for number in 0..<1_000 { #expect(try await queue.get() == number) }
      #expect(!hasTurned)
    }
  }

  @Test func `QU-08: what is put while somebody waits is theirs: nobody gets in between`() throws {
    try runVirtually { loop in
      let queue = AsyncQueue<String>()
      let getter = loop.createTask { try await queue.get() }
      try await turns()
      try queue.putNoWait("first")
      #expect(queue.isEmpty && queue.count == 0)
      #expect(throws: QueueError.empty) { try queue.getNoWait() }
      await #expect(throws: TimeoutError.self) { try await queue.get(timeout: .zero) }
      #expect(try await getter.value == "first")
    }
  }

  @Test(.inOrder) func `QU-08: what is taken while somebody waits for a place lets one on, and nobody gets in between`()
    throws
  {
    try runVirtually { loop in
      let queue = try AsyncQueue<String>(capacity: 1)
      try queue.putNoWait("first")
      let putters = loop.tasks(0..<2) { number in try await queue.put("\(number)") }
      try await turns()
      #expect(try queue.getNoWait() == "first")
      #expect(queue.isFull && queue.isEmpty)
      #expect(throws: QueueError.full) { try queue.putNoWait("newcomer") }
      try await turns(2)
      #expect(putters.map(\.isDone) == [true, false])
      #expect(try queue.getNoWait() == "0")
      #expect(try await queue.get() == "1")
    }
  }

  @Test(.inOrder, arguments: permutations(["put", "put", "get", "get"]))
  func `QU-09: puts and gets in one turn, in every order: each item once, in order`(events: [String]) throws {
    try runVirtually { loop in
      for capacity in [1, 2, 100] {
        let queue = try AsyncQueue<Int>(capacity: capacity)
        var got: [Int] = []
        var number = 0
        let tasks = events.map { event in
          if event == "put" {
            number += 1
            let item = number
            return loop.createTask { try await queue.put(item) }
          }
          return loop.createTask { got.append(try await queue.get()) }
        }
        _ = try await wait(tasks)
        #expect(got == [1, 2], "\(capacity)")
        #expect(queue.isEmpty && !queue.isFull)
      }
    }
  }

  @Test func `QU-10: join waits until all that was put is done; done too often is an error`() throws {
    try runVirtually { loop in
      let queue = AsyncQueue<Int>()
      try await queue.join()
      #expect(throws: QueueError.nothingToBeDone) { try queue.taskDone() }
      for number in 0..<3 { try await queue.put(number) }
      #expect(queue.unfinishedCount == 3)
      let joiners = loop.tasks(0..<2) { _ in try await queue.join() }
      for _ in 0..<3 {
        _ = try await queue.get()
        try await turns(2)
        #expect(!joiners[0].isDone)
        try queue.taskDone()
      }
      _ = try await wait(joiners)
      #expect(throws: QueueError.nothingToBeDone) { try queue.taskDone() }
      #expect(queue.unfinishedCount == 0)
      try await queue.put(4)
      await #expect(throws: TimeoutError.self) { try await queue.join(timeout: .seconds(1)) }
      let cancelled = loop.createTask { try await queue.join() }
      try await turns()
      cancelled.cancel()
      #expect(await outcome(of: cancelled) == "cancelled")
      #expect(queue.core.joiners.isEmpty)
    }
  }

  @Test func `a shutdown lets what is there be got, and sends all others away`() throws {
    try runVirtually { loop in
      let queue = try AsyncQueue<Int>(capacity: 2)
      try await queue.put(1)
      try await queue.put(2)
      let putter = loop.createTask { try await queue.put(3) }
      try await turns()
      queue.shutdown()
      #expect(await outcome(of: putter) == "\(QueueError.shutDown)")
      await #expect(throws: QueueError.shutDown) { try await queue.put(4) }
      #expect(try await queue.get() == 1)
      #expect(try await queue.get() == 2)
      await #expect(throws: QueueError.shutDown) { try await queue.get() }
      let other = AsyncQueue<Int>()
      let getters = (0..<2).map { _ in loop.createTask { try await other.get() } }
      try await turns()
      other.shutdown()
      other.shutdown()
      for getter in getters { #expect(await outcome(of: getter) == "\(QueueError.shutDown)") }
      #expect(other.isShutDown)
    }
  }

  @Test func `a shutdown at once drops the items, which count as done, and sends away who was given one`() throws {
    try runVirtually { loop in
      var dropped = 0
      let queue = AsyncQueue<Sentinel>()
      let getter = loop.createTask { _ = try await queue.get() }
      try await turns()
      for _ in 0..<3 {
        try queue.putNoWait(
          Sentinel { [unowned queue] in
            dropped += 1
            // What it does finds the queue in order.
            #expect(queue.isShutDown && queue.isEmpty)
          })
      }
      let joiner = loop.createTask { try await queue.join() }
      // In the turn in which the getter was given an item.
      queue.shutdown(immediately: true)
      #expect(dropped == 3)
      #expect(await outcome(of: getter) == "\(QueueError.shutDown)")
      #expect(await outcome(of: joiner) == "()")
      #expect(queue.unfinishedCount == 0 && queue.count == 0)
      #expect(throws: QueueError.shutDown) { try queue.getNoWait() }
    }
  }

  @Test func `a shutdown with an item that is worked on: join still waits for that one`() throws {
    try runVirtually { loop in
      for immediately in [true, false] {
        let queue = AsyncQueue<Int>()
        for number in 0..<3 { try queue.putNoWait(number) }
        _ = try queue.getNoWait()
        queue.shutdown(immediately: immediately)
        let joiner = loop.createTask { try await queue.join() }
        try await turns(2)
        #expect(!joiner.isDone)
        for _ in 0..<(immediately ? 1 : 3) { try queue.taskDone() }
        try await joiner.value
        #expect(throws: QueueError.nothingToBeDone) { try queue.taskDone() }
      }
    }
  }

  @Test(arguments: permutations(["get", "shut down", "cancel"]))
  func `a place, a shutdown and a cancel in one turn, in every order: the item does not enter`(order: [String]) throws {
    try runVirtually { loop in
      let queue = try AsyncQueue<Int>(capacity: 1)
      try queue.putNoWait(1)
      let putter = loop.createTask { try await queue.put(2) }
      try await turns()
      for event in order {
        switch event {
        case "get": #expect(try queue.getNoWait() == 1)
        case "cancel": putter.cancel()
        default: queue.shutdown()
        }
      }
      #expect(await outcome(of: putter) == "cancelled")
      #expect(queue.isEmpty && queue.unfinishedCount == 1 && !queue.isFull)
    }
  }

  @Test func `QU-17: a capacity below one is refused, and says how to have no bound`() throws {
    for capacity in [0, -1, .min] {
      let error = #expect(throws: InvalidArgumentError.self) { try AsyncQueue<Int>(capacity: capacity) }
      #expect(error?.description.contains("give 1 or more, or none for no bound") == true)
    }
    #expect(AsyncQueue<Int>().capacity == nil)
  }

  @Test func `QU-19: priorities that contradict themselves lose nothing`() throws {
    let numbers = AsyncQueue<Double>(order: .priority)
    let values = (0..<500).map { $0 % 3 == 0 ? Double.nan : Double($0 * 7_919 % 500) }
    for value in values { try numbers.putNoWait(value) }
    let got = try Self.drain(numbers)
    #expect(got.filter { !$0.isNaN }.sorted() == values.filter { !$0.isNaN }.sorted())
    #expect(got.filter(\.isNaN).count == values.filter(\.isNaN).count)
    var random = SplitMix64(state: 3)
    let dice = AsyncQueue<Int>(order: .priority { _, _ in Bool.random(using: &random) })
    for number in 0..<500 { try dice.putNoWait(number) }
    #expect(try Self.drain(dice).sorted() == Array(0..<500))
    let always = AsyncQueue<Int>(order: .priority { _, _ in true })
    for number in 0..<500 { try always.putNoWait(number) }
    #expect(try Self.drain(always).sorted() == Array(0..<500))
  }

  @Test func `QU-20: an iteration goes on until the queue is shut down and empty, and several share the items`() throws
  {
    try runVirtually { loop in
      let queue = AsyncQueue<Int>()
      let workers = (0..<3).map { _ in
        loop.createTask {
          var got: [Int] = []
          for try await number in queue {
            got.append(number)
            try await turns()
            try queue.taskDone()
          }
          return got
        }
      }
      for number in 0..<100 { try await queue.put(number) }
      try await queue.join()
      queue.shutdown()
      var all: [Int] = []
      for worker in workers { all += try await worker.value }
      #expect(all.sorted() == Array(0..<100))
      let cancelled = loop.createTask { for try await _ in AsyncQueue<Int>() {} }
      try await turns()
      cancelled.cancel()
      #expect(await outcome(of: cancelled) == "cancelled")
    }
  }

  @Test func `QU-16: a queue that is dropped with what is in it lets go of that`() throws {
    var dropped = 0
    do {
      let queue = AsyncQueue<Sentinel>(order: .lifo)
      for _ in 0..<3 { try queue.putNoWait(Sentinel { dropped += 1 }) }
      let ranked = AsyncQueue<Sentinel>(order: .priority { _, _ in false })
      for _ in 0..<3 { try ranked.putNoWait(Sentinel { dropped += 1 }) }
    }
    #expect(dropped == 6)
  }
}
