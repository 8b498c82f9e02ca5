// SPDX-License-Identifier: Apache-2.0
//
// The barrier: SY-27 to SY-31.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct AsyncBarrierTests {
  private static func arrivals(_ count: Int, at barrier: AsyncBarrier, on loop: isolated EventLoop) -> [LoopTask<Int>] {
    let barrier = Smuggled(barrier)
    return (0..<count).map { _ in
      loop.createTask {
        _ = loop
        return try await barrier.value.waitForAll()
      }
    }
  }

  private static func outcomes(_ tasks: [LoopTask<Int>]) async -> [String] {
    var outcomes: [String] = []
    for task in tasks { outcomes.append(await ending { try await task.value }) }
    return outcomes
  }

  private static let broken = "\(BrokenBarrierError())"

  @Test func `SY-31: fewer than one party is refused; one meets itself, without a turn`() throws {
    for parties in [0, -1, .min] { #expect(throws: InvalidArgumentError.self) { try AsyncBarrier(parties: parties) } }
    try runVirtually { loop in
      let barrier = try AsyncBarrier(parties: 1)
      var hasTurned = false
      loop.callSoon { hasTurned = true }
      #expect(try await barrier.waitForAll() == 0)
      #expect(!hasTurned)
    }
  }

  @Test(.inOrder) func `all go on when the last has come, each with a number of its own`() throws {
    try runVirtually { loop in
      let barrier = try AsyncBarrier(parties: 3)
      let tasks = Self.arrivals(2, at: barrier, on: loop)
      try await turns(3)
      #expect(barrier.waitingCount == 2 && !tasks[0].isDone)
      var hasTurned = false
      loop.callSoon { hasTurned = true }
      #expect(try await barrier.waitForAll() == 2)
      #expect(!hasTurned && barrier.waitingCount == 0)
      #expect(await Self.outcomes(tasks) == ["0", "1"])
    }
  }

  @Test func `SY-27: who comes while a round goes on waits for the next one`() throws {
    try runVirtually { loop in
      let barrier = try AsyncBarrier(parties: 2)
      let first = Self.arrivals(1, at: barrier, on: loop)
      try await turns()
      try await barrier.waitForAll()
      // The first has not gone on yet.
      #expect(!first[0].isDone)
      let second = loop.createTask { try await barrier.waitForAll() }
      try await turns(3)
      #expect(first[0].isDone)
      #expect(!second.isDone && barrier.waitingCount == 1)
      try await barrier.waitForAll()
      #expect(await outcome(of: second) == "0")
    }
  }

  @Test func `a hundred rounds of five`() throws {
    try runVirtually(.shuffled(5)) { loop in
      let barrier = try AsyncBarrier(parties: 5)
      var round = [0, 0, 0, 0, 0]
      let tasks = loop.tasks(0..<5) { number in
        for next in 1...100 {
          round[number] = next
          try await barrier.waitForAll()
          // Nobody is more than a round behind.
          #expect(round.allSatisfy { $0 >= next })
        }
      }
      _ = try await wait(tasks)
      #expect(round == [100, 100, 100, 100, 100])
    }
  }

  @Test func `SY-28: one who waits is cancelled; the others wait on, for one more`() throws {
    try runVirtually { loop in
      let barrier = try AsyncBarrier(parties: 3)
      let tasks = Self.arrivals(2, at: barrier, on: loop)
      try await turns()
      tasks[0].cancel()
      #expect(barrier.waitingCount == 1)
      let more = Self.arrivals(1, at: barrier, on: loop)
      try await turns(3)
      #expect(!tasks[1].isDone && barrier.waitingCount == 2)
      #expect(try await barrier.waitForAll() == 2)
      #expect(await Self.outcomes(tasks + more) == ["cancelled", "0", "1"])
    }
  }

  @Test(.inOrder) func `SY-28: one of a round that is complete is cancelled; the others go on`() throws {
    try runVirtually { loop in
      let barrier = try AsyncBarrier(parties: 3)
      let tasks = Self.arrivals(2, at: barrier, on: loop)
      try await turns()
      try await barrier.waitForAll()
      tasks[0].cancel()
      #expect(await Self.outcomes(tasks) == ["cancelled", "1"])
      #expect(barrier.waitingCount == 0)
    }
  }

  @Test func `SY-29: reset while it fills: those who wait get an error, and it is as new`() throws {
    try runVirtually { loop in
      let barrier = try AsyncBarrier(parties: 3)
      let tasks = Self.arrivals(2, at: barrier, on: loop)
      try await turns()
      barrier.reset()
      #expect(barrier.waitingCount == 0 && !barrier.isBroken)
      #expect(await Self.outcomes(tasks) == [Self.broken, Self.broken])
      let again = Self.arrivals(3, at: barrier, on: loop)
      #expect(Set(await Self.outcomes(again)) == ["0", "1", "2"])
    }
  }

  @Test(.inOrder) func `SY-29: reset while a round goes on does not hurt that; those for the next one get an error`()
    throws
  {
    try runVirtually { loop in
      let barrier = try AsyncBarrier(parties: 2)
      let round = Self.arrivals(1, at: barrier, on: loop)
      try await turns()
      try await barrier.waitForAll()
      let next = loop.createTask { try await barrier.waitForAll() }
      loop.callSoon {
        #expect(barrier.waitingCount == 1)
        barrier.reset()
      }
      #expect(await Self.outcomes(round + [next]) == ["0", Self.broken])
      barrier.reset()
      #expect(!barrier.isBroken)
    }
  }

  @Test func `SY-29: reset and a cancel in one turn: the cancel is not lost`() throws {
    try runVirtually { loop in
      for cancelFirst in [true, false] {
        let barrier = try AsyncBarrier(parties: 3)
        let tasks = Self.arrivals(2, at: barrier, on: loop)
        try await turns()
        if cancelFirst { tasks[0].cancel() }
        barrier.reset()
        if !cancelFirst { tasks[0].cancel() }
        #expect(await Self.outcomes(tasks) == ["cancelled", Self.broken])
      }
    }
  }

  @Test func `SY-30: abort, use, and reset: errors, and then it works`() throws {
    try runVirtually { loop in
      let barrier = try AsyncBarrier(parties: 2)
      let waiting = Self.arrivals(1, at: barrier, on: loop)
      try await turns()
      barrier.abort()
      #expect(barrier.isBroken && barrier.waitingCount == 0)
      #expect(await Self.outcomes(waiting) == [Self.broken])
      await #expect(throws: BrokenBarrierError.self) { try await barrier.waitForAll() }
      barrier.abort()
      barrier.reset()
      #expect(!barrier.isBroken)
      #expect(Set(await Self.outcomes(Self.arrivals(2, at: barrier, on: loop))) == ["0", "1"])
    }
  }
}
