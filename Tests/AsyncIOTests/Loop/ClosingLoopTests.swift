// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ClosingLoopTests {
  @Test func `L-30: closing lets go of all that is pending, and reports each pending task once`() throws {
    let pipe = try FileDescriptor.pipe()
    defer {
      try? pipe.readEnd.close()
      try? pipe.writeEnd.close()
    }
    let log = Shared<[String]>([])
    let released = Shared(0)
    let loop = try EventLoop(configuration: .virtual().with(log: log))
    try loop.runUntilComplete { loop in
      func holder() -> () -> Void {
        let sentinel = Sentinel { released.change { $0 += 1 } }
        return { withExtendedLifetime(sentinel) {} }
      }
      loop.callLater(.seconds(1), holder())
      loop.callLater(.seconds(Int64.max), holder())
      try loop.addReader(pipe.readEnd, holder())
      try loop.addWriter(pipe.writeEnd, holder())
      try loop.addSignalHandler(SIGWINCH, holder())
      loop.createTask(name: "pending") { try await loop.sleep(for: .seconds(5)) }
      try await loop.makeTurns(2)
    }
    #expect(released.value == 0)
    try loop.whileIdle { loop in
      let sentinel = Sentinel { released.change { $0 += 1 } }
      loop.callSoon { withExtendedLifetime(sentinel) {} }
    }
    loop.close()
    #expect(released.value == 6)
    #expect(log.value.count == 1)
    #expect(log.value.first?.hasPrefix("task-destroyed-pending ") == true)
    #expect(log.value.first?.contains("[task pending]") == true)
  }

  @Test func `L-30: a pending task is cancelled by the closing, and may clean up without waiting`() throws {
    let steps = Shared<[String]>([])
    let loop = try EventLoop(configuration: .virtual().with(log: Shared([])))
    try loop.runUntilComplete { loop in
      loop.createTask {
        do { try await loop.sleep(for: .seconds(5)) } catch {
          steps.change { $0.append("\(type(of: error))") }
        }
        try? await loop.sleep(for: .seconds(1))
        steps.change { $0.append("waited") }
      }
      try await loop.makeTurns(2)
    }
    loop.close()
    #expect(steps.value == ["CancellationError"])
  }

  @Test func `L-30: a callback that schedules itself anew does not hold up the closing`() throws {
    let loop = try EventLoop(configuration: .virtual().with(log: Shared([])))
    try loop.runUntilComplete { loop in
      func again(_ loop: isolated EventLoop) { loop.callSoon { again(loop) } }
      again(loop)
      try await loop.makeTurns(2)
    }
    loop.close()
    #expect(loop.isClosed)
  }

  @Test func `L-30: what is ready runs by the closing, and timers, due ones too, are dropped`() throws {
    let ran = Shared<[String]>([])
    let loop = try EventLoop(configuration: .virtual().with(log: Shared([])))
    try loop.whileIdle { loop in
      loop.callSoon { ran.change { $0.append("soon") } }
      loop.callLater(.zero) { ran.change { $0.append("timer") } }
    }
    loop.close()
    #expect(ran.value == ["soon"])
  }

  @Test func `L-31: a closed loop has given its descriptors back`() async {
    await #expect(processExitsWith: .success) {
      for precision in [EventLoop.Configuration.TimerPrecision.millisecond, .precise] {
        var configuration = EventLoop.Configuration()
        configuration.timerPrecision = precision
        let before = ThisProcess.openDescriptors
        for _ in 0..<50 {
          let loop = try EventLoop(configuration: configuration)
          try loop.runTurnsOnce()
          loop.closeNow()
          withExtendedLifetime(loop) {}
        }
        // One descriptor of each would be 50; what the process makes once (libdispatch's) is no loop's.
        #expect(ThisProcess.openDescriptors - before < 20)
      }
    }
  }

  @Test func `L-32: loops made, run and closed in turn leave descriptors, threads and memory flat`() async {
    await #expect(processExitsWith: .success) {
      // 500 loops in the place of 10,000.
      func cycle() throws {
        try EventLoop.run { loop in
          loop.callLater(.seconds(10)) {}
          try await loop.createTask { try await loop.sleep(for: .microseconds(1)) }.waitUntilDone()
        }
      }
      for _ in 0..<50 { try cycle() }
      let descriptors = ThisProcess.openDescriptors
      let threads = ThisProcess.threads
      let memory = ThisProcess.residentKilobytes
      for _ in 0..<500 { try cycle() }
      // The process's own, which come and go, are few; one of each loop would be 500.
      #expect(ThisProcess.openDescriptors - descriptors < 20)
      #expect(ThisProcess.threads - threads < 20)
      // A loop is some 10 KB: a leak of each would be 5 MB.
      #expect(ThisProcess.keepsFreedMemory || ThisProcess.residentKilobytes - memory < 2_000)
    }
  }

  @Test func `L-32: a loop that is closed goes, with its executor`() throws {
    weak var executor: LoopExecutor?
    do {
      let loop = try EventLoop()
      executor = loop.executor
      _ = try loop.runUntilComplete { loop in try await loop.sleep(for: .microseconds(1)) }
      loop.close()
    }
    #expect(executor == nil)
  }

  @Test func `a loop that goes without being closed says so`() throws {
    let log = Shared<[String]>([])
    do { _ = try EventLoop(configuration: EventLoop.Configuration().with(log: log)) }
    #expect(log.value.count == 1)
    #expect(log.value.first?.hasPrefix("loop-not-closed ") == true)
  }

  @Test func `L-41: a run cancels and awaits what is left, reports its errors, and closes`() throws {
    let log = Shared<[String]>([])
    let steps = Shared<[String]>([])
    let loop = try EventLoop.run(configuration: .virtual().with(log: log)) { loop in
      loop.createTask {
        do {
          try await loop.sleep(for: .seconds(100))
        } catch {
          try await loop.sleep(for: .seconds(1))
          steps.change { $0.append("cleaned up") }
          throw Oops(number: 5)
        }
      }
      try await loop.makeTurns(2)
      return loop
    }
    #expect(steps.value == ["cleaned up"])
    #expect(loop.isClosed)
    #expect(log.value.count == 1)
    #expect(log.value.first?.hasPrefix("error-never-retrieved ") == true)
  }

  @Test func `L-45: a task that does not end is left behind after the grace, and reported`() throws {
    let log = Shared<[String]>([])
    let value = try EventLoop.run(configuration: .virtual().with(log: log), shutdownGrace: .seconds(3)) {
      loop in
      loop.createTask(name: "stubborn") { while true { try? await loop.sleep(for: .seconds(1)) } }
      try await loop.makeTurns(2)
      return 42
    }
    #expect(value == 42)
    #expect(log.value.count == 1)
    #expect(log.value.first?.contains("[task stubborn]") == true)
  }
}

extension EventLoop {
  /// One turn, for tests in async contexts.
  fileprivate nonisolated func runTurnsOnce() throws {
    stop()
    try runTurns()
  }
}
