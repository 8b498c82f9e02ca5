// SPDX-License-Identifier: Apache-2.0

import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct TurnTests {
  @Test(.inOrder, arguments: [false, true])
  func `L-10: callbacks, tasks, futures and threadsafe calls of a turn share one FIFO`(debug: Bool) throws {
    let order = try runVirtually(.init().with(debug: debug)) { loop in
      var order: [Int] = []
      let future = loop.createFuture(of: Void.self)
      future.addDoneCallback { order.append(4) }
      loop.callSoon { order.append(1) }
      loop.createTask { order.append(2) }
      loop.callSoon { order.append(3) }
      try future.setResult()
      loop.createTask { order.append(5) }
      loop.callSoon { order.append(6) }
      try await turns(2)
      return order
    }
    #expect(order == [1, 2, 3, 4, 5, 6])
  }

  @Test(.inOrder) func `L-10: a threadsafe call from the loop's own thread keeps its place in the FIFO`() throws {
    let order = try runVirtually { loop in
      let order = Notes<Int>()
      loop.callSoon { order.add(1) }
      try loop.callSoonThreadsafe { _ in order.add(2) }
      loop.callSoon { order.add(3) }
      try await turns(3)
      return order.value
    }
    #expect(order == [1, 2, 3])
  }

  @Test(.inOrder, arguments: [false, true])
  func `L-11: what a callback adds runs in the next turn`(debug: Bool) throws {
    let order = try runVirtually(.init().with(debug: debug)) { loop in
      var order: [String] = []
      loop.callSoon {
        order.append("first")
        loop.callSoon { order.append("added") }
      }
      loop.callSoon { order.append("second") }
      loop.callLater(.zero) { order.append("timer") }
      try await turns(3)
      return order
    }
    #expect(order == ["first", "second", "timer", "added"])
  }

  @Test(.inOrder) func `L-11: a batch is bounded, and a large one loses nothing and keeps its order`() throws {
    let order = try runVirtually { loop in
      var order: [Int] = []
      let future = loop.createFuture(of: Void.self)
      for number in 0..<10_000 { loop.callSoon { order.append(number) } }
      loop.callSoon { try future.setResult() }
      try await future.value
      return order
    }
    #expect(order == Array(0..<10_000))
  }

  @Test(.inOrder) func `L-11: a readable descriptor gets its turn within two batches of a busy loop`() throws {
    let laps = try runVirtually { loop in
      let pipe = try DescriptorPair.pipe()
      let end = loop.createFuture(of: Int.self)
      var laps = 0
      func lap(_ loop: isolated EventLoop) {
        laps += 1
        if !end.isDone { loop.callSoon { lap(loop) } }
      }
      lap(loop)
      try await turns(50)
      let start = laps
      try pipe.send()
      try loop.addReader(pipe.near) {
        loop.removeReader(pipe.near)
        try end.setResult(laps - start)
      }
      return try await end.value
    }
    #expect(laps <= 2 * 256 + 2)
  }

  @Test(.inOrder)
  func `L-11: callbacks that take long hold a timer up for the length of one, and not of sixteen`() throws {
    let beats = try runVirtually { loop in
      var laps = 0
      var beats = 0
      func lap(_ loop: isolated EventLoop) throws {
        try loop.elapse(.milliseconds(50))
        laps += 1
        if laps < 200 { loop.callSoon { try lap(loop) } }
      }
      try lap(loop)
      let timer = loop.callEvery(.milliseconds(10)) { _ in beats += 1 }
      while laps < 200 { try await turns() }
      timer.cancel()
      return beats
    }
    #expect(beats >= 60)
  }

  @Test func `L-12: timers, descriptors, other threads and stop get through to a loop that is always busy`() throws {
    let loop = try EventLoop()
    defer { loop.close() }
    let pipe = try FileDescriptor.pipe()
    defer {
      try? pipe.readEnd.close()
      try? pipe.writeEnd.close()
    }
    let seen = Shared<Set<String>>([])
    let stopper = Notes<TestThread>()
    try loop.callSoonThreadsafe { loop in
      func lap(_ loop: isolated EventLoop) { loop.callSoon { lap(loop) } }
      lap(loop)
      loop.callLater(.milliseconds(1)) {
        seen.change { $0.insert("timer") }
        _ = try pipe.writeEnd.writeAll([1])
      }
      try loop.addReader(pipe.readEnd) {
        loop.removeReader(pipe.readEnd)
        seen.change { $0.insert("reader") }
        let thread = TestThread {
          try? loop.callSoonThreadsafe { _ in
            seen.change { $0.insert("thread") }
            let second = TestThread { loop.stop() }
            stopper.add(second)
          }
        }
        stopper.add(thread)
      }
    }
    try loop.runForever()
    for thread in stopper.value { thread.join() }
    #expect(seen.value == ["timer", "reader", "thread"])
  }

  @Test(.inOrder, arguments: [false, true])
  func `L-14: a callback that an earlier one of its batch cancels does not run`(debug: Bool) throws {
    let order = try runVirtually(.init().with(debug: debug)) { loop in
      var order: [String] = []
      var released = 0
      var victim: CallbackHandle?
      loop.callSoon {
        let before = victim?.isPending(isolation: loop)
        victim?.cancel(isolation: loop)
        let after = victim?.isPending(isolation: loop)
        victim?.cancel(isolation: loop)
        order.append("first, \(before == true), \(after == true), \(released)")
      }
      let holding = { (sentinel: Sentinel) in { withExtendedLifetime(sentinel) { order.append("victim") } } }
      victim = loop.callSoon(holding(Sentinel { released += 1 }))
      loop.callSoon { order.append("last") }
      try await turns(2)
      return order
    }
    #expect(order == ["first, true, false, 1", "last"])
  }

  @Test func `L-14: a handle is pending until its callback runs, and a cancel later than that does nothing`()
    throws
  {
    try runVirtually { loop in
      var states: [Bool] = []
      var handle: CallbackHandle?
      handle = loop.callSoon {
        states.append(handle?.isPending(isolation: loop) == true)
        handle?.cancel(isolation: loop)
      }
      states.append(handle?.isPending(isolation: loop) == true)
      try await turns(2)
      states.append(handle?.isPending(isolation: loop) == true)
      handle?.cancel(isolation: loop)
      #expect(states == [true, false, false])
    }
  }

  @Test func `a seed shuffles a batch the same way each time, and other seeds otherwise`() throws {
    func order(_ seed: UInt64) throws -> [Int] {
      try runVirtually(.shuffled(seed)) { loop in
        var order: [Int] = []
        for number in 0..<20 { loop.callSoon { order.append(number) } }
        while order.count < 20 { try await turns() }
        return order
      }
    }
    #expect(try order(1) == order(1))
    #expect(try order(1) != order(2))
    #expect(try order(1).sorted() == Array(0..<20))
  }

  @Test func `in debug mode a slow callback is reported with the place of its scheduling`() throws {
    try runVirtually(.init().with(debug: true)) { loop in
      var reports: [ExceptionContext] = []
      loop.exceptionHandler = { reports.append($0) }
      loop.callSoon { try loop.elapse(.milliseconds(99)) }
      loop.callSoon(fileID: "Some/File.swift", line: 12) { try loop.elapse(.milliseconds(100)) }
      try await turns(2)
      #expect(reports.map(\.kind) == [.slowCallback])
      #expect(reports.first?.creationSite == "Some/File.swift:12")
    }
  }
}
