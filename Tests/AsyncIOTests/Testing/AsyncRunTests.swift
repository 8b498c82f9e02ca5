// SPDX-License-Identifier: Apache-2.0
//
// The asynchronous forms: a loop on a thread of its own, seeds one after the other, and a cancel.

import AsyncIOTesting
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct AsyncRunTests {
  @Test func `the body runs on another thread, with the caller's task-locals, and its value comes back`() async throws {
    let here = thisThread
    let (value, there) = try await TestLocal.$number.withValue(7) {
      try await TestLoop.run { loop in
        let begin = loop.now
        try await sleep(for: .seconds(3_600))
        #expect(begin.duration(to: loop.now) == .seconds(3_600))
        return (TestLocal.number, thisThread)
      }
    }
    #expect(value == 7)
    #expect(there != here)
    await #expect(throws: Oops.self) { try await TestLoop.run { _ in throw Oops() } }
    await #expect(throws: LeakError.self) { try await TestLoop.run { loop in loop.callLater(.seconds(1)) {} } }
  }

  @Test func `more of them than the pool has threads run side by side`() async throws {
    let sum = try await withThrowingTaskGroup(of: Int.self) { group in
      for number in 0..<20 {
        group.addTask {
          try await TestLoop.run { _ in
            try await sleep(for: .seconds(60))
            return number
          }
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(sum == 190)
  }

  @Test func `many seeds: the first that fails is the one of the synchronous form, with the same steps`() async throws {
    let failure = await #expect(throws: SeedFailure.self) {
      try await TestLoop.run(seeds: 0..<200) { loop in try await SeedTests.fragile(loop) }
    }
    let found = try #require(failure)
    #expect(found.hasFailedAgain)
    let ofThread = await #expect(throws: SeedFailure.self) {
      try await onThread { try TestLoop.run(seeds: 0..<200) { loop in try await SeedTests.fragile(loop) } }
    }
    #expect(found.seed == ofThread?.seed)
    #expect(found.trace == ofThread?.trace)
    let seed = found.seed
    await #expect(throws: Oops.self) {
      try await TestLoop.run(seed: seed) { loop in try await SeedTests.fragile(loop) }
    }
    try await TestLoop.run(seeds: 0..<seed) { loop in try await SeedTests.fragile(loop) }
  }

  @Test func `many seeds: an expectation that fails is a failure of the seed`() async throws {
    var failure: SeedFailure?
    await withKnownIssue {
      do {
        try await TestLoop.run(seeds: 0..<200) { loop in
          let error = await outcome(of: loop.createTask { try await SeedTests.fragile(loop) })
          #expect(error == "()")
        }
      } catch {
        failure = error as? SeedFailure
      }
    }
    #expect(failure?.issues.count == 1)
    #expect(failure?.hasFailedAgain == true)
  }

  /// Waits for ever, and takes a second to clean up.
  private static func patient(_ begun: Shared<Int>, _ cleaned: Shared<Int>)
    -> @Sendable (isolated EventLoop) async throws -> Void
  {
    { loop in
      begun.change { $0 += 1 }
      do {
        try await loop.createFuture(of: Void.self).value
      } catch {
        try await sleep(for: .seconds(1))
        cleaned.change { $0 += 1 }
        throw error
      }
    }
  }

  @Test func `a cancel is one of the body, which is awaited; of many seeds no further one begins`() async throws {
    var configuration = TestLoop.Configuration()
    configuration.patience = .seconds(30)
    for isSeeded in [false, true] {
      let (begun, cleaned) = (Shared(0), Shared(0))
      let task = Task { [configuration] in
        if isSeeded {
          try await TestLoop.run(seeds: 0..<1_000, configuration, Self.patient(begun, cleaned))
        } else {
          try await TestLoop.run(configuration, Self.patient(begun, cleaned))
        }
      }
      while begun.value == 0 { try await Task.sleep(for: .milliseconds(1)) }
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      #expect(begun.value == 1 && cleaned.value == 1)
    }
  }

  @Test func `a cancel at any moment of many seeds ends them, also where the body does not listen`() async throws {
    for milliseconds in 0..<6 {
      let runs = Shared(0)
      let task = Task {
        try await TestLoop.run(seeds: 0..<1_000_000) { _ in
          runs.change { $0 += 1 }
          try? await sleep(for: .seconds(1))
        }
      }
      try await Task.sleep(for: .milliseconds(milliseconds))
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      #expect(runs.value < 1_000_000)
    }
  }

  @Test func `a task that is cancelled before it runs anything runs nothing`() async throws {
    let runs = Shared(0)
    let task = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      try await TestLoop.run(seeds: 0..<10) { _ in runs.change { $0 += 1 } }
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(runs.value == 0)
  }
}
