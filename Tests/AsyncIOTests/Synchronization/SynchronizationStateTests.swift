// SPDX-License-Identifier: Apache-2.0
//
// How they describe themselves, and that they stay on their loop: SY-09, SY-35, QU-18.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct SynchronizationStateTests {
  @Test func `SY-35: a lock, an event and a semaphore describe themselves in each state`() throws {
    try runVirtually { loop in
      let lock = AsyncLock()
      #expect("\(lock)" == "AsyncLock(free)")
      try await lock.acquire()
      #expect("\(lock)" == "AsyncLock(locked)")
      let event = AsyncEvent()
      #expect("\(event)" == "AsyncEvent(not set)")
      let semaphore = try AsyncSemaphore(value: 1)
      #expect("\(semaphore)" == "AsyncSemaphore(value 1)")
      let bounded = try AsyncBoundedSemaphore(value: 2)
      #expect("\(bounded)" == "AsyncBoundedSemaphore(value 2, of 2)")
      try await semaphore.acquire()
      let tasks = loop.tasks(0..<6) { number in
        switch number % 3 {
        case 0: try await lock.withLock {}
        case 1: try await event.waitUntilSet()
        default: try await semaphore.acquire()
        }
      }
      try await turns(3)
      #expect("\(lock)" == "AsyncLock(locked, 2 waiting)")
      #expect("\(event)" == "AsyncEvent(not set, 2 waiting)")
      #expect("\(semaphore)" == "AsyncSemaphore(value 0, 2 waiting)")
      event.set()
      #expect("\(event)" == "AsyncEvent(set)")
      try lock.release()
      semaphore.release()
      semaphore.release()
      _ = try await wait(tasks)
    }
  }

  @Test func `SY-35: a condition, a barrier and a queue describe themselves in each state`() throws {
    try runVirtually { loop in
      let condition = AsyncCondition()
      #expect("\(condition)" == "AsyncCondition(free)")
      let barrier = try AsyncBarrier(parties: 3)
      #expect("\(barrier)" == "AsyncBarrier(0 of 3)")
      let queue = try AsyncQueue<Int>(capacity: 1)
      #expect("\(queue)" == "AsyncQueue(0 of 1)")
      #expect("\(AsyncQueue<Int>())" == "AsyncQueue(0)")
      let tasks = loop.tasks(0..<3) { number in
        switch number {
        case 0: try await condition.withLock { try await condition.waitUntilNotified() }
        case 1: try await barrier.waitForAll()
        default: _ = try await queue.get()
        }
      }
      try await turns(3)
      #expect("\(condition)" == "AsyncCondition(free, 1 waiting)")
      #expect("\(barrier)" == "AsyncBarrier(1 of 3)")
      #expect("\(queue)" == "AsyncQueue(0 of 1, 1 waiting to get)")
      barrier.abort()
      #expect("\(barrier)" == "AsyncBarrier(broken)")
      try queue.putNoWait(1)
      try await condition.withLock {
        #expect("\(condition)" == "AsyncCondition(locked, 1 waiting)")
        try condition.notify()
      }
      _ = try await wait(tasks)
      try queue.putNoWait(2)
      let putter = loop.createTask { try await queue.put(3) }
      try await turns()
      #expect("\(queue)" == "AsyncQueue(1 of 1, 1 waiting to put, 2 unfinished)")
      queue.shutdown()
      #expect("\(queue)" == "AsyncQueue(1 of 1, 2 unfinished, shut down)")
      _ = try await wait([putter])
    }
  }

  @Test(.inOrder) func `SY-09, QU-18: what waits on a second loop is an error`() throws {
    let lock = Smuggled(AsyncLock())
    let queue = Smuggled(AsyncQueue<Int>())
    let event = Smuggled(AsyncEvent())
    try runVirtually { _ in
      try await lock.value.withLock {}
      try await queue.value.put(1)
      event.value.set()
    }
    try runVirtually { _ in
      await #expect(throws: WrongLoopError.self) { try await lock.value.acquire() }
      await #expect(throws: WrongLoopError.self) { try await queue.value.put(1) }
      await #expect(throws: WrongLoopError.self) { try await queue.value.get() }
      await #expect(throws: WrongLoopError.self) { try await queue.value.join() }
      await #expect(throws: WrongLoopError.self) { try await event.value.waitUntilSet() }
    }
    #expect(queue.value.count == 1)
    #expect(!lock.value.isLocked)
  }

  @Test func `SY-09: what waits where no loop runs is an error`() async throws {
    await #expect(throws: NoRunningLoopError.self) { try await AsyncLock().acquire() }
    await #expect(throws: NoRunningLoopError.self) { try await AsyncQueue<Int>().put(1) }
    await #expect(throws: NoRunningLoopError.self) { try await AsyncEvent().waitUntilSet() }
    await #expect(throws: NoRunningLoopError.self) { try await AsyncBarrier(parties: 2).waitForAll() }
    await #expect(throws: NoRunningLoopError.self) { try await AsyncSemaphore(value: 2).acquire() }
  }

  /// A call from a thread that does not run the loop, and what is said of it.
  enum Intrusion: String, CaseIterable, Codable {
    case setEvent = "AsyncEvent.set: it belongs to another event loop, or this thread does not run that"
    case clearEvent = "AsyncEvent.clear: it belongs to another event loop"
    case releaseLock = "AsyncLock: it belongs to another event loop"
    case releaseSemaphore = "AsyncSemaphore.release: it belongs to another event loop"
    case resetBarrier = "AsyncBarrier.reset: it belongs to another event loop"
    case abortBarrier = "AsyncBarrier.abort: it belongs to another event loop"
    case putNoWait = "AsyncQueue.putNoWait: it belongs to another event loop"
    case getNoWait = "AsyncQueue.getNoWait: it belongs to another event loop"
    case taskDone = "AsyncQueue.taskDone: it belongs to another event loop"
    case shutdown = "AsyncQueue.shutdown: it belongs to another event loop"
  }

  @Test(.inOrder, arguments: Intrusion.allCases)
  func `SY-09, QU-18: a call that does not wait, forced past the compiler, ends the program, and says why`(
    intrusion: Intrusion
  ) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [intrusion = intrusion as Intrusion] in
      try Self.intrude(intrusion)
    }
    let words = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(words.contains(intrusion.rawValue))
  }

  private static func intrude(_ intrusion: Intrusion) throws {
    let event = Smuggled(AsyncEvent())
    let lock = Smuggled(AsyncLock())
    let semaphore = Smuggled(try AsyncSemaphore(value: 1))
    let barrier = Smuggled(try AsyncBarrier(parties: 2))
    let queue = Smuggled(AsyncQueue<Int>())
    // The traits of a test do not reach into the process that ends.
    try Schedules.$seeds.withValue(0..<0) {
      try runVirtually { _ in
        event.value.set()
        try await lock.value.acquire()
        semaphore.value.release()
        barrier.value.reset()
        try await queue.value.put(1)
      }
    }
    switch intrusion {
    case .setEvent: event.value.set()
    case .clearEvent: event.value.clear()
    case .releaseLock: try lock.value.release()
    case .releaseSemaphore: semaphore.value.release()
    case .resetBarrier: barrier.value.reset()
    case .abortBarrier: barrier.value.abort()
    case .putNoWait: try queue.value.putNoWait(1)
    case .getNoWait: _ = try queue.value.getNoWait()
    case .taskDone: try queue.value.taskDone()
    case .shutdown: queue.value.shutdown()
    }
  }
}
