// SPDX-License-Identifier: Apache-2.0
//
// The life of a task: start, names, who is current, task-locals.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime, .overSeeds(200)) struct TaskLifeTests {
  @TaskLocal static var word = "none"

  @concurrent private static func away() async -> String? { AnyLoopTask.current?.name }
  private static func inherited() async -> String? { AnyLoopTask.current?.name }

  @Test(.inOrder) func `T-01: bodies start in the next turn, in order of creation`() throws {
    try runVirtually { loop in
      let log = Log()
      loop.callSoon { log.add("before") }
      for name in ["a", "b", "c"] { loop.createTask { log.add(name) } }
      loop.callSoon { log.add("after") }
      #expect(log.entries.isEmpty)
      try await turns()
      #expect(log.entries == ["before", "a", "b", "c", "after"])
    }
  }

  @Test(.inOrder) func `T-01: a task that a task creates starts a turn later`() throws {
    try runVirtually { loop in
      let log = Log()
      let task = loop.createTask {
        let child = loop.createTask { log.add("child") }
        loop.callSoon { log.add("callback") }
        log.add("parent")
        try await child.value
      }
      loop.callSoon { log.add("neighbour") }
      try await task.value
      #expect(log.entries == ["parent", "neighbour", "child", "callback"])
    }
  }

  @Test func `T-06: a task that has ended is awaited without giving up the turn`() throws {
    try runVirtually { loop in
      let task = loop.createTask { 5 }
      #expect(!task.isDone)
      #expect(throws: InvalidStateError(.notDone)) { try task.result() }
      let value = try await task.value
      #expect(value == 5)
      let counter = Counter()
      loop.callSoon { counter.value += 1 }
      #expect(try await task.value == 5)
      #expect(try task.result() == 5)
      #expect(try task.error() == nil)
      #expect(counter.value == 0)
    }
  }

  @Test func `T-06: a task's error is thrown by reading it, the same object`() throws {
    try runVirtually { loop in
      let boom = Boom()
      let task = loop.createTask { () async throws -> Int in throw boom }
      let thrown = await #expect(throws: Boom.self) { try await task.value }
      #expect(thrown === boom)
      let read = try task.error()
      #expect(read as? Boom === boom)
      #expect(!task.isCancelled)
    }
  }

  @Test func `T-07: a task that awaits itself gets an error, and goes on`() throws {
    try runVirtually { loop in
      var itself: LoopTask<String>?
      let task = loop.createTask { () async throws -> String in
        do {
          return try await itself?.value ?? "no task"
        } catch is AwaitsItselfError {
          try await turns()
          return "error"
        }
      }
      itself = task
      let value = try await task.value
      #expect(value == "error")
    }
  }

  @Test func `T-12: the current task is the one that runs, and none in a callback`() throws {
    #expect(AnyLoopTask.current == nil)
    try runVirtually { loop in
      let main = try #require(AnyLoopTask.current)
      #expect(main.name == "main")
      let log = Log()
      func note(_ place: String) { log.add("\(place) \(AnyLoopTask.current?.name ?? "none")") }
      loop.callSoon { note("callback") }
      let done = loop.createFuture(of: Int.self)
      done.addDoneCallback { note("done callback") }
      try done.setResult(1)
      for name in ["a", "b"] {
        loop.createTask(name: name) {
          for _ in 0..<3 {
            note(name)
            try await turns()
            note(name)
            await Task.yield()
            note(name)
          }
        }
      }
      loop.callLater(.zero) { note("timer") }
      try await turns(12)
      #expect(AnyLoopTask.current === main)
      #expect(log.entries.filter { $0 == "a a" }.count == 9)
      #expect(log.entries.filter { $0 == "b b" }.count == 9)
      #expect(Set(log.entries) == ["a a", "b b", "callback none", "done callback none", "timer none"])
    }
  }

  @Test func `T-12: the current task is known in what it calls, not in Swift tasks that it starts`() throws {
    try runVirtually { loop in
      let task = loop.createTask(name: "outer") {
        #expect(await Self.away() == "outer")
        #expect(await Self.inherited() == "outer")
        async let child = Self.inherited()
        #expect(await child == nil)
        let immediate = Task.immediate {
          _ = loop
          return AnyLoopTask.current?.name
        }
        #expect(AnyLoopTask.current?.name == "outer")
        #expect(await immediate.value == nil)
        #expect(AnyLoopTask.current?.name == "outer")
        let foreign = Task {
          _ = loop
          return AnyLoopTask.current?.name
        }
        #expect(await foreign.value == nil)
      }
      try await task.value
    }
  }

  @Test func `T-13: all tasks are the pending ones of this loop, in order of creation`() throws {
    let other = try EventLoop()
    defer { other.close() }
    try runVirtually { loop in
      let main = try #require(AnyLoopTask.current)
      let future = loop.createFuture(of: Void.self)
      let tasks: [AnyLoopTask] = (0..<5).map { _ in loop.createTask { try await future.value } }
      loop.createTask {}
      #expect(loop.allTasks.count == 7)
      try await turns()
      #expect(loop.allTasks.elementsEqual([main] + tasks, by: ===))
      tasks[2].cancel()
      #expect(loop.allTasks.count == 6)
      try await turns()
      // The future was cancelled with the one.
      #expect(loop.allTasks.elementsEqual([main], by: ===))
    }
    try other.runUntilComplete { loop in
      #expect(loop.allTasks.map(\.name) == ["main"])
    }
  }

  @Test func `T-13: all tasks are consistent while 4 threads run loops of their own`() async throws {
    try await withThrowingTaskGroup { group in
      for _ in 0..<4 {
        group.addTask {
          try await onThread {
            try runInRealTime { loop in
              for round in 0..<200 {
                let tasks = (0..<round % 10).map { _ in loop.createTask { try await turns() } }
                #expect(loop.allTasks.count == tasks.count + 1)
                #expect(loop.allTasks.allSatisfy { $0.loop === loop && !$0.isDone })
                for task in tasks { try await task.value }
              }
            }
          }
        }
      }
      try await group.waitForAll()
    }
  }

  @Test func `T-14: a name is kept, and default names are unique and increasing`() throws {
    try runVirtually { loop in
      #expect(loop.createTask(name: "given") {}.name == "given")
      let numbers = (0..<10).compactMap { _ in Int(loop.createTask {}.name.dropFirst("Task-".count)) }
      #expect(numbers.count == 10)
      #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 })
      let task = loop.createTask(name: "described") { try await turns() }
      #expect(task.description.hasPrefix("LoopTask(described, pending, made at "))
      try await task.value
      #expect(task.description == "LoopTask(described, done)")
    }
  }

  @Test(.inOrder) func `T-17: a task starts with its creator's task-locals, and changes do not leak`() throws {
    try runVirtually { loop in
      let seen = Log()
      try await Self.$word.withValue("parent") {
        let child = loop.createTask {
          seen.add("child starts with \(Self.word)")
          await Self.$word.withValue("child") {
            try? await turns()
            seen.add("child has \(Self.word)")
          }
        }
        loop.callSoon { seen.add("callback has \(Self.word)") }
        try await child.value
        seen.add("parent has \(Self.word)")
      }
      #expect(
        seen.entries == [
          "child starts with parent", "callback has none", "child has child", "parent has parent",
        ])
    }
  }

  @Test func `T-17: 100 parallel children do not see each other's task-locals`() throws {
    try runVirtually { loop in
      let children = (0..<100).map { number in
        loop.createTask {
          try await Self.$word.withValue("\(number)") {
            for _ in 0..<3 {
              try await turns()
              guard Self.word == "\(number)" else { return false }
            }
            return true
          }
        }
      }
      for child in children {
        let isAlone = try await child.value
        #expect(isAlone)
      }
      #expect(Self.word == "none")
    }
  }

  @Test func `a task need not be kept, and goes when it has ended`() throws {
    try runVirtually { loop in
      weak var task: AnyLoopTask?
      weak var captured: Log?
      let start: () -> Void = {
        let log = Log()
        captured = log
        task = loop.createTask {
          try await turns()
          log.add("ran")
        }
      }
      start()
      try await turns()
      #expect(task != nil)
      #expect(captured != nil)
      try await turns(2)
      #expect(task == nil)
      #expect(captured == nil)
    }
  }
}
