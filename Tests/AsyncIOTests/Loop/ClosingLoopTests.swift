// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ClosingLoopTests {
  @Test func `L-30: closing lets go of all that is pending, and reports each pending task once`() throws {
    try inEachOrder { configuration in
      let pipe = try FileDescriptor.pipe()
      defer {
        try? pipe.readEnd.close()
        try? pipe.writeEnd.close()
      }
      let log = RecordingLog()
      let released = Shared(0)
      let loop = try EventLoop(configuration: configuration.with(log: log))
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
        try await turns(2)
      }
      #expect(released.value == 0)
      try loop.whileIdle { loop in
        let sentinel = Sentinel { released.change { $0 += 1 } }
        loop.callSoon { withExtendedLifetime(sentinel) {} }
      }
      loop.close()
      #expect(released.value == 6)
      #expect(log.kinds == ["task-destroyed-pending"])
      #expect(log.lines.first?.contains("[task pending]") == true)
    }
  }

  @Test func `L-30: a pending task is cancelled by the closing, and may clean up without waiting`() throws {
    try inEachOrder { configuration in
      let steps = Notes<String>()
      let loop = try EventLoop(configuration: configuration.with(log: RecordingLog()))
      try loop.runUntilComplete { loop in
        loop.createTask {
          do { try await loop.sleep(for: .seconds(5)) } catch {
            steps.add("\(type(of: error))")
          }
          try? await loop.sleep(for: .seconds(1))
          steps.add("waited")
        }
        try await turns(2)
      }
      loop.close()
      #expect(steps.value == ["CancellationError"])
    }
  }

  @Test func `L-30: a callback that schedules itself anew does not hold up the closing`() throws {
    try inEachOrder { configuration in
      let loop = try EventLoop(configuration: configuration.with(log: RecordingLog()))
      try loop.runUntilComplete { loop in
        func again(_ loop: isolated EventLoop) { loop.callSoon { again(loop) } }
        again(loop)
        try await turns(2)
      }
      loop.close()
      #expect(loop.isClosed)
    }
  }

  @Test func `L-30: what is ready runs by the closing, and timers, due ones too, are dropped`() throws {
    try inEachOrder { configuration in
      let ran = Notes<String>()
      let loop = try EventLoop(configuration: configuration.with(log: RecordingLog()))
      try loop.whileIdle { loop in
        loop.callSoon { ran.add("soon") }
        loop.callLater(.zero) { ran.add("timer") }
      }
      loop.close()
      #expect(ran.value == ["soon"])
    }
  }

  @Test func `L-31: a closed loop has given its descriptors back`() async {
    await #expect(processExitsWith: .success) {
      for precision in [EventLoop.Configuration.TimerPrecision.millisecond, .precise] {
        var configuration = EventLoop.Configuration()
        configuration.timerPrecision = precision
        let before = ProcessFacts.descriptors.count
        for _ in 0..<50 {
          let loop = try EventLoop(configuration: configuration)
          try loop.runTurnsOnce()
          loop.closeNow()
          withExtendedLifetime(loop) {}
        }
        // One descriptor of each would be 50; what the process makes once (libdispatch's) is no loop's.
        #expect(ProcessFacts.descriptors.count - before < 20)
      }
    }
  }

  @Test func `L-32: loops made, run and closed in turn leave descriptors, threads and memory flat`() async {
    await #expect(processExitsWith: .success) {
      func cycle() throws {
        try EventLoop.run { loop in
          loop.callLater(.seconds(10)) {}
          try await loop.createTask { try await loop.sleep(for: .microseconds(1)) }.waitUntilDone()
        }
      }
      for _ in 0..<50 { try cycle() }
      let descriptors = ProcessFacts.descriptors.count
      let threads = ProcessFacts.threadNames.count
      let memory = ProcessFacts.residentKilobytes
      for _ in 0..<Amount.of(10_000, optimized: 2_000, usually: 500) { try cycle() }
      // The process's own, which come and go, are few; one of each loop would be 500 or more.
      #expect(ProcessFacts.descriptors.count - descriptors < 20)
      #expect(ProcessFacts.threadNames.count - threads < 20)
      // A loop is some 10 KB: a leak of each would be 5 MB or more.
      #expect(ProcessFacts.keepsFreedMemory || ProcessFacts.residentKilobytes - memory < 2_000)
    }
  }

  @Test func `L-32: a loop that is closed goes, with its executor`() throws {
    try inEachOrder { configuration in
      weak var executor: LoopExecutor?
      do {
        let loop = try EventLoop(configuration: configuration)
        executor = loop.executor
        _ = try loop.runUntilComplete { loop in try await loop.sleep(for: .zero) }
        loop.close()
      }
      #expect(executor == nil)
    }
  }

  @Test func `a loop that goes without being closed says so`() throws {
    try inEachOrder { configuration in
      let log = RecordingLog()
      do { _ = try EventLoop(configuration: configuration.with(log: log)) }
      #expect(log.kinds == ["loop-not-closed"])
    }
  }

  @Test func `L-41: a run cancels and awaits what is left, reports its errors, and closes`() throws {
    try inEachOrder { configuration in
      let log = RecordingLog()
      let steps = Notes<String>()
      let loop = try EventLoop.run(configuration: configuration.with(log: log)) { loop in
        loop.createTask {
          do {
            try await loop.sleep(for: .seconds(100))
          } catch {
            try await loop.sleep(for: .seconds(1))
            steps.add("cleaned up")
            throw Oops(number: 5)
          }
        }
        try await turns(2)
        return loop
      }
      #expect(steps.value == ["cleaned up"])
      #expect(loop.isClosed)
      #expect(log.kinds == ["error-never-retrieved"])
    }
  }

  @Test func `L-45: a task that does not end is left behind after the grace, and reported`() throws {
    try inEachOrder { configuration in
      let log = RecordingLog()
      let value = try EventLoop.run(configuration: configuration.with(log: log), shutdownGrace: .seconds(3)) {
        loop in
        loop.createTask(name: "stubborn") { while true { try? await loop.sleep(for: .seconds(1)) } }
        try await turns(2)
        return 42
      }
      #expect(value == 42)
      #expect(log.entries.count == 1)
      #expect(log.lines.first?.contains("[task stubborn]") == true)
    }
  }
}

extension EventLoop {
  /// One turn, for tests in async contexts.
  fileprivate nonisolated func runTurnsOnce() throws {
    stop()
    try runTurns()
  }
}
