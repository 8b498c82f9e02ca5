// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct LifecycleTests {
  @Test func `L-01: a run gives the body's value, or throws its error`() throws {
    try inEachOrder { configuration in
      let loop = try EventLoop(configuration: configuration)
      defer { loop.close() }
      #expect(try loop.runUntilComplete { _ in 42 } == 42)
      #expect(throws: Oops(number: 3)) { try loop.runUntilComplete { _ in throw Oops(number: 3) } }
      #expect(throws: CancellationError.self) { try loop.runUntilComplete { _ in throw CancellationError() } }
      let future = loop.createFuture(of: String.self)
      try future.setResult("value")
      #expect(try loop.runUntilComplete(future) == "value")
      #expect(!loop.isRunning && !loop.isClosed)
    }
  }

  @Test func `L-05: a stop before the run means one turn: ready work, and a look without waiting`() throws {
    try inEachOrder { configuration in
      let loop = try EventLoop(configuration: configuration)
      defer { loop.close() }
      let pipe = try DescriptorPair.pipe()
      try pipe.send()
      let order = Notes<String>()
      try loop.whileIdle { loop in
        try loop.addReader(pipe.near) {
          try pipe.receive()
          order.add("reader")
        }
        loop.callSoon {
          order.add("soon")
          loop.callSoon { order.add("next") }
        }
        loop.callLater(.seconds(1)) { order.add("later") }
      }
      loop.stop()
      try loop.runForever()
      let isInOrder = configuration.seams.batchOrder == .fifo
      #expect((isInOrder ? order.value : order.value.sorted().reversed()) == ["soon", "reader"])
      #expect(!loop.isRunning)
    }
  }

  @Test func `L-05: a stop before the run of an empty loop does not wait`() throws {
    let loop = try EventLoop()
    defer { loop.close() }
    loop.stop()
    try loop.runForever()
    // It counts for one run.
    let late = TestThread {
      while !loop.isRunning {}
      loop.stop()
    }
    try loop.runForever()
    late.join()
  }

  @Test func `L-06: after a stop the batch ends, and what it added stays for the next run`() throws {
    try inEachOrder { configuration in
      let loop = try EventLoop(configuration: configuration)
      defer { loop.close() }
      let order = Notes<Int>()
      try loop.whileIdle { loop in
        loop.callSoon {
          order.add(1)
          loop.stop()
          loop.callSoon { order.add(3) }
        }
        loop.callSoon { order.add(2) }
      }
      try loop.runForever()
      let isInOrder = configuration.seams.batchOrder == .fifo
      #expect((isInOrder ? order.value : order.value.sorted()) == [1, 2])
      loop.stop()
      try loop.runForever()
      #expect(order.value.count == 3 && order.value.last == 3)
    }
  }

  @Test func `L-07: a stop before the body's end is an error; the task lives, and ends in the next run`()
    throws
  {
    try inEachOrder { configuration in
      let loop = try EventLoop(configuration: configuration)
      defer { loop.close() }
      #expect(throws: LoopStateError.stoppedBeforeDone) {
        try loop.runUntilComplete { loop in
          loop.stop()
          try await loop.sleep(for: .seconds(1))
          return 42
        }
      }
      let task = try loop.whileIdle { $0.allTasks.first as? LoopTask<Int> }
      #expect(try task.map { try loop.runUntilComplete($0) } == 42)
    }
  }

  @Test func `L-09: one readiness does not run a reader twice over a stop`() throws {
    try inEachOrder { configuration in
      let loop = try EventLoop(configuration: configuration)
      defer { loop.close() }
      let pipe = try DescriptorPair.pipe()
      try pipe.send()
      let reads = Notes<String>()
      try loop.whileIdle { loop in
        try loop.addReader(pipe.near) {
          reads.add(try pipe.receive())
          loop.stop()
        }
      }
      try loop.runForever()
      for _ in 0..<3 {
        loop.stop()
        try loop.runForever()
      }
      #expect(reads.value == ["x"])
    }
  }

  @Test func `L-28: closing twice is fine`() throws {
    let loop = try EventLoop()
    loop.close()
    loop.close()
    #expect(loop.isClosed && !loop.isRunning)
  }

  @Test func `L-29: a closed loop is not run`() throws {
    let loop = try EventLoop()
    loop.close()
    #expect(throws: LoopStateError.closed) { try loop.runForever() }
    #expect(throws: LoopStateError.closed) { try loop.runUntilComplete { _ in } }
    #expect(throws: LoopClosedError()) { try loop.callSoonThreadsafe { _ in } }
  }

  @Test func `L-29: what is scheduled on a closed loop is reported, and does not run`() async throws {
    let log = RecordingLog()
    let loop = try EventLoop(configuration: EventLoop.Configuration().with(log: log))
    loop.closeNow()
    // The job of this hop runs on the thread that brings it.
    await loop.scheduleAllSorts()
    #expect(log.kinds == Array(repeating: "scheduled-on-closed-loop", count: 4))
  }

  @Test func `L-35, L-43: a run inside of a run is refused, on the same loop and on another`() throws {
    try runVirtually { loop in
      let other = try EventLoop()
      defer { other.closeNow() }
      let errors = Notes<LoopStateError?>()
      loop.callSoon {
        for attempt in [
          { try loop.runForever() }, { try other.runForever() }, { try EventLoop.run { _ in } },
          { _ = try other.runUntilComplete { _ in } },
        ] {
          do {
            try attempt()
            errors.add(nil)
          } catch {
            errors.add(error as? LoopStateError)
          }
        }
      }
      try await turns(2)
      #expect(errors.value == [.anotherLoopRuns, .anotherLoopRuns, .anotherLoopRuns, .anotherLoopRuns])
    }
  }

  @Test func `L-43: a loop that another thread runs is refused`() throws {
    let thread = try LoopThread.start()
    while !thread.loop.isRunning {}
    #expect(throws: LoopStateError.alreadyRunning) { try thread.loop.runForever() }
    #expect(throws: LoopStateError.alreadyRunning) { try thread.loop.runUntilComplete { _ in } }
    thread.loop.stop()
    while !thread.loop.isClosed {}
  }

  @Test func `L-44: what a run leaves goes on in the next`() throws {
    try inEachOrder { configuration in
      let loop = try EventLoop(configuration: configuration)
      defer { loop.close() }
      let order = Notes<Int>()
      try loop.runUntilComplete { loop in
        loop.createTask(name: "left") {
          order.add(1)
          try await loop.sleep(for: .seconds(2))
          order.add(2)
        }
        try await loop.sleep(for: .seconds(1))
      }
      #expect(order.value == [1])
      try loop.runUntilComplete { loop in
        #expect(loop.allTasks.map(\.name) == ["left", "main"])
        try await loop.sleep(for: .seconds(2))
      }
      #expect(order.value == [1, 2])
    }
  }
}

extension EventLoop {
  fileprivate func scheduleAllSorts() {
    callSoon { preconditionFailure("it ran") }
    callLater(.zero) { preconditionFailure("it ran") }
    callAt(now) { preconditionFailure("it ran") }
    let task = createTask { preconditionFailure("it ran") }
    precondition(task.isCancelled)
  }
}
