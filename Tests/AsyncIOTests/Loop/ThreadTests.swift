// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ThreadTests {
  @Test func `L-21: assumeIsolated works in plain callbacks and in tasks of the loop`() throws {
    try runVirtually { loop in
      var count = 0
      let visit = { loop.assumeIsolated { _ in count += 1 } }
      loop.callSoon { visit() }
      loop.createTask { visit() }
      try await turns(3)
      #expect(count == 2)
    }
  }

  @Test func `L-23: a threadsafe call wakes a loop that sleeps, at once`() async throws {
    let thread = try LoopThread.start()
    var delays: [Duration] = []
    for _ in 0..<50 {
      let clock = thread.loop.clock
      let start = clock.now
      delays.append(try await thread.run { loop in start.duration(to: loop.now) })
    }
    await thread.shutdown()
    // One of the best, since the machine has other work to do; a wake-up that is lost hangs.
    #expect(delays.sorted()[4] < .milliseconds(20))
  }

  @Test func `L-24: calls from eight threads all run once, in the order of each thread`() throws {
    let perThread = Amount.of(125_000, usually: 10_000)
    let (orders, descriptor) = try runInRealTime { loop in
      let end = loop.createFuture(of: Void.self)
      let orders = Shared([[Int]](repeating: [], count: 8))
      let left = Shared(8 * perThread)
      let threads = (0..<8).map { thread in
        TestThread {
          for number in 0..<perThread {
            try? loop.callSoonThreadsafe { _ in
              orders.change { $0[thread].append(number) }
              left.change { $0 -= 1 }
              if left.value == 0 { try end.setResult() }
            }
          }
        }
      }
      try await end.value
      for thread in threads { thread.join() }
      return (orders.value, loop.executor.wakeUpDescriptor != nil)
    }
    #expect(orders.allSatisfy { $0 == Array(0..<perThread) })
    #expect(descriptor)
  }

  @Test func `L-25: a threadsafe call from the loop itself runs in the next turn`() throws {
    try runVirtually { loop in
      let order = Notes<Int>()
      try loop.callSoonThreadsafe { loop in
        order.add(1)
        try loop.callSoonThreadsafe { _ in order.add(3) }
        order.add(2)
      }
      try await turns(3)
      #expect(order.value == [1, 2, 3])
    }
  }

  @Test func `L-27: a threadsafe call that races with the closing is refused, or taken, and nothing hangs`()
    throws
  {
    for _ in 0..<Amount.of(1_000_000, optimized: 1_000, usually: 100) {
      let loop = try EventLoop()
      let ready = Shared(false)
      let caller = TestThread {
        do {
          while true {
            try loop.callSoonThreadsafe { _ in }
            ready.change { $0 = true }
          }
        } catch {}
      }
      while !ready.value {}
      loop.close()
      caller.join()
    }
  }

  @Test func `L-33: loops on two threads are independent, and each thread has its own`() async throws {
    let first = try LoopThread.start()
    let second = try LoopThread.start()
    async let one = first.run { loop in
      try await loop.sleep(for: .milliseconds(1))
      return try EventLoop.running === loop && EventLoop.current === loop
    }
    async let two = second.run { loop in
      try await loop.sleep(for: .milliseconds(1))
      return try EventLoop.running === loop && EventLoop.current === loop
    }
    #expect(try await (one, two) == (true, true))
    await first.shutdown()
    #expect(try await second.run { _ in 42 } == 42)
    await second.shutdown()
    #expect(throws: NoRunningLoopError.self) { try EventLoop.running }
  }

  @Test func `L-33: the current loop of a thread can be set, and a loop that runs goes before it`() throws {
    let facts = Notes<Bool>()
    let loop = try EventLoop()
    defer { loop.close() }
    let thread = TestThread {
      var seen = [EventLoop.current == nil]
      EventLoop.current = loop
      seen.append(EventLoop.current === loop)
      seen.append((try? EventLoop.running) == nil)
      seen.append((try? EventLoop.run { other in EventLoop.current === other && other !== loop }) == true)
      seen.append(EventLoop.current === loop)
      EventLoop.current = nil
      seen.append(EventLoop.current == nil)
      facts.change { [seen] in $0 = seen }
    }
    thread.join()
    #expect(facts.value == Array(repeating: true, count: 6))
    #expect(EventLoop.current == nil)
  }

  @Test func `L-34: a new thread with the number of an old one does not hold the old one's loop`() throws {
    let loop = try EventLoop()
    defer { loop.close() }
    let sameNumbers = Shared(0)
    let mistakes = Shared(0)
    for _ in 0..<50 {
      let number = Shared<UInt>(0)
      let old = TestThread {
        number.change { $0 = UInt(pthread_self()) }
        loop.stop()
        try? loop.runForever()
      }
      old.join()
      let new = TestThread {
        if UInt(pthread_self()) == number.value { sameNumbers.change { $0 += 1 } }
        if loop.executor.isHeldByThisThread || EventLoop.current != nil { mistakes.change { $0 += 1 } }
      }
      new.join()
    }
    // The kernel of the test: glibc gives a stack, and so the number, to the next thread.
    #expect(sameNumbers.value > 0)
    #expect(mistakes.value == 0)
  }

  @Test func `L-48: jobs from another thread run on the loop's thread, in order`() async throws {
    let thread = try LoopThread.start()
    let loop = thread.loop
    let order = Notes<Int>()
    let elsewhere = Shared(0)
    let tasks = (0..<1_000).map { number in
      Task(executorPreference: loop.executor) {
        if !loop.executor.isHeldByThisThread { elsewhere.change { $0 += 1 } }
        order.add(number)
      }
    }
    for task in tasks { await task.value }
    #expect(order.value == Array(0..<1_000))
    #expect(elsewhere.value == 0)
    await thread.shutdown()
  }

  @Test func `L-48: jobs that race with the closing all run`() async throws {
    for _ in 0..<50 {
      let loop = try EventLoop()
      let started = Shared(false)
      let done = Shared(0)
      let made = Notes<Task<Void, Never>>()
      let maker = TestThread {
        for _ in 0..<100 {
          let task = Task(executorPreference: loop.executor) { done.change { $0 += 1 } }
          made.add(task)
          started.change { $0 = true }
        }
      }
      while !started.value {}
      loop.closeNow()
      maker.join()
      for task in made.value { await task.value }
      #expect(done.value == 100)
    }
  }
}
