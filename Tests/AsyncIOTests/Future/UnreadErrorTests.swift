// SPDX-License-Identifier: Apache-2.0
//
// Errors that nobody reads are reported, once.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct UnreadErrorTests {
  /// Ends a future with an error, lets somebody have it, and drops it.
  private func fail(
    _ loop: isolated EventLoop, _ error: any Error, _ use: (Future<Int>) throws -> Void = { _ in }
  ) throws -> UInt {
    let line: UInt = #line + 1
    let future = loop.createFuture(of: Int.self)
    try future.setError(error)
    try use(future)
    return line
  }

  @Test func `F-21: an error that nobody reads is reported once, with the place of creation`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      let boom = Boom()
      let line = try fail(loop, boom)
      #expect(reports.count == 0)
      try await turns(3)
      #expect(reports.kinds == [.errorNeverRetrieved])
      let report = try #require(reports.value.first)
      #expect(report.error as? Boom === boom)
      #expect(report.creationSite == "\(#fileID):\(line)")
      #expect(report.taskName == nil)
    }
  }

  @Test func `F-21: the error of a task that nobody reads is reported once, with its name`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      let boom = Boom()
      let line: UInt = #line + 1
      loop.createTask(name: "unlucky") { throw boom }
      try await turns(3)
      #expect(reports.kinds == [.errorNeverRetrieved])
      let report = try #require(reports.value.first)
      #expect(report.error as? Boom === boom)
      #expect(report.taskName == "unlucky")
      #expect(report.creationSite == "\(#fileID):\(line)")
    }
  }

  @Test func `F-21: an error that is left when the body of run ends is reported before the loop closes`()
    throws
  {
    let reports = try runVirtually { loop in
      let reports = Reports(of: loop)
      _ = try fail(loop, Boom())
      loop.createTask { throw Boom() }
      return reports
    }
    #expect(reports.kinds.filter { $0 == .errorNeverRetrieved }.count >= 1)
    #expect(reports.count <= 2)
  }

  @Test func `F-21: a future that goes on another thread is reported on the loop`() throws {
    try runVirtually { loop in
      let threads = Notes<UInt>()
      let told = loop.createFuture(of: Void.self)
      loop.exceptionHandler = { _ in
        threads.add(thisThread)
        try told.setResult()
      }
      let thread = TestThread { [unowned loop] in
        let future = loop.createFuture(of: Int.self)
        try? future.setError(Boom())
      }
      thread.join()
      try await told.value
      try await turns(3)
      #expect(threads.value == [thisThread])
    }
  }

  @Test func `F-22: an error that was read once is not reported`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      _ = try fail(loop, Boom()) { _ = try $0.error() }
      _ = try fail(loop, Boom()) { future in #expect(throws: Boom.self) { try future.result() } }
      let task = loop.createTask {
        let future = loop.createFuture(of: Int.self)
        try future.setError(Boom())
        _ = try? await future.value
      }
      try await task.value
      try await turns(3)
      #expect(reports.count == 0)
    }
  }

  @Test func `F-22: asking whether it is done is not reading its error`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      _ = try fail(loop, Boom()) { #expect($0.isDone && !$0.isCancelled && $0.cancellationReason == nil) }
      try await turns(3)
      #expect(reports.count == 1)
    }
  }

  @Test func `F-23: awaited by a task that fails of it, the report is the task's alone`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      let start: () -> Void = {
        let future = loop.createFuture(of: Int.self)
        loop.createTask(name: "reader") { _ = try await future.value }
        loop.callSoon { try future.setError(Boom()) }
      }
      start()
      try await turns(4)
      #expect(reports.value.map(\.taskName) == ["reader"])
    }
  }

  @Test func `F-23: along a chain of tasks only the last one is reported`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      let start: () -> Void = {
        let a = loop.createTask(name: "a") { throw Boom() }
        let b = loop.createTask(name: "b") { try await a.value }
        loop.createTask(name: "c") { try await b.value }
      }
      start()
      try await turns(6)
      #expect(reports.value.map(\.taskName) == ["c"])
    }
  }

  @Test func `F-24: a cancelled future or task that nobody reads is not reported`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      let cancelAll: () -> Void = {
        loop.createFuture(of: Int.self).cancel()
        loop.createTask { try await sleep(for: .seconds(1)) }.cancel()
        loop.createTask { throw CancellationError() }
      }
      cancelAll()
      try await turns(3)
      #expect(reports.count == 0)
      #expect(loop.allTasks.count == 1)
    }
  }

  @Test func `F-25: a value that nobody reads is not reported`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      let succeed: () throws -> Void = {
        try loop.createFuture(of: Int.self).setResult(1)
        loop.createTask { 1 }
      }
      try succeed()
      try await turns(3)
      #expect(reports.count == 0)
    }
  }

  @Test func `F-26: the error outlives its future in the handler, and is not reported again`() throws {
    /// An error that finds its future.
    final class Traceable: Error {
      let future = Shared<@Sendable () -> Future<Int>?>({ nil })
    }
    try runVirtually { loop in
      let reports = Notes<any Error>()
      let found = Counter()
      loop.exceptionHandler = { context in
        guard let error = context.error as? Traceable else { return }
        reports.add(error)
        if let future = error.future.value() {
          found.value += 1
          try future.setResult(1)
        }
      }
      let start: () throws -> Void = {
        let error = Traceable()
        let future = loop.createFuture(of: Int.self)
        error.future.change { $0 = { [weak future] in future } }
        try future.setError(error)
      }
      try start()
      try await turns(3)
      #expect(reports.count == 1)
      #expect(found.value == 0)
    }
  }

  @Test func `F-26: a handler may put the error in another future, which somebody reads`() throws {
    try runVirtually { loop in
      let handled = Counter()
      let next = loop.createFuture(of: Int.self)
      loop.exceptionHandler = { context in
        handled.value += 1
        try next.setError(context.error ?? Boom("none"))
      }
      let boom = Boom()
      _ = try fail(loop, boom)
      let error = await #expect(throws: Boom.self) { try await next.value }
      #expect(error === boom)
      try await turns(3)
      #expect(handled.value == 1)
    }
  }

  @Test func `F-43: a pending future that goes is silent`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      let drop: () -> Void = {
        let future = loop.createFuture(of: Int.self)
        future.addDoneCallback {}
      }
      drop()
      try await turns(3)
      #expect(reports.count == 0)
    }
  }
}
