// SPDX-License-Identifier: Apache-2.0
//
// SY-32: ten thousand tasks at each of them, and random cancels; what must hold is asked in each turn.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .inOrder) struct CrowdTests {
  private static let crowd = Amount.of(10_000, usually: 2_000)
  /// More in an optimized build.
  #if DEBUG
    private static let orders: [BatchOrder] = [.fifo]
  #else
    private static let orders: [BatchOrder] = [.fifo, .seeded(1), .seeded(2)]
  #endif

  private static func configuration(_ order: BatchOrder) -> EventLoop.Configuration {
    var configuration = EventLoop.Configuration()
    configuration.seams.batchOrder = order
    return configuration
  }

  /// Cancels some at random, turn by turn, until all have ended; asks in each turn, and between, whether all is well.
  private static func cancelAtRandom<T: Sendable>(
    _ tasks: [LoopTask<T>], on loop: isolated EventLoop, isWell: @escaping () -> Bool,
    each turn: () async throws -> Void = {}
  ) async throws {
    var random = SplitMix64(state: 32)
    var isDone = false
    var checks = 0
    var failures = 0
    loop.everyTurn {
      checks += 1
      if !isWell() { failures += 1 }
      return !isDone
    }
    var left = tasks
    while !left.isEmpty {
      for _ in 0..<Int.random(in: 0...20, using: &random) { left.randomElement(using: &random)?.cancel() }
      try await turn()
      if !isWell() { failures += 1 }
      try await turns()
      left.removeAll(where: \.isDone)
    }
    isDone = true
    try await turns(2)
    #expect(failures == 0 && checks > Self.crowd / 100, "\(failures) of \(checks)")
  }

  @Test(arguments: orders)
  func `SY-32: a lock never has two owners, and nobody waits while it is free`(order: BatchOrder) throws {
    try runVirtually(Self.configuration(order)) { loop in
      let lock = AsyncLock()
      var owners = 0
      var entries = 0
      var most = 0
      let tasks = loop.tasks(0..<Self.crowd) { number in
        try await lock.withLock {
          owners += 1
          entries += 1
          most = max(most, owners)
          defer { owners -= 1 }
          if number % 3 == 0 { try await turns() }
        }
      }
      try await Self.cancelAtRandom(tasks, on: loop) {
        owners <= 1 && (lock.isLocked || (lock.queue.isEmpty && owners == 0))
      }
      #expect(most == 1 && entries > Self.crowd / 10)
      #expect(!lock.isLocked && lock.queue.isEmpty)
    }
  }

  @Test(arguments: orders)
  func `SY-32: a semaphore never lets too many in, nobody waits while there is a permit, and none is lost`(
    order: BatchOrder
  ) throws {
    try runVirtually(Self.configuration(order)) { loop in
      let semaphore = try AsyncSemaphore(value: 7)
      var inside = 0
      var most = 0
      let tasks = loop.tasks(0..<Self.crowd) { number in
        try await semaphore.withPermit {
          inside += 1
          most = max(most, inside)
          defer { inside -= 1 }
          if number % 5 != 0 { try await turns(number % 4) }
        }
      }
      try await Self.cancelAtRandom(tasks, on: loop) {
        inside + semaphore.value <= 7 && (semaphore.value == 0 || semaphore.queue.isEmpty)
      }
      #expect(most == 7)
      #expect(semaphore.value == 7 && semaphore.queue.isEmpty)
    }
  }

  @Test(arguments: orders)
  func `SY-32: an event has nobody who waits while it is set, and wakes all who are left`(order: BatchOrder) throws {
    try runVirtually(Self.configuration(order)) { loop in
      let event = AsyncEvent()
      var woken = 0
      let tasks = loop.tasks(0..<Self.crowd) { _ in
        try await event.waitUntilSet()
        woken += 1
      }
      var turn = 0
      try await Self.cancelAtRandom(tasks, on: loop, isWell: { !event.isSet || event.queue.isEmpty }) {
        turn += 1
        if turn > 150 {
          event.set()
          if turn % 2 == 0 { event.clear() }
        }
      }
      let cancelled = tasks.filter(\.isCancelled).count
      #expect(woken == Self.crowd - cancelled && cancelled > 100 && woken > 100)
      #expect(event.queue.isEmpty)
    }
  }

  @Test(arguments: orders)
  func `SY-32: a condition lets on as many as were notified, whoever is cancelled`(order: BatchOrder) throws {
    try runVirtually(Self.configuration(order)) { loop in
      let condition = AsyncCondition()
      var went = 0
      var notified = 0
      let tasks = loop.tasks(0..<Self.crowd) { _ in
        try await condition.withLock {
          try await condition.waitUntilNotified()
          went += 1
        }
      }
      try await Self.cancelAtRandom(
        tasks, on: loop, isWell: { went <= notified && (condition.lock.isLocked || condition.lock.queue.isEmpty) }
      ) {
        try await condition.withLock {
          notified += min(60, condition.queue.count)
          try condition.notify(60)
        }
      }
      let cancelled = tasks.filter(\.isCancelled).count
      #expect(went == Self.crowd - cancelled && went > 100)
      #expect(!condition.lock.isLocked && condition.queue.isEmpty)
    }
  }

  @Test(arguments: orders)
  func `SY-32: a barrier never holds a full round, and its rounds have numbers of their own`(order: BatchOrder) throws {
    try runVirtually(Self.configuration(order)) { loop in
      let barrier = try AsyncBarrier(parties: 10)
      var numbers = [Int](repeating: 0, count: 10)
      let tasks = loop.tasks(0..<Self.crowd) { number in
        try await turns(number / 100)
        numbers[try await barrier.waitForAll()] += 1
      }
      var turn = 0
      try await Self.cancelAtRandom(tasks, on: loop, isWell: { barrier.waitingCount < 10 }) {
        turn += 1
        // The last ones would wait for ever.
        if turn > 200 { barrier.abort() }
      }
      // One that was woken and cancelled has taken its number with it.
      #expect((numbers.max() ?? 0) - (numbers.min() ?? 0) < 200 && numbers.allSatisfy { $0 > 10 }, "\(numbers)")
      #expect(barrier.waitingCount == 0)
    }
  }

  @Test(arguments: orders)
  func `SY-32: at a queue nobody waits for what is there, and no item is lost or doubled`(order: BatchOrder) throws {
    try runVirtually(Self.configuration(order)) { loop in
      let queue = try AsyncQueue<Int>(capacity: 16)
      var entered = 0
      var got: [Int] = []
      let putters = loop.tasks(0..<Self.crowd / 2) { number in
        try await queue.put(number)
        entered += 1
      }
      let getters = loop.tasks(0..<Self.crowd / 2) { _ in got.append(try await queue.get()) }
      var turn = 0
      try await Self.cancelAtRandom(
        putters + getters, on: loop,
        isWell: {
          (queue.core.getters.isEmpty || queue.isEmpty) && (queue.core.putters.isEmpty || queue.isFull)
            && queue.count <= 16
        }
      ) {
        turn += 1
        if turn > 500 { queue.shutdown() }
      }
      while !queue.isEmpty { got.append(try queue.getNoWait()) }
      #expect(Set(got).count == got.count)
      #expect(got.count == entered && entered > 100)
    }
  }
}
