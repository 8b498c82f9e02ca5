// SPDX-License-Identifier: Apache-2.0
//
// Futures that other threads end.

import Glibc
import Synchronization
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct FutureThreadingTests {
  private static let threads = 8

  @Test func `8 threads end 2,000 futures, and all waiters and callbacks run on the loop`() throws {
    try runInRealTime { loop in
      let home = thisThread
      let futures = (0..<2_000).map { _ in loop.createFuture(of: Int.self) }
      let counter = Counter()
      for future in futures {
        future.addDoneCallback { counter.value += thisThread == home ? 1 : 1_000_000 }
      }
      let readers = futures.map { future in
        loop.createTask {
          let value = try await future.value
          return thisThread == home ? value : -1
        }
      }
      try await turns()
      let threads = (0..<Self.threads).map { offset in
        TestThread {
          for index in stride(from: offset, to: futures.count, by: Self.threads) {
            try? futures[index].setResult(index)
          }
        }
      }
      for (index, reader) in readers.enumerated() { #expect(try await reader.value == index) }
      #expect(counter.value == 2_000)
      for thread in threads { thread.join() }
    }
  }

  @Test func `F-04: of 8 threads that end one future, one wins`() throws {
    try runInRealTime { loop in
      for _ in 0..<50 {
        let future = loop.createFuture(of: Int.self)
        let winners = Notes<String>()
        let told = Counter()
        future.addDoneCallback { told.value += 1 }
        let flag = StartFlag()
        let threads = (0..<Self.threads).map { number in
          TestThread {
            flag.wait()
            switch number % 3 {
            case 0: if (try? future.setResult(number)) != nil { winners.add("\(number)") }
            case 1: if (try? future.setError(Boom("\(number)"))) != nil { winners.add("\(number)") }
            default: if future.cancel("\(number)") { winners.add("\(number)") }
            }
          }
        }
        flag.raise()
        let seen =
          switch await outcome(of: future) {
          case "cancelled": future.cancellationReason?.message ?? "none"
          case let other: other
          }
        for thread in threads { thread.join() }
        #expect(winners.value == [seen])
        try await turns(2)
        #expect(told.value == 1)
      }
    }
  }

  @Test(.inOrder) func `F-10: a callback that is added after another thread has ended the future runs last`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let log = Log()
      future.addDoneCallback { log.add("first") }
      loop.createTask {
        _ = try await future.value
        log.add("task")
      }
      try await turns()
      TestThread { try? future.setResult(1) }.join()
      #expect(future.isDone)
      future.addDoneCallback { log.add("last") }
      try await turns(3)
      #expect(log.entries == ["first", "task", "last"])
    }
  }

  @Test func `F-15: a callback can be removed after another thread has ended the future`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let log = Log()
      let token = future.addDoneCallback { log.add("removed") }
      future.addDoneCallback { log.add("kept") }
      TestThread { try? future.setResult(1) }.join()
      #expect(future.removeDoneCallback(token) == true)
      #expect(future.removeDoneCallback(token) == false)
      try await turns(3)
      #expect(log.entries == ["kept"])
    }
  }

  @Test func `T-50: another thread ends the future, and the task is cancelled before it is told`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let task = loop.createTask { try await future.value }
      try await turns()
      TestThread { try? future.setResult(1) }.join()
      #expect(task.cancel())
      #expect(await outcome(of: task) == "cancelled")
      #expect(try future.result() == 1)
    }
  }

  @Test func `reading a future's state on the loop is safe while other threads cancel it`() throws {
    try runInRealTime { loop in
      for _ in 0..<300 {
        let future = loop.createFuture(of: Int.self)
        let flag = StartFlag()
        let thread = TestThread {
          flag.wait()
          future.cancel("from another thread")
        }
        flag.raise()
        while !future.isDone {
          let message = future.cancellationReason?.message
          #expect(message == nil || message == "from another thread")
          _ = future.description
        }
        #expect(future.cancellationReason?.message == "from another thread")
        thread.join()
      }
    }
  }

  @Test func `T-31: 8 threads cancel tasks, and each hears it once`() throws {
    try runInRealTime { loop in
      let heard = Counter()
      let tasks = (0..<800).map { _ in
        loop.createTask {
          do {
            try await loop.createFuture(of: Void.self).value
          } catch {
            heard.value += 1
            try await turns()
          }
        }
      }
      try await turns()
      let threads = (0..<Self.threads).map { offset in
        TestThread {
          for index in stride(from: offset, to: tasks.count, by: Self.threads) { tasks[index].cancel() }
        }
      }
      for task in tasks { try await task.value }
      #expect(heard.value == 800)
      #expect(tasks.allSatisfy { $0.cancelling == 1 })
      for thread in threads { thread.join() }
    }
  }
}

/// Lets threads go at once.
final class StartFlag: Sendable {
  private let isRaised = Atomic(false)
  func raise() { isRaised.store(true, ordering: .releasing) }
  func wait() { while !isRaised.load(ordering: .acquiring) { sched_yield() } }
}
