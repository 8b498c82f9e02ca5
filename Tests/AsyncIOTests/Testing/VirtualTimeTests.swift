// SPDX-License-Identifier: Apache-2.0
//
// The time of a test: when it moves, and what is said when it cannot.

import AsyncIOTesting
import Dispatch
import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct VirtualTimeTests {
  @Test func `TM-24: time jumps when all tasks wait, and stands still while there is work`() throws {
    let start = ContinuousClock.now
    try TestLoop.run { loop in
      let begin = loop.now
      try await sleep(for: .seconds(3_600))
      #expect(begin.duration(to: loop.now) == .seconds(3_600))
      for _ in 0..<1_000 { try await sleep(for: .zero) }
      #expect(begin.duration(to: loop.now) == .seconds(3_600))
    }
    #expect(ContinuousClock.now - start < .seconds(10))
  }

  @Test func `TM-23: advance runs precisely what comes due, in order, and sleeping tasks see that time`() throws {
    try TestLoop.run(.init(time: .manual)) { loop in
      let begin = loop.now
      let log = Log()
      func note(_ name: String) { log.add("\(name) \(begin.duration(to: loop.now))") }
      for seconds in [3, 1, 2, 7] { loop.callLater(.seconds(seconds)) { note("timer") } }
      let sleeper = loop.createTask {
        try await sleep(for: .seconds(2))
        note("sleeper")
        try await sleep(for: .seconds(2))
        note("sleeper")
      }
      try await loop.waitAllTasksBlocked()
      #expect(log.entries.isEmpty)
      try await loop.advance(by: .seconds(5))
      #expect(
        log.entries == [
          "timer 1.0 seconds", "timer 2.0 seconds", "sleeper 2.0 seconds", "timer 3.0 seconds", "sleeper 4.0 seconds",
        ])
      #expect(begin.duration(to: loop.now) == .seconds(5))
      #expect(sleeper.isDone)
      try await loop.advance(by: .seconds(2))
      #expect(log.entries.last == "timer 7.0 seconds")
    }
  }

  @Test func `advance of zero, and of a negative time, moves nothing`() throws {
    try TestLoop.run(.init(time: .manual)) { loop in
      let begin = loop.now
      try await loop.advance(by: .zero)
      try await loop.advance(by: .seconds(-5))
      #expect(begin == loop.now)
    }
  }

  @Test func `where it moves only when asked, a body that waits for it hangs, and the error names it`() throws {
    var configuration = TestLoop.Configuration(time: .manual)
    configuration.patience = .milliseconds(20)
    let error = #expect(throws: LoopHangsError.self) {
      try TestLoop.run(configuration) { _ in try await sleep(for: .seconds(1)) }
    }
    #expect(error?.tasks.map(\.name) == ["main"])
    #expect(error?.reason.contains("moves only when it is asked to") == true)
  }

  @Test func `a body that would hang fails, and the error names the tasks that wait and what for`() throws {
    var configuration = TestLoop.Configuration()
    configuration.patience = .milliseconds(20)
    // Within a macro's argument, each line is that of the macro.
    let line: UInt = #line + 1
    let error = #expect(throws: LoopHangsError.self) {
      try TestLoop.run(configuration) { loop in
        let never = loop.createFuture(of: Int.self)
        let waiting = loop.createTask(name: "worker") { try await never.value }
        loop.createTask(name: "polling") {
          let pair = try DescriptorPair.pipe()
          try await loop.waitReadable(pair.near)
        }
        _ = try await waiting.value
      }
    }
    #expect(error?.tasks.map(\.name) == ["main", "worker", "polling"])
    #expect(error?.tasks[0].waitsFor == "task worker")
    #expect(error?.tasks[1].waitsFor == "a future made at \(#fileID):\(line)")
    #expect(error?.tasks[1].creationSite == "\(#fileID):\(line)")
    #expect(error?.tasks[2].waitsFor.contains("to be readable") == true)
    #expect(error?.description.contains("task worker (made at") == true)
  }

  @Test func `a body that waits for another thread waits in real time, and does not hang`() throws {
    try TestLoop.run { loop in
      let future = loop.createFuture(of: Int.self)
      TestThread {
        usleep(20_000)
        try? future.setResult(7)
      }.detach()
      let seven = try await future.value
      #expect(seven == 7)
    }
  }

  private static func goRoundAndRound(_ loop: isolated EventLoop) async throws {
    func again() { loop.callLater(.seconds(1)) { again() } }
    again()
    try await loop.createFuture(of: Void.self).value
  }

  @Test func `timers that go round and round end with the limit of real time`() throws {
    var configuration = TestLoop.Configuration(leaks: .off)
    configuration.limitOfRealTime = .milliseconds(100)
    let error = #expect(throws: LoopHangsError.self) {
      try TestLoop.run(configuration) { loop in try await Self.goRoundAndRound(loop) }
    }
    #expect(error?.reason.contains("of real time") == true)
  }

  @Test(arguments: [TestLoop.Time.autojump, .real])
  func `whatever a run is busy with, it ends with the limit of real time`(time: TestLoop.Time) throws {
    var configuration = TestLoop.Configuration(time: time, leaks: .off)
    configuration.limitOfRealTime = .milliseconds(100)
    let yielding = #expect(throws: LoopHangsError.self) {
      try TestLoop.run(configuration) { _ in while !Task.isCancelled { await Task.yield() } }
    }
    #expect(yielding?.reason.contains("of real time") == true)
    // A cleanup that waits has the time for it.
    let hasCleaned = Shared(false)
    let cleaning = #expect(throws: LoopHangsError.self) {
      try TestLoop.run(configuration) { _ in
        while !Task.isCancelled { await Task.yield() }
        _ = try? await sleep(for: .zero)
        try await sleep(for: .milliseconds(1))
        hasCleaned.change { $0 = true }
      }
    }
    #expect(cleaning?.reason.contains("of real time") == true && hasCleaned.value)
    let calling = #expect(throws: LoopHangsError.self) {
      try TestLoop.run(configuration) { loop in
        loop.callEvery(.milliseconds(1)) { _ in }
        try await loop.createFuture(of: Void.self).value
      }
    }
    #expect(calling?.reason.contains("of real time") == true)
  }

  @Test func `a thread that nobody knows of has the time that the configuration gives it, beside a limit`() throws {
    @Sendable func answer(_ loop: isolated EventLoop, after wait: @escaping @Sendable () -> Void) async throws -> Int {
      let future = loop.createFuture(of: Int.self)
      TestThread {
        wait()
        try? future.setResult(7)
      }.detach()
      return try await waitFor(future, timeout: .seconds(5))
    }
    let isOver = DispatchSemaphore(value: 0)
    #expect(throws: TimeoutError.self) { try TestLoop.run { loop in try await answer(loop) { isOver.wait() } } }
    isOver.signal()
    var patient = TestLoop.Configuration()
    patient.graceForThreads = .seconds(60)
    #expect(try TestLoop.run(patient) { loop in try await answer(loop) { usleep(20_000) } } == 7)
  }

  @Test func `TM-24: time does not jump while bytes are on their way through the kernel`() throws {
    try TestLoop.run { loop in
      let pair = try DescriptorPair.sockets()
      defer { withExtendedLifetime(pair) {} }
      let far = pair.far
      let begin = loop.now
      let reader = loop.createTask {
        try await loop.waitReadable(pair.near)
        return begin.duration(to: loop.now)
      }
      TestThread {
        // Within the time that descriptors have.
        usleep(1_000)
        _ = try? far.writeAll("x".utf8)
      }.detach()
      let waited = try await withTimeout(.seconds(10)) { try await reader.value }
      #expect(waited == .zero)
    }
  }

  @Test func `TM-24: time does not jump while a blocking function is under way`() throws {
    try TestLoop.run { loop in
      let begin = loop.now
      let seven = try await withTimeout(.milliseconds(1)) {
        try await runBlocking {
          usleep(30_000)
          return 7
        }
      }
      #expect(seven == 7)
      #expect(begin == loop.now)
      // From its end to the turn that hears of it there is no gap, either.
      for number in 0..<2_000 {
        let result = try await withTimeout(.milliseconds(1)) { try await runBlocking { number } }
        #expect(result == number)
      }
      #expect(begin == loop.now)
    }
  }

  /// Whether no work is under way, in a moment: it is counted off after the loop was told of its end.
  private static func isIdleElsewhere(_ loop: EventLoop) -> Bool {
    for _ in 0..<10_000 where loop.executor.hasWorkElsewhere { usleep(100) }
    return !loop.executor.hasWorkElsewhere
  }

  @Test func `TM-24: nor while one waits for a thread; a function that nobody awaits any more holds up nothing`() throws
  {
    try TestLoop.run { loop in
      let begin = loop.now
      let pool = ThreadPool(maximumThreads: 1)
      let (gate, hasBegun) = (Gate(), Gate())
      let first = loop.createTask {
        try await runBlocking(on: pool) {
          hasBegun.open()
          gate.wait()
        }
      }
      let second = loop.createTask { try await runBlocking(on: pool) { 2 } }
      try await runBlocking { hasBegun.wait() }
      first.cancel()
      #expect(await outcome(of: first) == "cancelled")
      loop.callLater(.seconds(1)) { gate.open() }
      #expect(loop.executor.hasWorkElsewhere)
      second.cancel()
      #expect(await outcome(of: second) == "cancelled")
      #expect(Self.isIdleElsewhere(loop))
      try await sleep(for: .seconds(2))
      #expect(begin.duration(to: loop.now) == .seconds(2))
      await pool.shutdown()
      // Refused: it is under way nowhere.
      await #expect(throws: ThreadPoolClosedError.self) { try await runBlocking(on: pool) {} }
      #expect(Self.isIdleElsewhere(loop))
    }
  }

  @Test func `waitAllTasksBlocked returns when nobody else can run, and lets no time pass`() throws {
    try TestLoop.run { loop in
      let begin = loop.now
      var steps = 0
      let task = loop.createTask {
        for _ in 0..<10 {
          steps += 1
          try await sleep(for: .zero)
        }
        try await sleep(for: .seconds(5))
      }
      try await loop.waitAllTasksBlocked()
      #expect(steps == 10)
      #expect(begin == loop.now)
      #expect(!task.isDone)
      try await task.value
    }
  }

  @Test func `several may wait until all are blocked, and one that is cancelled does not`() throws {
    try TestLoop.run { loop in
      let tasks = (0..<3).map { _ in loop.createTask { try await loop.waitAllTasksBlocked() } }
      try await turns(1)
      tasks[1].cancel()
      var ends: [String] = []
      for task in tasks { ends.append(await outcome(of: task)) }
      #expect(ends == ["()", "cancelled", "()"])
    }
  }

  @Test func `elapse is the time that a callback takes`() throws {
    try TestLoop.run { loop in
      let begin = loop.now
      var ran: [Duration] = []
      loop.callLater(.seconds(1)) {
        try? loop.elapse(.seconds(5))
      }
      for seconds in [2, 3] { loop.callLater(.seconds(seconds)) { ran.append(begin.duration(to: loop.now)) } }
      try await sleep(for: .seconds(10))
      #expect(ran == [.seconds(6), .seconds(6)])
      // As far as it goes.
      try loop.elapse(.seconds(Int64.max))
    }
  }

  @Test func `a loop that no test made says so`() throws {
    try EventLoop.run { loop in
      await #expect(throws: NoTestLoopError.self) { try await loop.waitAllTasksBlocked() }
      await #expect(throws: NoTestLoopError.self) { try await loop.advance(by: .seconds(1)) }
      #expect(throws: NoTestLoopError.self) { try loop.elapse(.seconds(1)) }
      #expect(loop.trace.steps.isEmpty)
    }
  }
}
