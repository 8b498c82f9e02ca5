// SPDX-License-Identifier: Apache-2.0
//
// Tasks that live and fail together.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(2_000)) struct LoopTaskGroupTests {
  @Test func `TG-01: children end well: the block ends after all, and their values are there`() throws {
    try runVirtually { loop in
      let start = loop.now
      let (value, tasks) = try await withLoopTaskGroup { group in
        let tasks = [2, 3].map { seconds in
          group.createTask {
            try await sleep(for: .seconds(seconds))
            return seconds
          }
        }
        return (7, tasks)
      }
      #expect(value == 7)
      #expect(loop.seconds(since: start) == 3)
      #expect(try tasks.map { try $0.result() } == [2, 3])
      #expect(loop.allTasks.count == 1)
    }
  }

  @Test func `TG-02: children that are added while it waits, also by children, are waited for`() throws {
    try runVirtually { loop in
      let notes = Log()
      try await withLoopTaskGroup { group in
        group.createTask {
          try await sleep(for: .seconds(1))
          group.createTask {
            try await sleep(for: .seconds(1))
            group.createTask { notes.add("grandchild") }
            notes.add("child")
          }
        }
      }
      #expect(notes.entries == ["child", "grandchild"])
    }
  }

  @Test func `TG-03: one fails: siblings and body are cancelled, one error with all that is no cancel`() throws {
    try runVirtually { loop in
      let notes = Log()
      let start = loop.now
      let end = await ending {
        try await withLoopTaskGroup { group in
          let sibling = group.createTask { try await sleep(for: .seconds(60)) }
          group.createTask {
            try await sleep(for: .seconds(1))
            throw Boom()
          }
          do { try await sleep(for: .seconds(60)) } catch {
            notes.add("body \(AnyLoopTask.current?.cancellationReason?.kind ?? .body) \(sibling.cancelling)")
            throw error
          }
        }
      }
      #expect(end == "group(boom)")
      #expect(notes.entries == ["body parent 1"])
      #expect(loop.seconds(since: start) == 1)
      #expect(AnyLoopTask.current?.cancelling == 0)
    }
  }

  @Test func `TG-04: several fail, also in their cleanup: all are in the error, and none is reported`() throws {
    try runVirtually { loop in
      let reports = Reports(of: loop)
      let end = await ending {
        try await withLoopTaskGroup { group in
          for seconds in [2, 1] {
            group.createTask {
              do { try await sleep(for: .seconds(60)) } catch {
                try await sleep(for: .seconds(seconds))
                throw Boom("cleanup \(seconds)")
              }
            }
          }
          group.createTask { throw Boom("first") }
        }
      }
      #expect(end == "group(first, cleanup 1, cleanup 2)")
      try await turns(3)
      #expect(reports.count == 0)
    }
  }

  @Test func `TG-05: a child that somebody cancels is no failure, and the group goes on`() throws {
    try runVirtually { loop in
      let value = try await withLoopTaskGroup { group in
        let victim = group.createTask { try await sleep(for: .seconds(60)) }
        let other = group.createTask {
          try await sleep(for: .seconds(2))
          return 1
        }
        try await sleep(for: .seconds(1))
        victim.cancel()
        return try await other.value
      }
      #expect(value == 1)
    }
  }

  @Test(arguments: [false, true])
  func `TG-06: the caller is cancelled: all children are cancelled and waited for; a cancellation comes out`(
    bodyHasEnded: Bool
  ) throws {
    try runVirtually { loop in
      let start = loop.now
      let ends = Log()
      let task = loop.createTask {
        try await withLoopTaskGroup { group in
          for seconds in [1, 3] {
            group.createTask {
              do { try await sleep(for: .seconds(60)) } catch {
                try await sleep(for: .seconds(seconds))
                ends.add("\(AnyLoopTask.current?.cancellationReason?.message ?? "")")
                throw error
              }
            }
          }
          if !bodyHasEnded { try await sleep(for: .seconds(60)) }
        }
      }
      try await turns(4)
      task.cancel("enough")
      #expect(await ending { try await task.value } == "cancelled")
      #expect(ends.entries == ["enough", "enough"])
      #expect(loop.seconds(since: start) == 3)
      #expect(task.cancelling == 1)
    }
  }

  @Test(.inOrder) func `TG-06: a body that catches the cancel may end its children in its own way`() throws {
    try runVirtually { loop in
      let notes = Log()
      let task = loop.createTask {
        try await withLoopTaskGroup { group in
          let stop = loop.createFuture(of: Void.self)
          group.createTask {
            try await stop.value
            notes.add("worker done")
          }
          do { try await sleep(for: .seconds(60)) } catch {
            group.createTask { notes.add("last one") }
            try stop.setResult()
          }
          return 1
        }
      }
      try await turns(4)
      task.cancel()
      #expect(await outcome(of: task) == "1")
      #expect(notes.entries == ["last one", "worker done"])
    }
  }

  @Test func `TG-08: the body throws: the children are cancelled, and the group error has its error`() throws {
    try runVirtually { loop in
      let kept = Tasks()
      let end = await ending {
        try await withLoopTaskGroup { group in
          kept.all = [group.createTask { try await waited(60) }]
          try await turns()
          throw Boom("body")
        }
      }
      #expect(end == "group(body)")
      #expect(kept.all[0].isCancelled)
      let cancelled = await ending {
        try await withLoopTaskGroup { group in
          kept.all = [group.createTask { try await waited(60) }]
          try await turns()
          throw CancellationError()
        }
      }
      #expect(cancelled == "cancelled")
      #expect(kept.all[0].isCancelled)
    }
  }

  @Test func `TG-09, T-48: a body swallows the group's cancel: the error is still thrown, the count is back`() throws {
    try runVirtually { loop in
      let end = await ending {
        try await withLoopTaskGroup { group in
          group.createTask { throw Boom() }
          try? await sleep(for: .seconds(60))
          return 1
        }
      }
      #expect(end == "group(boom)")
      #expect(AnyLoopTask.current?.cancelling == 0)
      #expect(!Task.isCancelled)
      try await turns()
    }
  }
}
