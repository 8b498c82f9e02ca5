// SPDX-License-Identifier: Apache-2.0
//
// Orders by seed: a failure is found, told with its seed, and happens again.

import AsyncIOTesting
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct SeedTests {
  /// Tasks, callbacks, timers and ends of futures, many of them at once.
  private static func busy(_ loop: isolated EventLoop) async throws -> [Int] {
    var order: [Int] = []
    let gate = loop.createFuture(of: Void.self)
    let tasks = (0..<8).map { (number: Int) -> LoopTask<Void> in
      let name: String? = number % 2 == 0 ? "even \(number)" : nil
      return loop.createTask(name: name) { () async throws -> Void in
        try await sleep(for: .seconds(number % 3))
        order.append(number)
        try await shield(gate)
        order.append(number + 10)
      }
    }
    for number in 20..<24 { loop.callSoon { order.append(number) } }
    for number in 30..<34 { loop.callLater(.seconds(1)) { order.append(number) } }
    loop.callLater(.seconds(4)) { try gate.setResult() }
    try await gather(tasks)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<3 { group.addTask { try? await sleep(for: .zero) } }
    }
    return order
  }

  @Test func `the same seed gives the same trace, to the letter, and another seed another one`() throws {
    var traces: Set<TestLoop.Trace> = []
    for seed in UInt64(0)..<50 {
      let first = try TestLoop.record(.init(order: .seeded(seed))) { loop in try await Self.busy(loop) }
      let second = try TestLoop.record(.init(order: .seeded(seed))) { loop in try await Self.busy(loop) }
      #expect(first.trace.steps.count > 40)
      #expect(first.trace.firstDifference(from: second.trace) == nil)
      #expect(first.trace == second.trace)
      #expect(try first.result.get() == second.result.get())
      traces.insert(first.trace)
    }
    #expect(traces.count == 50)
  }

  @Test func `in FIFO order there is one trace, which names tasks, timers and callbacks`() throws {
    let line: UInt = #line + 2
    let recording = try TestLoop.record { loop in
      loop.callSoon {}
      loop.callLater(.seconds(1)) {}
      loop.note("here")
      try await loop.createTask(name: "worker") { try await sleep(for: .seconds(2)) }.value
    }
    let steps = recording.trace.steps.map(\.description)
    #expect(steps.contains("0.0 seconds: callback 1 (\(#fileID):\(line))"))
    #expect(steps.contains("1.0 seconds: timer 1 (\(#fileID):\(line + 1))"))
    #expect(steps.contains("0.0 seconds: task worker"))
    #expect(steps.contains("2.0 seconds: task worker"))
    #expect(steps.contains("0.0 seconds: \"here\""))
    #expect(steps.contains("0.0 seconds: task main"))
  }

  /// A body that relies on the order of two tasks.
  static func fragile(_ loop: isolated EventLoop) async throws {
    var first = ""
    let a = loop.createTask { if first.isEmpty { first = "a" } }
    let b = loop.createTask { if first.isEmpty { first = "b" } }
    _ = try await gather(a, b)
    if first != "a" { throw Oops(number: 1) }
  }

  @Test func `a seed that fails is told, with what ran, and fails again`() throws {
    try TestLoop.run { loop in try await Self.fragile(loop) }
    let failure = #expect(throws: SeedFailure.self) {
      try TestLoop.run(seeds: 0..<200) { loop in try await Self.fragile(loop) }
    }
    let found = try #require(failure)
    #expect(found.error as? Oops == Oops(number: 1))
    #expect(found.hasFailedAgain)
    #expect(found.trace.steps.count > 3)
    #expect(found.description.contains("TestLoop.run(seed: \(found.seed))"))
    #expect(throws: Oops.self) { try TestLoop.run(seed: found.seed) { loop in try await Self.fragile(loop) } }
    let again = try TestLoop.record(.init(order: .seeded(found.seed))) { loop in try await Self.fragile(loop) }
    #expect(again.trace == found.trace)
    // All seeds before it pass.
    try TestLoop.run(seeds: 0..<found.seed) { loop in try await Self.fragile(loop) }
  }

  @Test func `a body that fails by chance is told from one that the seed fails`() throws {
    let runs = Shared(0)
    let failure = #expect(throws: SeedFailure.self) {
      try TestLoop.run(seeds: 0..<10) { _ in
        runs.change { $0 += 1 }
        if runs.value == 3 { throw Oops() }
      }
    }
    #expect(failure?.seed == 2)
    #expect(failure?.hasFailedAgain == false)
  }

  @Test func `what a seed failed with is told of the run that the trace shows, with its places`() throws {
    let runs = Shared(0)
    // In a macro's closure each line is the macro's.
    let line: UInt = #line + 1
    let failure = #expect(throws: SeedFailure.self) {
      try TestLoop.run(seeds: 0..<10) { loop in
        runs.change { $0 += 1 }
        // The first run does not know where its timers were made.
        if runs.value == 1 { throw Oops() }
        loop.callLater(.seconds(10)) {}
      }
    }
    let leaks = try #require(failure?.error as? LeakError).leaks
    #expect(leaks.map(\.description) == ["a timer, made at \(#fileID):\(line)"])
    #expect(failure?.hasFailedAgain == true)
  }

  @Test func `where it does not fail again, the first run's error is told`() throws {
    let runs = Shared(0)
    let failure = #expect(throws: SeedFailure.self) {
      try TestLoop.run(seeds: 0..<10) { _ in
        runs.change { $0 += 1 }
        if runs.value == 1 { throw Oops(number: 7) }
      }
    }
    #expect(failure?.error as? Oops == Oops(number: 7))
  }

  @Test func `an expectation that fails is a failure of the seed`() throws {
    var failure: SeedFailure?
    // It is known here, so that this test does not fail by it.
    withKnownIssue {
      do {
        try TestLoop.run(seeds: 0..<200) { loop in
          let error = await outcome(of: loop.createTask { try await Self.fragile(loop) })
          #expect(error == "()")
        }
      } catch {
        failure = error as? SeedFailure
      }
    }
    #expect(failure?.issues.count == 1)
    #expect(failure?.error == nil)
    #expect(failure?.hasFailedAgain == true)
  }

  @Test(.testLoops(overSeeds: 20)) func `a test runs on a loop of its own, for each seed`() async throws {
    let loop = try EventLoop.running
    #expect(AnyLoopTask.current?.name == "main")
    let begin = loop.now
    try await sleep(for: .seconds(3_600))
    #expect(begin.duration(to: loop.now) == .seconds(3_600))
  }

  @Test(.testLoop) func `in it, time is virtual, and children run on the loop`() async throws {
    let loop = try EventLoop.running
    async let one: Void = sleep(for: .seconds(5))
    async let two: Void = sleep(for: .seconds(7))
    _ = try await (one, two)
    try await loop.advance(by: .seconds(1))
    try await loop.waitAllTasksBlocked()
  }
}

/// Of the traits of a suite and of its test, the test's own makes the loop.
@Suite(.oneAtATime, .testLoop) struct NestedTestLoopTests {
  @Test(.testLoops(overSeeds: 3)) func `a test's own configuration goes before that of its suite`() async throws {
    let loop = try EventLoop.running
    #expect(loop.testSeed != nil)
    try await sleep(for: .seconds(3_600))
  }

  @Test func `a test without one has that of its suite`() async throws {
    let loop = try EventLoop.running
    #expect(loop.testSeed == nil)
    try await sleep(for: .seconds(3_600))
  }
}
