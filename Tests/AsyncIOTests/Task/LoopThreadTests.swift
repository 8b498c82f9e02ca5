// SPDX-License-Identifier: Apache-2.0
//
// A loop on a thread of its own, beside an async main: contract L-33, TH-04 and TH-05.

import AsyncIO
import CLinux
import Glibc
import Testing

@Suite(.oneAtATime) struct LoopThreadTests {
  private struct Failure: Error {}

  @Test func `TH-04: a body's value comes back, and the body runs on the loop's thread`() async throws {
    let thread = try LoopThread.start(name: "th-04")
    let (id, name) = try await thread.run { loop in
      try await sleep(for: .zero)
      #expect(try EventLoop.running === loop)
      #expect(AnyLoopTask.current != nil)
      return (gettid(), ProcessFacts.currentThreadName)
    }
    #expect(name == "th-04")
    #expect(id != getpid())
    let again = try await thread.run { _ in gettid() }
    #expect(again == id)
    await thread.shutdown()
  }

  @Test func `TH-04: a body's error comes back`() async throws {
    let thread = try LoopThread.start()
    await #expect(throws: Failure.self) { try await thread.run { _ in throw Failure() } }
    await #expect(throws: CancellationError.self) { try await thread.run { _ in throw CancellationError() } }
    #expect(try await thread.run { _ in 1 } == 1)
    await thread.shutdown()
  }

  @Test func `TH-04: a cancel outside cancels the body, and waits for its end`() async throws {
    let thread = try LoopThread.start()
    let log = Notes<String>()
    let (started, start) = AsyncStream<Void>.makeStream()
    let outside = Task {
      try await thread.run { _ in
        start.yield()
        do {
          try await sleep(for: .seconds(3_600))
        } catch {
          try await turns(3)
          log.add("cleaned up")
          throw error
        }
      }
    }
    for await _ in started { break }
    outside.cancel()
    await #expect(throws: CancellationError.self) { try await outside.value }
    #expect(log.value == ["cleaned up"])
    await thread.shutdown()
  }

  @Test func `TH-04: a Swift task that was cancelled before it calls in hears so`() async throws {
    let thread = try LoopThread.start()
    let outside = Task {
      while !Task.isCancelled { await Task.yield() }
      try await thread.run { _ in try await sleep(for: .seconds(3_600)) }
    }
    outside.cancel()
    await #expect(throws: CancellationError.self) { try await outside.value }
    await thread.shutdown()
  }

  @Test func `TH-04: a body that is cancelled on the loop ends so outside`() async throws {
    let thread = try LoopThread.start()
    let log = Notes<String>()
    let error = await #expect(throws: CancellationError.self) {
      try await thread.run { loop in
        let task = AnyLoopTask.current
        loop.callSoon { task?.cancel() }
        defer { log.add("left") }
        try await sleep(for: .seconds(3_600))
      }
    }
    #expect(error != nil)
    #expect(log.value == ["left"])
    await thread.shutdown()
  }

  @Test func `TH-04: a body that swallows a cancel gives its value outside`() async throws {
    let thread = try LoopThread.start()
    let (started, start) = AsyncStream<Void>.makeStream()
    let outside = Task {
      try await thread.run { _ in
        start.yield()
        try? await sleep(for: .seconds(3_600))
        return "value"
      }
    }
    for await _ in started { break }
    outside.cancel()
    #expect(try await outside.value == "value")
    await thread.shutdown()
  }

  @Test func `TH-05: those who wait for a body when the thread ends are woken`() async throws {
    let thread = try LoopThread.start()
    let (started, start) = AsyncStream<Void>.makeStream()
    let outside = Task {
      try await thread.run { _ in
        start.yield()
        try await sleep(for: .seconds(3_600))
      }
    }
    for await _ in started { break }
    await thread.shutdown()
    await #expect(throws: CancellationError.self) { try await outside.value }
    #expect(thread.loop.isClosed)
    await #expect(throws: LoopClosedError.self) { try await thread.run { _ in 1 } }
    #expect(throws: LoopClosedError.self) { try thread.loop.callSoonThreadsafe { _ in } }
  }

  @Test func `a shutdown waits for tasks that clean up, and for their errors`() async throws {
    let log = RecordingLog()
    let thread = try LoopThread.start(configuration: EventLoop.Configuration().with(log: log))
    let lines = Notes<String>()
    try await thread.run { loop in
      loop.createTask(name: "slow") {
        do { try await sleep(for: .seconds(3_600)) } catch { try await sleep(for: .milliseconds(5)) }
        lines.add("slow ended")
      }
      loop.createTask(name: "failing") {
        do { try await sleep(for: .seconds(3_600)) } catch { throw Failure() }
      }
      try await sleep(for: .zero)
    }
    await thread.shutdown()
    #expect(lines.value == ["slow ended"])
    #expect(log.kinds == ["error-never-retrieved"])
  }

  @Test func `a shutdown with a grace leaves a task behind that swallows cancels, and reports it`()
    async throws
  {
    let log = RecordingLog()
    let thread = try LoopThread.start(configuration: EventLoop.Configuration().with(log: log))
    try await thread.run { loop in
      loop.createTask(name: "stubborn") {
        while true { try? await sleep(for: .seconds(3_600)) }
      }
      loop.createTask(name: "prompt") { try await sleep(for: .seconds(3_600)) }
      try await sleep(for: .zero)
    }
    let start = ContinuousClock.now
    await thread.shutdown(grace: .milliseconds(10))
    let taken = ContinuousClock.now - start
    #expect(taken >= .milliseconds(10))
    #expect(taken < .seconds(10))
    #expect(log.kinds == ["task-destroyed-pending"])
    #expect(log.lines.first?.contains("stubborn") == true)
    #expect(thread.loop.isClosed)
  }

  @Test func `a second shutdown waits, too, and shortens nothing`() async throws {
    let thread = try LoopThread.start()
    let lines = Notes<String>()
    try await thread.run { loop in
      loop.createTask {
        do { try await sleep(for: .seconds(3_600)) } catch {
          lines.add("cancelled")
          try await sleep(for: .milliseconds(20))
        }
        lines.add("ended")
      }
      try await sleep(for: .zero)
    }
    async let first: Void = thread.shutdown()
    for _ in 0..<100_000 where lines.count == 0 { try await Task.sleep(for: .microseconds(100)) }
    await thread.shutdown()
    #expect(lines.value == ["cancelled", "ended"])
    await first
    await thread.shutdown()
    #expect(lines.value == ["cancelled", "ended"])
  }

  @Test func `a stop of the loop ends the thread`() async throws {
    let thread = try LoopThread.start()
    async let ended: Void = thread.waitUntilEnded()
    try await thread.run { loop in loop.stop() }
    await ended
    #expect(thread.loop.isClosed)
    await thread.waitUntilEnded()
    await thread.shutdown()
  }

  @Test func `a shutdown right after the start ends the thread`() async throws {
    for _ in 0..<100 {
      let thread = try LoopThread.start()
      await thread.shutdown()
      #expect(thread.loop.isClosed)
    }
  }

  @Test func `L-33: two loops on two threads are independent`() async throws {
    let threads = try [LoopThread.start(name: "l-33-a"), LoopThread.start(name: "l-33-b")]
    let names = try await withThrowingTaskGroup(of: (Int, String).self) { group in
      for (index, thread) in threads.enumerated() {
        group.addTask {
          try await thread.run { loop in
            #expect(try EventLoop.running === loop)
            #expect(EventLoop.current === loop)
            try await sleep(for: .milliseconds(1))
            #expect(try EventLoop.running === loop)
            return (index, ProcessFacts.currentThreadName)
          }
        }
      }
      return try await group.reduce(into: ["", ""]) { $0[$1.0] = $1.1 }
    }
    #expect(names == ["l-33-a", "l-33-b"])
    #expect(throws: NoRunningLoopError.self) { try EventLoop.running }
    // One that blocks, and one that ends, are nothing to the other.
    let gate = Gate()
    let blocked = Task { try await threads[0].run { _ in gate.wait() } }
    #expect(try await threads[1].run { _ in 1 } == 1)
    gate.open()
    try await blocked.value
    await threads[0].shutdown()
    #expect(try await threads[1].run { _ in 2 } == 2)
    await threads[1].shutdown()
  }

  @Test
  func `L-33: tasks of two loops talk to each other by run`() async throws {
    let left = try LoopThread.start()
    let right = try LoopThread.start()
    let sum = try await left.run { _ in
      var sum = 0
      for number in 0..<200 {
        sum += try await right.run { _ in number }
      }
      return sum
    }
    #expect(sum == 19_900)
    await left.shutdown()
    await right.shutdown()
  }

  @Test func `DB-05: many threads, started and shut down, leave no threads and no descriptors`() async throws {
    let name = "asyncio-db-05"
    // Other tests open and close theirs meanwhile; a leak of this one would be 400 descriptors.
    let before = ProcessFacts.descriptors.count
    for _ in 0..<20 {
      let threads = try (0..<10).map { _ in try LoopThread.start(name: name) }
      for thread in threads { #expect(try await thread.run { _ in 1 } == 1) }
      for thread in threads { await thread.shutdown() }
    }
    #expect(ProcessFacts.threadNames.filter { $0 == name }.count < 20)
    for _ in 0..<1_000 {
      let areGone = !ProcessFacts.threadNames.contains(name) && ProcessFacts.descriptors.count < before + 200
      if areGone { break }
      try await Task.sleep(for: .milliseconds(5))
    }
    // A thread says that it has ended a moment before it does.
    #expect(!ProcessFacts.threadNames.contains(name))
    #expect(ProcessFacts.descriptors.count < before + 200)
  }

  @Test func `a name that is too long is cut`() async throws {
    let thread = try LoopThread.start(name: "a-very-long-name-for-a-thread")
    #expect(try await thread.run { _ in ProcessFacts.currentThreadName } == "a-very-long-nam")
    await thread.shutdown()
  }
}
