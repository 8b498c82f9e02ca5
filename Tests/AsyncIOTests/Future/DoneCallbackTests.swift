// SPDX-License-Identifier: Apache-2.0
//
// Done callbacks: order, removal, errors.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct DoneCallbackTests {
  enum End: CaseIterable { case value, error, cancel }

  @Test(.inOrder, arguments: End.allCases)
  func `F-10: callbacks run in order of adding, each once, in the next turn`(end: End) throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let log = Log()
      for name in ["a", "b", "c"] { future.addDoneCallback { log.add(name) } }
      loop.callSoon { log.add("before") }
      switch end {
      case .value: try future.setResult(1)
      case .error: try future.setError(Boom())
      case .cancel: future.cancel()
      }
      loop.callSoon { log.add("after") }
      #expect(log.entries.isEmpty)
      try await turns(3)
      #expect(log.entries == ["before", "a", "b", "c", "after"])
      _ = try? future.error()
    }
  }

  @Test(.inOrder) func `F-10: callbacks and waiting tasks are told in one order`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let log = Log()
      future.addDoneCallback { log.add("callback 1") }
      loop.createTask {
        _ = try await future.value
        log.add("task")
      }
      try await turns()
      future.addDoneCallback { log.add("callback 2") }
      try future.setResult(1)
      try await turns()
      #expect(log.entries == ["callback 1", "task", "callback 2"])
    }
  }

  @Test func `what a future knows of its callbacks goes with them`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      for _ in 0..<100 { future.addDoneCallback {} }
      try future.setResult(1)
      #expect(future.observers.count == 100)
      try await turns(2)
      #expect(future.observers.count == 0)
      // Two chains, in step: one callback waits at any time.
      var runs = 0
      var chain: () -> Void = {}
      chain = {
        runs += 1
        #expect(future.observers.count <= 4)
        if runs < 1_000 { future.addDoneCallback(isolation: loop) { chain() } }
      }
      for _ in 0..<2 { future.addDoneCallback { chain() } }
      while runs < 1_000 { try await turns() }
      try await turns()
      // Those that are removed count, too.
      let tokens = (0..<100).map { _ in future.addDoneCallback(isolation: loop) { Issue.record("it was removed") } }
      for token in tokens { future.removeDoneCallback(token) }
      #expect(future.observers.count == 0)
    }
  }

  @Test(.inOrder) func `F-11: a callback added to a future that has ended runs in the next turn`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      try future.setResult(1)
      let log = Log()
      loop.callSoon { log.add("before") }
      future.addDoneCallback { log.add("callback") }
      loop.callSoon { log.add("after") }
      #expect(log.entries.isEmpty)
      try await turns()
      #expect(log.entries == ["before", "callback", "after"])
    }
  }

  @Test func `F-12: a closure added five times runs five times, and is removed five times`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let other = loop.createFuture(of: Int.self)
      let counter = Counter()
      let callback = { counter.value += 1 }
      for _ in 0..<5 { future.addDoneCallback(callback) }
      var tokens: [DoneCallbackToken] = []
      for _ in 0..<5 { tokens.append(other.addDoneCallback(callback)) }
      #expect(Set(tokens).count == 5)
      var removed = 0
      for token in tokens where other.removeDoneCallback(token) { removed += 1 }
      #expect(removed == 5)
      try future.setResult(1)
      try other.setResult(1)
      try await turns(2)
      #expect(counter.value == 5)
    }
  }

  @Test func `F-14: removing what is not there, was removed, or has run, says so`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let empty = loop.createFuture(of: Int.self)
      let counter = Counter()
      let token = future.addDoneCallback { counter.value += 1 }
      #expect(empty.removeDoneCallback(token) == false)
      #expect(future.removeDoneCallback(token) == true)
      #expect(future.removeDoneCallback(token) == false)
      let second = future.addDoneCallback { counter.value += 1 }
      try future.setResult(1)
      try await turns()
      #expect(counter.value == 1)
      #expect(future.removeDoneCallback(second) == false)
      #expect(future.removeDoneCallback(token) == false)
    }
  }

  @Test(.inOrder) func `F-15: a callback that is queued already can be removed`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let log = Log()
      let a = future.addDoneCallback { log.add("a") }
      let b = future.addDoneCallback { log.add("b") }
      try future.setResult(1)
      let c = future.addDoneCallback { log.add("c") }
      let d = future.addDoneCallback { log.add("d") }
      #expect(future.removeDoneCallback(b) == true)
      #expect(future.removeDoneCallback(c) == true)
      #expect(future.removeDoneCallback(c) == false)
      try await turns()
      #expect(log.entries == ["a", "d"])
      #expect(future.removeDoneCallback(a) == false)
      #expect(future.removeDoneCallback(d) == false)
    }
  }

  @Test func `F-15: removing a queued callback lets go of what it captured at once`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      weak var captured: Log?
      let add: () -> DoneCallbackToken = {
        _ = loop
        let log = Log()
        captured = log
        return future.addDoneCallback { log.add("ran") }
      }
      let token = add()
      try future.setResult(1)
      #expect(captured != nil)
      #expect(future.removeDoneCallback(token) == true)
      #expect(captured == nil)
    }
  }

  @Test(.inOrder) func `F-16: a callback that adds a callback to the same future sees it run a turn later`() throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let log = Log()
      future.addDoneCallback {
        log.add("first")
        future.addDoneCallback { log.add("second") }
        loop.callSoon { log.add("after") }
        log.add("end of first")
      }
      future.addDoneCallback { log.add("neighbour") }
      try future.setResult(1)
      try await turns(2)
      #expect(log.entries == ["first", "end of first", "neighbour", "second", "after"])
    }
  }

  @Test(.inOrder, arguments: [1, 2, 3, 4])
  func `F-17: a callback that removes another one skips no third`(removed: Int) throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let log = Log()
      var tokens: [DoneCallbackToken] = []
      tokens.append(
        future.addDoneCallback {
          _ = loop
          log.add("0")
          future.removeDoneCallback(tokens[removed])
        })
      for number in 1...4 { tokens.append(future.addDoneCallback { log.add("\(number)") }) }
      try future.setResult(1)
      try await turns()
      #expect(log.entries == (0...4).filter { $0 != removed }.map { "\($0)" })
    }
  }

  @Test(.inOrder, arguments: [0, 1, 2])
  func `F-17: removal of a pending future's callback keeps the order of the others`(removed: Int) throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let log = Log()
      var tokens: [DoneCallbackToken] = []
      for number in 0..<3 { tokens.append(future.addDoneCallback { log.add("\(number)") }) }
      #expect(future.removeDoneCallback(tokens[removed]) == true)
      future.addDoneCallback { log.add("last") }
      try future.setResult(1)
      try await turns()
      #expect(log.entries == (0..<3).filter { $0 != removed }.map { "\($0)" } + ["last"])
    }
  }

  /// Changes the list of callbacks when it goes.
  private final class Meddler {
    private let future: Future<Int>
    private let other: DoneCallbackToken
    private let log: Log
    init(_ future: Future<Int>, removing other: DoneCallbackToken, _ log: Log) {
      (self.future, self.other, self.log) = (future, other, log)
    }
    func use() { log.add("must not run") }
    deinit {
      // SAFETY: it dies on the loop, and what it captures stays there.
      nonisolated(unsafe) let log = log
      future.loop.assumeIsolated { [future, other] loop in
        unsafe log.add("deinit")
        future.removeDoneCallback(other, isolation: loop)
        future.addDoneCallback(isolation: loop) { unsafe log.add("added in deinit") }
      }
    }
  }

  @Test(.inOrder, arguments: [false, true])
  func `F-18: a deinit that changes the list while a callback is removed does no harm`(queued: Bool) throws {
    try runVirtually { loop in
      let future = loop.createFuture(of: Int.self)
      let log = Log()
      let victim = future.addDoneCallback { log.add("victim") }
      let meddle: () -> DoneCallbackToken = {
        _ = loop
        let meddler = Meddler(future, removing: victim, log)
        return future.addDoneCallback { meddler.use() }
      }
      let token = meddle()
      future.addDoneCallback { log.add("third") }
      if queued { try future.setResult(1) }
      #expect(future.removeDoneCallback(token) == true)
      #expect(log.entries == ["deinit"])
      if !queued { try future.setResult(1) }
      try await turns()
      #expect(log.entries == ["deinit", "third", "added in deinit"])
    }
  }

  @Test func `F-19: a callback that throws is reported once, and the next one runs`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      let future = loop.createFuture(of: Int.self)
      let boom = Boom()
      let log = Log()
      future.addDoneCallback { throw boom }
      future.addDoneCallback { log.add("b") }
      try future.setResult(1)
      try await turns(2)
      #expect(log.entries == ["b"])
      #expect(reports.kinds == [.callbackFailed])
      #expect(reports.value.first?.error as? Boom === boom)
    }
  }

  @Test(.inOrder) func `F-42: a chain of 100,000 futures ends without recursion`() throws {
    try runVirtually { loop in
      let futures = (0...100_000).map { _ in loop.createFuture(of: Int.self) }
      for (from, to) in zip(futures, futures.dropFirst()) {
        from.addDoneCallback { try to.setResult(from.result() + 1) }
      }
      try futures[0].setResult(0)
      #expect(try await futures[100_000].value == 100_000)
    }
  }
}
