// SPDX-License-Identifier: Apache-2.0
//
// Contract: TH-04, TH-05: a plain thread that waits for a body on a loop.

import AsyncIOTesting
import Glibc
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ThreadsafeTaskTests {
  @Test func `TH-04: the value and the error of a body come to the thread that waits`() throws {
    let own = LoopOnThread()
    defer { own.end() }
    let call = try own.loop.runCoroutineThreadsafe(name: "th-04") { loop in
      try await sleep(for: .milliseconds(1))
      #expect(try EventLoop.running === loop)
      return AnyLoopTask.current?.name
    }
    #expect(try call.wait() == "th-04")
    // Again, and from many.
    let names = Notes<String?>()
    let threads = (0..<4).map { _ in TestThread { names.add(try? call.wait()) } }
    for thread in threads { thread.join() }
    #expect(names.value == Array(repeating: "th-04", count: 4))
    #expect(call.isDone)
    #expect(!call.cancel())
    let failing = try own.loop.runCoroutineThreadsafe { _ in throw Oops(number: 4) }
    #expect(throws: Oops(number: 4)) { try failing.wait() }
  }

  @Test func `TH-04: many threads wait for one body that has not ended`() throws {
    let own = LoopOnThread()
    defer { own.end() }
    let gate = Gate()
    let call = try own.loop.runCoroutineThreadsafe { loop in
      try await runBlocking { gate.wait() }
      return 5
    }
    let values = Notes<Int>()
    let threads = (0..<8).map { _ in TestThread { values.add((try? call.wait(timeout: .seconds(20))) ?? -1) } }
    #expect(throws: TimeoutError.self) { try call.wait(timeout: .milliseconds(5)) }
    gate.open()
    for thread in threads { thread.join() }
    #expect(values.value == Array(repeating: 5, count: 8))
  }

  @Test func `TH-04: a wait with a limit ends with it, and the body goes on`() throws {
    let own = LoopOnThread()
    defer { own.end() }
    let notes = Notes<String>()
    let gate = Gate()
    let call = try own.loop.runCoroutineThreadsafe { loop in
      try await runBlocking { gate.wait() }
      notes.add("went on")
      return 1
    }
    let start = ContinuousClock.now
    #expect(throws: TimeoutError.self) { try call.wait(timeout: .milliseconds(20)) }
    #expect(ContinuousClock.now - start >= .milliseconds(20))
    #expect(throws: TimeoutError.self) { try call.wait(timeout: .zero) }
    #expect(throws: TimeoutError.self) { try call.wait(timeout: .seconds(-1)) }
    #expect(!call.isDone)
    gate.open()
    #expect(try call.wait(timeout: .seconds(Int64.max)) == 1)
    #expect(notes.value == ["went on"])
  }

  @Test func `TH-04: a cancel from the thread interrupts the body, and the wait ends with it`() throws {
    let own = LoopOnThread()
    defer { own.end() }
    let notes = Notes<String>()
    let call = try own.loop.runCoroutineThreadsafe { _ in
      notes.add("begun")
      do {
        try await sleep(for: .seconds(3_600))
      } catch {
        notes.add(AnyLoopTask.current?.cancellationReason?.message ?? "")
        try await sleep(for: .milliseconds(10))
        notes.add("cleaned up")
        throw error
      }
    }
    for _ in 0..<5_000 where notes.count == 0 { usleep(1_000) }
    #expect(call.cancel("enough"))
    #expect(throws: CancellationError.self) { try call.wait(timeout: .seconds(20)) }
    #expect(notes.value == ["begun", "enough", "cleaned up"])
    #expect(!call.cancel())
  }

  @Test func `TH-04: a body that swallows the cancel gives its value`() throws {
    let own = LoopOnThread()
    defer { own.end() }
    let begun = Gate()
    let call = try own.loop.runCoroutineThreadsafe { _ in
      begun.open()
      try? await sleep(for: .seconds(3_600))
      return "value"
    }
    begun.wait()
    call.cancel()
    #expect(try call.wait(timeout: .seconds(20)) == "value")
  }

  @Test func `TH-04: a cancel before the loop's turn: the body never runs, and the wait ends at once`() throws {
    let loop = try EventLoop()
    let notes = Notes<String>()
    let call = try loop.runCoroutineThreadsafe { _ in notes.add("ran") }
    #expect(throws: TimeoutError.self) { try call.wait(timeout: .milliseconds(1)) }
    #expect(call.cancel())
    #expect(throws: CancellationError.self) { try call.wait() }
    try loop.runUntilComplete { _ in try await turns(3) }
    #expect(notes.value == [])
    loop.close()
    #expect(throws: CancellationError.self) { try call.wait() }
  }

  @Test func `TH-04: a cancel on the loop ends the wait of the thread`() throws {
    let own = LoopOnThread()
    defer { own.end() }
    let call = try own.loop.runCoroutineThreadsafe(name: "victim") { _ in try await sleep(for: .seconds(3_600)) }
    _ = try own.loop.runCoroutineThreadsafe { loop in
      for task in loop.allTasks where task.name == "victim" { task.cancel("by the loop") }
    }
    #expect(throws: CancellationError.self) { try call.wait(timeout: .seconds(20)) }
  }

  @Test func `TH-04: cancels and ends that race leave one end, in every order`() throws {
    let own = LoopOnThread()
    defer { own.end() }
    for number in 0..<500 {
      let call = try own.loop.runCoroutineThreadsafe { _ in
        for _ in 0..<number % 4 { try await sleep(for: .zero) }
        return number
      }
      let canceller = TestThread { call.cancel() }
      let end = Result { try call.wait(timeout: .seconds(20)) }
      canceller.join()
      switch end {
      case .success(let value): #expect(value == number)
      case .failure(let error): #expect(error is CancellationError)
      }
    }
  }

  @Test func `TH-04: a wait on the loop's own thread is refused, and says why`() throws {
    try runVirtually { loop in
      let call = try loop.runCoroutineThreadsafe { _ in 1 }
      let error = #expect(throws: LoopStateError.waitsForItself) { try Self.block(on: call) }
      #expect(error?.description.contains("await a task of the loop instead") == true)
      try await turns { call.isDone }
      // What has ended needs no wait.
      #expect(try Self.block(on: call) == 1)
    }
  }

  /// Out of reach of `noasync`.
  private static func block<T: Sendable>(on call: ThreadsafeTask<T>) throws -> T { try call.wait(timeout: .seconds(5)) }

  @Test func `TH-05: a thread that waits on a loop that is closed is woken with an error`() throws {
    let log = RecordingLog()
    let loop = try EventLoop(configuration: EventLoop.Configuration().with(log: log))
    let begun = Gate()
    let errors = Notes<String>()
    let call = try loop.runCoroutineThreadsafe { _ in
      begun.open()
      // Cancelled by the closing, it runs on to its next wait, and stays there.
      while true { try? await sleep(for: .seconds(3_600)) }
    }
    let waiter = TestThread {
      do { _ = try call.wait(timeout: .seconds(20)) } catch { errors.add("\(error)") }
    }
    let runner = TestThread { try? loop.runForever() }
    begun.wait()
    loop.stop()
    runner.join()
    loop.close()
    waiter.join()
    #expect(errors.value == ["the event loop is closed"])
    #expect(call.isDone)
    #expect(throws: LoopClosedError.self) { try call.wait() }
    #expect(throws: LoopClosedError.self) { _ = try loop.runCoroutineThreadsafe { _ in 1 } }
  }

  @Test func `TH-05: a body that ends by the closing's cancel says so`() throws {
    let loop = try EventLoop(configuration: EventLoop.Configuration().with(log: RecordingLog()))
    let call = try loop.runCoroutineThreadsafe { _ in try await sleep(for: .seconds(3_600)) }
    try loop.runUntilComplete { _ in try await turns(3) }
    loop.close()
    #expect(throws: CancellationError.self) { try call.wait() }
  }

  @Test func `TH-05: a loop that is closed, or dropped, before it had its turn`() throws {
    let log = RecordingLog()
    var loop: EventLoop? = try EventLoop(configuration: EventLoop.Configuration().with(log: log))
    let closed = try #require(loop).runCoroutineThreadsafe { _ in 1 }
    loop?.close()
    #expect(throws: LoopClosedError.self) { try closed.wait(timeout: .seconds(5)) }
    loop = try EventLoop(configuration: EventLoop.Configuration().with(log: log))
    // It is kept by those who may wait for it, and so not dropped before them.
    let kept = try #require(loop).runCoroutineThreadsafe { _ in 1 }
    #expect(throws: TimeoutError.self) { try kept.wait(timeout: .milliseconds(5)) }
    #expect(
      try loop?.runUntilComplete { _ in
        try await turns(2)
        return 1
      } == 1)
    #expect(try kept.wait() == 1)
    loop?.close()
  }

  @Test func `TH-05: waits and closings that race leave nobody behind`() throws {
    for number in 0..<200 {
      let loop = try EventLoop(configuration: EventLoop.Configuration().with(log: RecordingLog()))
      let ends = Notes<String>()
      let callers = (0..<3).map { _ in
        TestThread {
          do {
            let call = try loop.runCoroutineThreadsafe { _ in
              try await sleep(for: .microseconds(number % 5 * 20))
              return 1
            }
            ends.add("\(try call.wait(timeout: .seconds(20)))")
          } catch { ends.add("\(error)") }
        }
      }
      try loop.runUntilComplete { _ in try await sleep(for: .microseconds(number % 7 * 20)) }
      loop.close()
      for caller in callers { caller.join() }
      #expect(ends.count == 3)
      #expect(!ends.value.contains { $0.contains("time limit") })
    }
  }

  @Test func `TH-04: an error that nobody waits for is reported`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      do { _ = try loop.runCoroutineThreadsafe { _ in throw Oops() } }
      try await loop.waitAllTasksBlocked()
      #expect(reports.kinds == [.errorNeverRetrieved])
    }
  }
}
