// SPDX-License-Identifier: Apache-2.0
//
// Groups in groups, and errors and cancels that meet.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct LoopTaskGroupRaceTests {
  @Test func `TG-10: nested, the inner fails: a nested error, and the outer's other children are cancelled`() throws {
    try runVirtually { loop in
      let kept = Tasks()
      do {
        try await withLoopTaskGroup { outer in
          kept.all = [outer.createTask { try await waited(60) }]
          try await withLoopTaskGroup { inner in
            inner.createTask { throw Boom("inner") }
          }
        }
        Issue.record("no error")
      } catch let error as LoopTaskGroupError {
        let nested = try #require(error.errors.first as? LoopTaskGroupError)
        #expect(error.errors.count == 1)
        #expect(nested.errors.map { "\($0)" } == ["inner"])
      }
      #expect(kept.all[0].isCancelled)
    }
  }

  @Test func `TG-11: nested, an outer child fails: the inner is cancelled, and only the outer error is out`() throws {
    try runVirtually { loop in
      let notes = Log()
      let end = await ending {
        try await withLoopTaskGroup { outer in
          outer.createTask { throw Boom("outer") }
          let inner = await ending {
            try await withLoopTaskGroup { inner in
              inner.createTask { try await waited(60) }
            }
          }
          notes.add(inner)
        }
      }
      #expect(end == "group(outer)")
      #expect(notes.entries == ["cancelled"])
    }
  }

  @Test func `TG-12: inner and outer fail in one turn: both errors are kept, the outer's cancel is in force`() throws {
    try runVirtually { loop in
      let notes = Log()
      let end = await ending {
        try await withLoopTaskGroup { outer in
          let gate = loop.createFuture(of: Void.self)
          outer.createTask {
            try await gate.value
            throw Boom("outer")
          }
          loop.callLater(.seconds(1)) { try gate.setResult() }
          let inner = await ending {
            try await withLoopTaskGroup { inner in
              inner.createTask {
                try await shield(gate)
                throw Boom("inner")
              }
            }
          }
          notes.add(inner)
          notes.add(await ending { try await sleep(for: .seconds(60)) })
        }
      }
      #expect(end == "group(outer)")
      #expect(notes.entries == ["group(inner)", "cancelled"])
    }
  }

  @Test(arguments: [false, true])
  func `TG-13: a child's error and a cancel from outside in one turn: the group error, and the cancel is owed`(
    cancelFirst: Bool
  ) throws {
    try runVirtually { loop in
      let notes = Log()
      let gate = loop.createFuture(of: Void.self)
      let task = loop.createTask {
        let end = await ending {
          try await withLoopTaskGroup { group in
            group.createTask {
              do { try await shield(gate) } catch { throw Boom("in cleanup") }
              throw Boom()
            }
          }
        }
        notes.add(end)
        notes.add("\(AnyLoopTask.current?.cancelling ?? -1)")
        try await turns()
        notes.add("not reached")
      }
      try await turns(4)
      if cancelFirst { task.cancel() }
      try gate.setResult()
      if !cancelFirst { task.cancel() }
      #expect(await ending { try await task.value } == "cancelled")
      #expect(notes.entries == ["group(in cleanup)", "1"])
    }
  }

  @Test func `TG-13: a cancel between the group's end and its caller's next step is owed, too`() throws {
    try runVirtually { loop in
      let notes = Log()
      let caller = Tasks()
      let task = loop.createTask {
        let end = await ending {
          try await withLoopTaskGroup { group in
            let child = group.createTask { throw Boom() }
            child.addDoneCallback(isolation: loop) { caller.all.first?.cancel() }
          }
        }
        notes.add(end)
        try await turns()
        notes.add("not reached")
        return 0
      }
      caller.all = [task]
      #expect(await ending { try await task.value } == "cancelled")
      #expect(notes.entries == ["group(boom)"])
    }
  }

  @Test func `TG-14: a child that is created after a failure is refused: cancelled already, and never runs`() throws {
    try runVirtually { loop in
      let notes = Log()
      let end = await ending {
        try await withLoopTaskGroup { group in
          group.createTask { throw Boom() }
          do { try await sleep(for: .seconds(60)) } catch {
            #expect(group.isClosed)
            let late = group.createTask(name: "late") { notes.add("ran") }
            #expect(late.isCancelled)
            #expect(late.name == "late")
            #expect(late.cancellationReason?.kind == .parent)
          }
        }
      }
      #expect(end == "group(boom)")
      #expect(notes.entries.isEmpty)
      #expect(loop.allTasks.count == 1)
    }
  }

  @Test func `TG-15: a child that is created after the end is refused`() async throws {
    try runVirtually { loop in
      let kept = try await withLoopTaskGroup { $0 }
      let late = kept.createTask { Issue.record("ran") }
      #expect(kept.isClosed)
      #expect(late.isCancelled)
      try await turns(3)
    }
    await #expect(throws: NoRunningLoopError.self) { try await withLoopTaskGroup { _ in } }
  }

  @Test(.inOrder) func `TG-18: 100,000 children over time: those that have ended are let go`() throws {
    try runVirtually { loop in
      let alive = Counter()
      try await withLoopTaskGroup { group in
        var peak = 0
        for number in 0..<Amount.of(100_000, usually: 8_000) {
          let sentinel = Sentinel { alive.value -= 1 }
          alive.value += 1
          group.createTask { withExtendedLifetime(sentinel) {} }
          if number % 100 == 99 { try await turns() }
          peak = max(peak, alive.value)
        }
        #expect(peak < 1_000)
      }
      #expect(alive.value == 0)
    }
  }

  @Test func `TG-19: a group that is cancelled by call: children and body are cancelled, and no error`() throws {
    try runVirtually { loop in
      let kept = Tasks()
      try await withLoopTaskGroup { group in
        kept.all = [group.createTask { try await waited(60) }]
        group.createTask {
          try await sleep(for: .seconds(1))
          group.cancel("done with it")
        }
        try await sleep(for: .seconds(60))
      }
      #expect(kept.all[0].cancellationReason?.message == "done with it")
      let value = await ending {
        try await withLoopTaskGroup { group in
          group.createTask { group.cancel() }
          try await sleep(for: .seconds(60))
          return 1
        }
      }
      // A body with a value that it has not got.
      #expect(value == "cancelled")
      #expect(AnyLoopTask.current?.cancelling == 0)
    }
  }

  @Test func `TG-19: a cancel from outside is not swallowed by a cancel of the group`() throws {
    try runVirtually { loop in
      let task = loop.createTask {
        try await withLoopTaskGroup { group in
          let cleanup = loop.createTask { group.cancel() }
          try await cleanup.value
          try await shield(loop.sleeper(.seconds(60), 1))
        }
      }
      loop.callLater(.seconds(1)) { task.cancel() }
      let early = await ending { try await task.value }
      #expect(early == "()")
      let other = loop.createTask {
        try await withLoopTaskGroup { group in
          group.createTask {
            do { try await sleep(for: .seconds(60)) } catch {
              try? await sleep(for: .seconds(60))
              throw error
            }
          }
          try await turns()
          group.cancel()
        }
      }
      loop.callLater(.seconds(5)) { other.cancel() }
      #expect(await ending { try await other.value } == "cancelled")
    }
  }

  @Test func `TG-20: names and task-locals are passed on`() throws {
    try runVirtually { loop in
      let names = try await withLoopTaskGroup { group in
        let named = TestLocal.$number.withValue(7) {
          group.createTask(name: "worker") { "\(AnyLoopTask.current?.name ?? "") \(TestLocal.number)" }
        }
        let plain = group.createTask { TestLocal.number }
        return try await "\(named.value) \(plain.value)"
      }
      #expect(names == "worker 7 0")
    }
  }

  @Test func `TG-21: after the end errors, tasks and what the bodies held are freed`() throws {
    try runVirtually { loop in
      let alive = Counter()
      for fails in [false, true] {
        _ = await ending {
          let sentinel = Sentinel { alive.value -= 1 }
          alive.value += 1
          try await withLoopTaskGroup { group in
            for _ in 0..<3 {
              group.createTask {
                try await turns()
                withExtendedLifetime((sentinel, group)) {}
                if fails { throw Boom() }
              }
            }
          }
        }
      }
      try await turns(2)
      #expect(alive.value == 0)
      #expect(loop.allTasks.count == 1)
    }
  }

  @Test func `a child that has cleanup with awaits ends it, though the group was cancelled`() throws {
    try runVirtually { loop in
      let notes = Log()
      let end = await ending {
        try await withLoopTaskGroup { group in
          group.createTask {
            do { try await sleep(for: .seconds(60)) } catch {
              try await sleep(for: .seconds(1))
              notes.add("cleaned up")
            }
          }
          group.createTask { throw Boom() }
        }
      }
      #expect(end == "group(boom)")
      #expect(notes.entries == ["cleaned up"])
    }
  }
}
