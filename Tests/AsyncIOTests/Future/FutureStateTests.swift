// SPDX-License-Identifier: Apache-2.0
//
// The states of a future, and what reading it gives.

import Synchronization
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct FutureStateTests {
  @Test func `F-01: a new future is pending, and reading it is an invalid-state error`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      #expect(!future.isDone)
      #expect(!future.isCancelled)
      #expect(future.cancellationReason == nil)
      #expect(throws: InvalidStateError(.notDone)) { try future.result() }
      #expect(throws: InvalidStateError(.notDone)) { try future.error() }
      #expect(future.loop === loop)
    }
  }

  @Test func `F-02: a value can be read any number of times, and the error reads as none`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      try future.setResult(42)
      #expect(future.isDone)
      #expect(!future.isCancelled)
      for _ in 0..<3 {
        #expect(try future.result() == 42)
        #expect(try future.error() == nil)
      }
      #expect(try await future.value == 42)
      #expect(try await future.value == 42)
    }
  }

  @Test func `F-02: a future of nothing, and one of an optional, hold their value`() throws {
    try runVirtually { loop in
      let nothing = loop.createFuture(of: Void.self)
      try nothing.setResult()
      try nothing.result()
      let optional = loop.createFuture(of: Int?.self)
      try optional.setResult(nil)
      #expect(try optional.result() == nil)
      #expect(optional.isDone)
    }
  }

  @Test func `F-03: an error is thrown by reading the value, and returned by reading the error`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let boom = Boom()
      try future.setError(boom)
      #expect(future.isDone)
      #expect(!future.isCancelled)
      #expect(try future.error() as? Boom === boom)
      let read = #expect(throws: Boom.self) { try future.result() }
      #expect(read === boom)
      let awaited = await #expect(throws: Boom.self) { try await future.value }
      #expect(awaited === boom)
    }
  }

  @Test func `F-04: a future with a value takes nothing more, and keeps it`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      try future.setResult(1)
      #expect(throws: InvalidStateError(.alreadyDone)) { try future.setResult(2) }
      #expect(throws: InvalidStateError(.alreadyDone)) { try future.setError(Boom()) }
      #expect(throws: InvalidStateError(.alreadyDone)) { try future.setError(CancellationError()) }
      #expect(try future.result() == 1)
      #expect(!future.isCancelled)
    }
  }

  @Test func `F-05: a future with an error takes nothing more, and keeps it`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let first = Boom("first")
      try future.setError(first)
      #expect(throws: InvalidStateError(.alreadyDone)) { try future.setResult(2) }
      #expect(throws: InvalidStateError(.alreadyDone)) { try future.setError(Boom("second")) }
      #expect(!future.cancel())
      #expect(try future.error() as? Boom === first)
    }
  }

  @Test func `F-07: cancelling a future that has ended returns false, and changes nothing`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      try future.setResult(1)
      #expect(!future.cancel("late"))
      #expect(!future.isCancelled)
      #expect(future.cancellationReason == nil)
      #expect(try future.result() == 1)

      let cancelled = loop.createFuture(of: Int.self)
      #expect(cancelled.cancel("first"))
      #expect(!cancelled.cancel("second"))
      #expect(cancelled.cancellationReason?.message == "first")
      #expect(throws: InvalidStateError(.alreadyDone)) { try cancelled.setResult(1) }
      #expect(throws: InvalidStateError(.alreadyDone)) { try cancelled.setError(Boom()) }
      #expect(cancelled.isCancelled)
    }
  }

  @Test func `F-09: a cancel's message and place can be read, and the first one's are kept`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let line: UInt = #line + 1
      future.cancel("enough")
      future.cancel("too late")
      #expect(future.isDone)
      #expect(future.isCancelled)
      let reason = try #require(future.cancellationReason)
      #expect(reason.kind == .call)
      #expect(reason.message == "enough")
      #expect(reason.site == "\(#fileID):\(line)")
      #expect(throws: CancellationError.self) { try future.result() }
      #expect(throws: CancellationError.self) { try future.error() }
      await #expect(throws: CancellationError.self) { try await future.value }
    }
  }

  @Test func `F-09: no message and a nil message are the same`() throws {
    try runVirtually { loop in
      let a = loop.createFuture(of: Int.self)
      let b = loop.createFuture(of: Int.self)
      _ = (a.cancel(), b.cancel(nil))
      #expect(a.cancellationReason == b.cancellationReason)
      #expect(a.cancellationReason?.message == nil)
    }
  }

  @Test func `F-09: a cancellation set as an error ends the future cancelled`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      try future.setError(CancellationError())
      #expect(future.isCancelled)
      #expect(future.cancellationReason?.kind == .body)
    }
  }

  @Test func `F-32: without a running loop there is a clear error`() throws {
    #expect(throws: NoRunningLoopError.self) { try EventLoop.running }
    let loop = try EventLoop()
    let future = loop.createFuture(of: Int.self)
    #expect(future.loop === loop)
    loop.close()
  }

  @Test func `F-38: the description is short in all states, and a cycle does not matter`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      future.addDoneCallback { _ = "\(future)" }
      #expect(future.description.hasPrefix("Future(pending, made at AsyncIOTests/FutureStateTests.swift:"))
      try future.setResult(1)
      #expect(future.description == "Future(done)")
      let failed = loop.createFuture(of: Int.self)
      try failed.setError(Boom(String(repeating: "long", count: 10_000)))
      #expect(failed.description.count < 200)
      #expect(failed.description.hasPrefix("Future(failed: "))
      _ = try failed.error()
      let cancelled = loop.createFuture(of: Int.self)
      cancelled.cancel("enough")
      #expect(cancelled.description.contains("cancelled (call): enough at"))
      let itself = loop.createFuture(of: Future<Int>.self)
      try itself.setResult(future)
      #expect(itself.description == "Future(done)")
      try await turns()
    }
  }

  @Test func `F-38: describing an error that nobody has read does not count as reading it`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      let describe: () throws -> Void = {
        let failed = loop.createFuture(of: Int.self)
        try failed.setError(Boom())
        _ = failed.description
      }
      try describe()
      try await turns()
      #expect(reports.kinds == [.errorNeverRetrieved])
    }
  }

  @Test(.inOrder) func `F-41: a value dies once, with its future, and its deinit may use the loop`() throws {
    final class Noisy: Sendable {
      let atEnd: @Sendable () -> Void
      init(_ atEnd: @escaping @Sendable () -> Void) { self.atEnd = atEnd }
      deinit { atEnd() }
    }
    let deaths = Notes<String>()
    try runVirtually { loop in
      let live: () throws -> Void = {
        let future = loop.createFuture(of: Noisy.self)
        let refused = loop.createFuture(of: Noisy.self)
        future.addDoneCallback { _ = try future.result() }
        try future.setResult(
          Noisy {
            deaths.add("value")
            try? loop.callSoonThreadsafe { _ in deaths.add("callback") }
            loop.createFuture(of: Int.self).cancel()
          })
        refused.cancel()
        #expect(throws: InvalidStateError.self) { try refused.setResult(Noisy { deaths.add("refused") }) }
      }
      try live()
      #expect(deaths.value == ["refused"])
      try await turns(3)
      #expect(deaths.value == ["refused", "value", "callback"])
    }
    #expect(deaths.count == 3)
  }
}
