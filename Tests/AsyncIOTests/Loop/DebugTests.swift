// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 22: reports of what nobody reads, each once, each under its key.
//
// Not offered yet: DB-02 (stack and awaited-by graph), DB-04 (instrument hooks).

import AsyncIO
import AsyncIOTesting
import Logging
import Testing

@Suite(.oneAtATime) struct DebugTests {
  private struct Failure: Error {}

  /// Runs a body on a loop whose reports go to a list, and looks at that when the loop is closed.
  private func run(
    debug: Bool = false, _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void,
    reports check: ([ExceptionContext]) -> Void
  ) throws {
    try inEachOrder { configuration in
      let log = RecordingLog()
      let reports = Reports()
      try runVirtually(configuration.with(debug: debug).with(log: log)) { loop in
        loop.exceptionHandler = { reports.add($0) }
        try await body(loop)
      }
      #expect(log.kinds == [])
      check(reports.value)
    }
  }

  @Test func `DB-03: the keys of the kinds are stable`() {
    let keys: [ExceptionContext.Kind: String] = [
      .callbackFailed: "callback-failed", .errorNeverRetrieved: "error-never-retrieved",
      .taskDestroyedPending: "task-destroyed-pending", .futureAbandoned: "future-abandoned",
      .scheduledOnClosedLoop: "scheduled-on-closed-loop", .slowCallback: "slow-callback",
      .handlerFailed: "handler-failed", .loopNotClosed: "loop-not-closed",
      .connectionNotClosed: "connection-not-closed", .endpointNotClosed: "endpoint-not-closed",
      .connectionHandlerFailed: "connection-handler-failed", .acceptFailed: "accept-failed",
    ]
    for (kind, key) in keys {
      #expect(kind.rawValue == key)
      #expect("\(kind)" == key)
      #expect(ExceptionContext.Kind(rawValue: key) == kind)
    }
  }

  @Test func `DB-03: a callback that throws is reported once`() throws {
    try run { loop in
      loop.callSoon { throw Failure() }
      loop.callLater(.zero) { throw Failure() }
      try await sleep(for: .milliseconds(1))
    } reports: { reports in
      #expect(reports.map(\.kind) == [.callbackFailed, .callbackFailed])
      #expect(reports.allSatisfy { $0.error is Failure && $0.creationSite == nil })
    }
  }

  @Test func `DB-03: an error that nobody reads is reported once, with where it was made`() throws {
    let line: UInt = #line + 2
    try run { loop in
      try loop.createFuture(of: Int.self).setError(Failure())
      loop.createTask(name: "unread") { throw Failure() }
      // Read ones are not reported.
      let read = loop.createTask { throw Failure() }
      await #expect(throws: Failure.self) { try await read.value }
      let seen = loop.createFuture(of: Int.self)
      try seen.setError(Failure())
      #expect(try seen.error() is Failure)
      try await sleep(for: .milliseconds(1))
    } reports: { reports in
      #expect(reports.map(\.kind) == [.errorNeverRetrieved, .errorNeverRetrieved])
      #expect(reports.map(\.taskName) == [nil, "unread"])
      #expect(
        reports.map(\.creationSite) == [
          "AsyncIOTests/DebugTests.swift:\(line)", "AsyncIOTests/DebugTests.swift:\(line + 1)",
        ])
    }
  }

  @Test func `DB-03: a task that is pending when its loop is closed is reported once`() throws {
    try inEachOrder { configuration in
      let log = RecordingLog()
      let reports = Reports()
      let loop = try EventLoop(configuration: configuration.with(log: log))
      try loop.runUntilComplete { loop in
        loop.exceptionHandler = { reports.add($0) }
        loop.createTask(name: "forever") { try await sleep(for: .seconds(3_600)) }
        try await turns(2)
      }
      loop.close()
      #expect(reports.value.map(\.kind) == [.taskDestroyedPending])
      #expect(reports.value.map(\.taskName) == ["forever"])
      #expect(log.kinds == [])
    }
  }

  @Test func `DB-03: a future that is awaited from outside when its loop is closed is reported once`()
    async throws
  {
    let log = RecordingLog()
    let reports = Reports()
    let loop = try EventLoop(configuration: EventLoop.Configuration().with(log: log))
    let future = loop.createFuture(of: Int.self)
    let outside = try Self.awaitOutside(future, on: loop, reports)
    LoopCloser.close(loop)
    await #expect(throws: LoopClosedError.self) { try await outside.value }
    #expect(reports.value.map(\.kind) == [.futureAbandoned])
    #expect(log.kinds == [])
  }

  /// Runs the loop until a Swift task, which is none of the loop's, waits for the future.
  private static func awaitOutside(
    _ future: Future<Int>, on loop: EventLoop, _ reports: Reports
  ) throws -> Task<Int, any Error> {
    try loop.runUntilComplete { loop in
      loop.exceptionHandler = { reports.add($0) }
      // With the loop as its executor the wait begins at once; else it would come by the pool, some time later.
      let task = Task(executorPreference: loop.executor) {
        try await future.value
      }
      for _ in 0..<5 { try await sleep(for: .zero) }
      return task
    }
  }

  @Test func `DB-03: scheduling on a closed loop is reported once`() async throws {
    let log = RecordingLog()
    let loop = try EventLoop(configuration: EventLoop.Configuration().with(log: log))
    LoopCloser.close(loop)
    await loop.callSoon {}
    #expect(log.kinds == ["scheduled-on-closed-loop"])
    await loop.callLater(.seconds(1)) {}
    #expect(log.kinds.count == 2)
    let task = await loop.createTask(name: "late") {}
    #expect(task.isCancelled)
    #expect(log.kinds == Array(repeating: "scheduled-on-closed-loop", count: 3))
    #expect(log.entries.last?.line.contains("late") == true)
  }

  @Test func `DB-03: a slow callback is reported once, in debug mode`() throws {
    for debug in [true, false] {
      let line: UInt = #line + 3
      try run(debug: debug) { loop in
        #expect(loop.debug == debug)
        loop.callSoon { try loop.elapse(.milliseconds(100)) }
        loop.callSoon { try loop.elapse(.milliseconds(99)) }
        try await sleep(for: .zero)
        try await sleep(for: .zero)
        loop.slowCallbackDuration = .seconds(5)
        loop.callSoon { try loop.elapse(.milliseconds(4_999)) }
        try await sleep(for: .zero)
        try await sleep(for: .zero)
      } reports: { reports in
        #expect(reports.map(\.kind) == (debug ? [.slowCallback] : []))
        #expect(reports.map(\.creationSite) == (debug ? ["AsyncIOTests/DebugTests.swift:\(line)"] : []))
      }
    }
  }

  @Test func `DB-03: a slow step of a task is reported once, in debug mode`() throws {
    try run(debug: true) { loop in
      let task = loop.createTask {
        try loop.elapse(.seconds(1))
        try await sleep(for: .zero)
      }
      try await task.value
    } reports: { reports in
      #expect(reports.map(\.kind) == [.slowCallback])
    }
  }

  @Test func `DB-03: a handler that throws is reported once, beside what it was told`() throws {
    try inEachOrder { configuration in
      let log = RecordingLog()
      try runVirtually(configuration.with(log: log)) { loop in
        loop.exceptionHandler = { _ in throw Failure() }
        loop.callSoon { throw Failure() }
        try await sleep(for: .zero)
        try await sleep(for: .zero)
      }
      #expect(log.kinds == ["callback-failed", "handler-failed"])
      #expect(log.entries.allSatisfy { $0.level == .error })
    }
  }

  @Test func `DB-03: a loop that is released without close is reported once`() throws {
    try inEachOrder { configuration in
      let log = RecordingLog()
      var loop: EventLoop? = try EventLoop(configuration: configuration.with(log: log))
      #expect(loop?.isClosed == false)
      loop = nil
      #expect(log.kinds == ["loop-not-closed"])
      let closed = RecordingLog()
      loop = try EventLoop(configuration: configuration.with(log: closed))
      loop?.close()
      loop = nil
      #expect(closed.kinds == [])
    }
  }

  @Test func `DB-03: without a handler a report is one entry of the log`() throws {
    try inEachOrder { configuration in
      let log = RecordingLog()
      try runVirtually(configuration.with(log: log)) { loop in
        loop.callSoon { throw Failure() }
        try await sleep(for: .zero)
        try await sleep(for: .zero)
      }
      #expect(log.kinds == ["callback-failed"])
      #expect(log.lines.first?.contains("Failure") == true)
    }
  }

  @Test func `DB-01: in debug mode a report of a callback says where it was made`() throws {
    let line: UInt = #line + 2
    try run(debug: true) { loop in
      loop.callSoon { throw Failure() }
      loop.callLater(.milliseconds(1)) { throw Failure() }
      try await sleep(for: .milliseconds(3))
    } reports: { reports in
      #expect(
        reports.map(\.creationSite) == [
          "AsyncIOTests/DebugTests.swift:\(line)", "AsyncIOTests/DebugTests.swift:\(line + 1)",
        ])
    }
  }

  @Test func `DB-01: futures and tasks know where they were made`() throws {
    try runVirtually { loop in
      let line: UInt = #line + 1
      let future = loop.createFuture(of: Int.self)
      #expect(future.description.contains("AsyncIOTests/DebugTests.swift:\(line)"))
      let task = loop.createTask { try await future.value }
      #expect(task.description.contains("AsyncIOTests/DebugTests.swift:\(line + 2)"))
      future.cancel()
    }
  }
}
