// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ExceptionTests {
  @Test(arguments: [false, true])
  func `L-15: a callback that throws is reported, and the loop goes on`(debug: Bool) throws {
    try runVirtually(.init().with(debug: debug)) { loop in
      var reports: [ExceptionContext] = []
      var order: [String] = []
      loop.exceptionHandler = { reports.append($0) }
      loop.callSoon { throw Oops(number: 1) }
      loop.callSoon { order.append("soon") }
      loop.callLater(.milliseconds(1)) { throw Oops(number: 2) }
      loop.callLater(.milliseconds(1)) { order.append("later") }
      let future = loop.createFuture(of: Void.self)
      future.addDoneCallback { throw Oops(number: 3) }
      loop.callLater(.milliseconds(2)) { try future.setResult() }
      try loop.callSoonThreadsafe { _ in throw Oops(number: 4) }
      try await loop.sleep(for: .milliseconds(3))
      #expect(reports.map(\.kind) == Array(repeating: .callbackFailed, count: 4))
      #expect(Set(reports.compactMap { ($0.error as? Oops)?.number }) == [1, 2, 3, 4])
      #expect(order == ["soon", "later"])
      #expect(reports.allSatisfy { $0.description.contains("callback-failed: a callback threw: Oops") })
      let first = reports.first { ($0.error as? Oops)?.number == 1 }
      if debug { #expect(first?.creationSite?.contains("ExceptionTests.swift:") == true) }
    }
  }

  @Test func `L-15: a reader that throws is reported, and stays`() throws {
    try runVirtually { loop in
      let pipe = try DescriptorPair.pipe()
      let end = loop.createFuture(of: Void.self)
      var reports = 0
      var calls = 0
      loop.exceptionHandler = { _ in reports += 1 }
      try loop.addReader(pipe.near) {
        calls += 1
        if calls == 3 { try end.setResult() }
        throw Oops()
      }
      try pipe.send()
      try await end.value
      loop.removeReader(pipe.near)
      #expect(calls == 3 && reports == 3)
    }
  }

  @Test func `L-16: a handler that throws leaves both errors to the log, and the loop goes on`() throws {
    try inEachOrder { configuration in
      let log = RecordingLog()
      let wentOn = try runVirtually(configuration.with(log: log)) { loop in
        var wentOn = false
        loop.exceptionHandler = { _ in throw Oops(number: 2) }
        loop.callSoon { throw Oops(number: 1) }
        loop.callSoon { wentOn = true }
        try await turns(2)
        return wentOn
      }
      #expect(wentOn)
      #expect(log.kinds == ["callback-failed", "handler-failed"])
      #expect(log.lines.first?.contains("Oops(number: 1)") == true)
      #expect(log.lines.last?.contains("Oops(number: 2)") == true)
    }
  }

  @Test func `L-16: the handler may be exchanged, and taken away, from the loop's code`() throws {
    try inEachOrder { configuration in
      let log = RecordingLog()
      let seen = try runVirtually(configuration.with(log: log)) { loop in
        var seen: [String] = []
        loop.exceptionHandler = { _ in
          seen.append("first")
          loop.exceptionHandler = { _ in
            seen.append("second")
            loop.exceptionHandler = nil
          }
        }
        for number in 0..<3 { loop.callSoon { throw Oops(number: number) } }
        try await turns(2)
        return seen
      }
      #expect(seen == ["first", "second"])
      #expect(log.entries.count == 1)
    }
  }

  @Test func `L-17: with no handler at all a report is one entry of the log`() throws {
    try inEachOrder { configuration in
      let log = RecordingLog()
      try runVirtually(configuration.with(log: log)) { loop in
        loop.callSoon { throw Oops(number: 7) }
        try await turns(2)
      }
      #expect(log.kinds == ["callback-failed"])
      #expect(log.lines == ["callback-failed: a callback threw: Oops(number: 7)"])
    }
  }

  @TaskLocal static var word = "none"

  @Test func `L-19: the handler runs on the loop, inside of the failing callback`() throws {
    try runVirtually { loop in
      var isOnLoop: [Bool] = []
      loop.exceptionHandler = { _ in
        loop.assertIsolated()
        isOnLoop.append((try? EventLoop.running) === loop)
        loop.callSoon { isOnLoop.append(true) }
      }
      loop.callSoon { throw Oops() }
      try await turns(3)
      #expect(isOnLoop == [true, true])
    }
  }

  @Test(.inOrder) func `a report made by other code goes the same way`() throws {
    let kinds = try runVirtually { loop in
      var kinds: [ExceptionContext.Kind] = []
      loop.exceptionHandler = { kinds.append($0.kind) }
      loop.reportException(ExceptionContext(.slowCallback, "words"))
      loop.reportLater(ExceptionContext(.futureAbandoned, "words"))
      let thread = TestThread { loop.reportLater(ExceptionContext(.loopNotClosed, "words")) }
      thread.join()
      try await turns(3)
      return kinds
    }
    #expect(kinds == [.slowCallback, .futureAbandoned, .loopNotClosed])
  }

  @Test func `a report on a closed loop goes to the log`() throws {
    let log = RecordingLog()
    let loop = try EventLoop(configuration: .virtual().with(log: log))
    loop.close()
    loop.reportLater(ExceptionContext(.errorNeverRetrieved, "words"))
    #expect(log.kinds == ["error-never-retrieved"])
    #expect(log.lines == ["error-never-retrieved: words"])
  }
}
