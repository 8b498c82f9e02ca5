// SPDX-License-Identifier: Apache-2.0
//
// Sleeping tasks that are cancelled, cleanup that awaits, shutdown with a limit.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(200)) struct CleanupTests {
  @Test func `T-52: cancelling a sleeping task removes its timer, and time stands still`() throws {
    try runVirtually { loop in
      let start = loop.now
      let task = loop.createTask { try await sleep(for: .seconds(3_600)) }
      let until = loop.createTask { try await sleep(until: start.advanced(by: .seconds(7_200))) }
      try await turns()
      #expect(loop.executor.timers.count == 2)
      task.cancel()
      until.cancel()
      #expect(await outcome(of: task) == "cancelled")
      #expect(await outcome(of: until) == "cancelled")
      #expect(loop.executor.timers.count == 0)
      #expect(loop.now == start)
    }
  }

  @Test func `T-53: a cancel during a zero sleep is heard`() throws {
    try runVirtually { loop in
      for delay in [Duration.zero, .seconds(-1)] {
        let log = Log()
        let task = loop.createTask {
          try await sleep(for: delay)
          log.add("not reached")
        }
        // In the turn in which the sleep begins, before it ends.
        loop.callSoon { #expect(task.cancel()) }
        #expect(await outcome(of: task) == "cancelled")
        // In the turn in which it has ended, before the body resumes.
        let second = loop.createTask {
          loop.callSoon { loop.callSoon { #expect(AnyLoopTask.current == nil) } }
          try await sleep(for: delay)
          log.add("not reached")
        }
        loop.callSoon { loop.callSoon { second.cancel() } }
        #expect(await outcome(of: second) == "cancelled")
        #expect(log.entries.isEmpty)
      }
    }
  }

  @Test func `T-54: cleanup that awaits runs whole`() throws {
    try runVirtually { loop in
      let log = Log()
      let start = loop.now
      let task = loop.createTask {
        do {
          try await sleep(for: .seconds(1))
        } catch {
          for step in 1...3 {
            try await sleep(for: .seconds(10))
            log.add("step \(step)")
          }
          throw error
        }
      }
      try await turns()
      task.cancel()
      #expect(await outcome(of: task) == "cancelled")
      #expect(log.entries == ["step 1", "step 2", "step 3"])
      #expect(start.duration(to: loop.now) == .seconds(30))
      #expect(task.isCancelled)
    }
  }

  @Test func `T-54: cleanup is interrupted by a second cancel`() throws {
    try runVirtually { loop in
      let log = Log()
      let task = loop.createTask {
        do {
          try await sleep(for: .seconds(1))
        } catch {
          try await sleep(for: .seconds(10))
          log.add("not reached")
        }
      }
      try await turns()
      task.cancel()
      try await turns(2)
      task.cancel()
      #expect(await outcome(of: task) == "cancelled")
      #expect(log.entries.isEmpty)
      #expect(task.cancelling == 2)
    }
  }

  @Test(.inOrder) func `T-55: cleanup that never ends is left behind after the grace, and reported`() throws {
    let clock = Notes<Duration>()
    let reports = Reports()
    let line: UInt = #line + 6
    try runVirtually(grace: .seconds(5), mayLeave: true) { loop in
      loop.exceptionHandler = { reports.add($0) }
      let start = loop.now
      func tick() { clock.add(start.duration(to: loop.now)) }
      // Made here:
      loop.createTask(name: "stubborn") {
        while true {
          try? await sleep(for: .seconds(1))
          tick()
        }
      }
      try await turns()
    }
    #expect(reports.kinds == [.taskDestroyedPending])
    #expect(reports.value.first?.taskName == "stubborn")
    #expect(reports.value.first?.creationSite == "\(#fileID):\(line)")
    // Interrupted at once, then a second each; the last one is interrupted by the closing.
    #expect(clock.value.prefix(5) == [.zero, .seconds(1), .seconds(2), .seconds(3), .seconds(4)])
    #expect(clock.count <= 7)
  }

  @Test(.inOrder) func `T-55: tasks that are left at the end of run are cancelled, and their cleanup runs whole`()
    throws
  {
    let log = Notes<String>()
    try runVirtually { loop in
      loop.createTask {
        do {
          try await sleep(for: .seconds(3_600))
        } catch {
          log.add("\(AnyLoopTask.current?.cancellationReason?.kind.rawValue ?? "none")")
          try await sleep(for: .seconds(10))
          log.add("clean")
          throw error
        }
      }
      try await turns()
    }
    #expect(log.value == ["shutdown", "clean"])
  }
}
