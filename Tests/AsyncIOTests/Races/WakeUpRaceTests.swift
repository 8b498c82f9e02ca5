// SPDX-License-Identifier: Apache-2.0
//
// A wake-up and a cancel of one who waits, in one turn or in two, for each thing that can be waited for: what the
// wake-up brought is nobody's twice, and is not lost.

import AsyncIOTesting
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct WakeUpRaceTests {
  private static func second(_ random: inout SplitMix64) -> Int { Int.random(in: 0...3, using: &random) }

  /// Tasks that begin at some second, of which some are cancelled at some second, and some give up.
  private static func crowd(
    _ random: inout SplitMix64, _ happenings: Happenings, on loop: isolated EventLoop,
    _ body: @escaping (_ number: Int, _ limit: Duration?) async throws -> Void
  ) -> [LoopTask<Void>] {
    var plans: [Int: (start: Int, limit: Duration?)] = [:]
    for number in 0..<Int.random(in: 2...6, using: &random) {
      let limit = Self.second(&random)
      plans[number] = (Self.second(&random), limit == 0 ? nil : .seconds(limit))
    }
    let tasks = loop.tasks(plans.keys.sorted()) { number in
      guard let plan = plans[number] else { return }
      if plan.start > 0 { try await sleep(for: .seconds(plan.start)) }
      try await body(number, plan.limit)
    }
    for task in tasks where Bool.random(using: &random) {
      happenings.plan("cancel", at: Self.second(&random)) { task.cancel() }
    }
    return tasks
  }

  private static func ends(of tasks: [LoopTask<Void>]) async -> [String] {
    var ends: [String] = []
    for task in tasks { ends.append(await ending { try await task.value }) }
    return ends
  }

  @Test func `SY-02 to SY-10, SY-33: lock`() throws {
    try EventLoop.race { loop, random in
      let lock = AsyncLock()
      let happenings = Happenings()
      var (owners, entries) = (0, 0)
      let hold = Self.second(&random)
      let tasks = Self.crowd(&random, happenings, on: loop) { number, limit in
        try await lock.acquire(timeout: limit)
        owners += 1
        entries += 1
        try require(owners == 1, "\(owners) owners")
        defer {
          owners -= 1
          try? lock.release()
        }
        try await sleep(for: .seconds(number % 2 == 0 ? hold : 0))
      }
      happenings.arm(&random, on: loop)
      let ends = await Self.ends(of: tasks)
      try require(ends.allSatisfy { ["()", "cancelled", "timeout"].contains($0) }, "\(ends)")
      try require(entries >= ends.count { $0 == "()" }, "\(entries) entries, \(ends)")
      try require(!lock.isLocked && lock.queue.isEmpty, "\(lock)")
    }
  }

  @Test func `SY-20 to SY-24: semaphore`() throws {
    try EventLoop.race { loop, random in
      let permits = Int.random(in: 1...3, using: &random)
      let semaphore = try AsyncSemaphore(value: permits)
      let happenings = Happenings()
      var inside = 0
      let hold = Self.second(&random)
      let tasks = Self.crowd(&random, happenings, on: loop) { number, limit in
        try await semaphore.acquire(timeout: limit)
        inside += 1
        try require(inside <= permits, "\(inside) of \(permits)")
        defer {
          inside -= 1
          semaphore.release()
        }
        try await sleep(for: .seconds(number % 2 == 0 ? hold : 1))
      }
      happenings.arm(&random, on: loop)
      _ = await Self.ends(of: tasks)
      try require(semaphore.value == permits && semaphore.queue.isEmpty, "\(semaphore)")
    }
  }

  @Test func `SY-13 to SY-18: condition`() throws {
    try EventLoop.race { loop, random in
      let condition = AsyncCondition()
      let happenings = Happenings()
      var (given, left, taken) = (0, 0, 0)
      let tasks = Self.crowd(&random, happenings, on: loop) { _, limit in
        try await condition.withLock {
          try await condition.waitUntil(timeout: limit) { left > 0 }
          left -= 1
          taken += 1
        }
      }
      var givers: [LoopTask<Void>] = []
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let at = Self.second(&random)
        givers.append(
          loop.createTask {
            try await sleep(for: .seconds(at))
            try await condition.withLock {
              given += 1
              left += 1
              try condition.notify()
            }
          })
      }
      happenings.arm(&random, on: loop)
      try await gather(givers)
      try await sleep(for: .seconds(9))
      // Nobody waits while there is something.
      try require(condition.queue.isEmpty || left == 0, "\(condition.queue.count) wait, \(left) are left")
      try require(given == left + taken, "\(given) given, \(left) left, \(taken) taken")
      for task in tasks { task.cancel() }
      let ends = await Self.ends(of: tasks)
      try require(ends.count { $0 == "()" } <= taken, "\(ends), \(taken) taken")
      try require(!condition.lock.isLocked && condition.queue.isEmpty, "\(condition)")
    }
  }

  @Test func `SY-11, SY-12: event`() throws {
    try EventLoop.race { loop, random in
      let event = AsyncEvent()
      let happenings = Happenings()
      let tasks = Self.crowd(&random, happenings, on: loop) { _, limit in
        try await event.waitUntilSet(timeout: limit)
      }
      for _ in 0..<Int.random(in: 0...3, using: &random) {
        happenings.plan("set", at: Self.second(&random)) {
          event.set()
          event.clear()
        }
      }
      happenings.plan("set", at: 9) { event.set() }
      happenings.arm(&random, on: loop)
      try await sleep(for: .seconds(10))
      try require(tasks.allSatisfy(\.isDone), "somebody waits for an event that is set")
      _ = await Self.ends(of: tasks)
      try require(event.isSet && event.queue.isEmpty, "\(event)")
    }
  }

  @Test func `SY-27 to SY-30: barrier`() throws {
    try EventLoop.race { loop, random in
      let parties = Int.random(in: 1...3, using: &random)
      let barrier = try AsyncBarrier(parties: parties)
      let happenings = Happenings()
      var numbers: [Int] = []
      let tasks = Self.crowd(&random, happenings, on: loop) { _, limit in
        numbers.append(try await barrier.waitForAll(timeout: limit))
      }
      if Bool.random(using: &random) { happenings.plan("reset", at: Self.second(&random)) { barrier.reset() } }
      happenings.arm(&random, on: loop)
      try await sleep(for: .seconds(9))
      let waiting = tasks.count { !$0.isDone }
      try require(waiting == barrier.waitingCount && waiting < parties, "\(barrier), \(waiting) wait")
      barrier.abort()
      let ends = await Self.ends(of: tasks)
      try require(numbers.allSatisfy { $0 < parties }, "\(numbers)")
      try require(ends.count { $0 == "()" } == numbers.count, "\(ends), \(numbers)")
    }
  }

  @Test func `QU-02 to QU-09: queue`() throws {
    try EventLoop.race { loop, random in
      let queue = try AsyncQueue<Int>(capacity: Int.random(in: 1...2, using: &random))
      let happenings = Happenings()
      var (entered, taken): ([Int], [Int]) = ([], [])
      let putters = Self.crowd(&random, happenings, on: loop) { number, limit in
        try await queue.put(number, timeout: limit)
        entered.append(number)
      }
      let getters = Self.crowd(&random, happenings, on: loop) { _, limit in
        taken.append(try await queue.get(timeout: limit))
      }
      happenings.arm(&random, on: loop)
      try await sleep(for: .seconds(9))
      try require(
        queue.isEmpty || getters.allSatisfy(\.isDone), "\(queue.count) are there, and somebody waits for one")
      // Those who wait with an element come in as there is room.
      for _ in putters {
        while let number = try? queue.getNoWait() { taken.append(number) }
        try await sleep(for: .seconds(1))
      }
      for getter in getters { getter.cancel() }
      _ = await Self.ends(of: putters + getters)
      try require(taken.sorted() == entered.sorted(), "entered \(entered), taken \(taken)")
    }
  }

  @Test func `T-33, T-50: future`() throws {
    try EventLoop.race { loop, random in
      let future = loop.createFuture(of: Int.self)
      let happenings = Happenings()
      let tasks = Self.crowd(&random, happenings, on: loop) { _, limit in
        // Shielded: one who leaves does not take it from the others.
        let value = try await waitFor(loop.createTask { try await shield(future) }, timeout: limit)
        try require(value == 7, "\(value)")
      }
      happenings.plan("finish", at: 2) { try? future.setResult(7) }
      happenings.arm(&random, on: loop)
      let ends = await Self.ends(of: tasks)
      try require(ends.allSatisfy { ["()", "cancelled", "timeout"].contains($0) }, "\(ends)")
      let value = try await future.value
      try require(value == 7, "the future was cancelled")
    }
  }

  @Test func `TM-06, T-52, T-53: sleep`() throws {
    try EventLoop.race { loop, random in
      let happenings = Happenings()
      let tasks = Self.crowd(&random, happenings, on: loop) { number, limit in
        let begin = loop.now
        let time = Duration.seconds(number % 3)
        do {
          try await withTimeout(limit) { try await sleep(for: time) }
          try require(begin.duration(to: loop.now) == time, "it slept for \(begin.duration(to: loop.now))")
        } catch is TimeoutError {
          try require(begin.duration(to: loop.now) == limit, "the limit of \(limit ?? .zero) has passed")
        }
      }
      happenings.arm(&random, on: loop)
      let ends = await Self.ends(of: tasks)
      try require(ends.allSatisfy { ["()", "cancelled"].contains($0) }, "\(ends)")
    }
  }

  @Test func `IO-10, SR-08: descriptor: a read that is cancelled, or gives up, takes nothing with it`() throws {
    try EventLoop.race(.network { $0.network?.latency = .zero ... .seconds(1) }) { loop, random in
      var received: [UInt8] = []
      let server = try await serve { connection in
        for number in UInt8(0)..<5 {
          try await connection.writer.write([number])
          try await sleep(for: .seconds(1))
        }
      }
      defer { server.abortClients() }
      let connection = try await openConnection(to: server.address)
      defer { connection.abort() }
      while true {
        let reader = loop.createTask {
          let bytes = try await connection.reader.read(upTo: 10, timeout: .seconds(1))
          received += bytes
          return bytes.isEmpty
        }
        let happenings = Happenings()
        if Bool.random(using: &random) {
          happenings.plan("cancel", at: Int.random(in: 0...1, using: &random)) { reader.cancel() }
        }
        happenings.arm(&random, on: loop)
        let end = await ending { try await reader.value }
        if end == "true" { break }
        try require(["false", "cancelled", "timeout"].contains(end), end)
      }
      try require(received == [0, 1, 2, 3, 4], "received \(received)")
    }
  }
}
