// SPDX-License-Identifier: Apache-2.0
//
// How much memory a task holds that only waits.

import ArgumentParser
import AsyncIO

struct IdleTaskMemory: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "The memory of tasks that wait, each for a future of its own; fails above the target.")

  @Argument(help: "The number of tasks.")
  var count = 100_000

  static let target = 2_048

  func validate() throws {
    guard count >= 10_000 else { throw ValidationError("give 10000 tasks or more: memory comes in pages") }
  }

  func run() throws {
    let n = count
    let (ours, peer) = try EventLoop.run { loop in
      // What the first task of a process sets up is no task's.
      try await loop.createTask {}.value
      let before = residentBytes()
      for _ in 0..<n {
        loop.createTask { try await loop.createFuture(of: Void.self).value }
      }
      // They start in the next turns; a task that starts behind the last of them comes when all wait.
      try await loop.createTask {}.value
      let ours = residentBytes() - before
      // While ours hold theirs: or they would be given what ours gave back.
      return (ours / n, idleTasksOfBareExecutor(n) / n)
    }
    print("workload          op        ours bytes  peer bytes  target  peer")
    let columns = [ours, peer].map { String($0).padded(left: 12) } + [String(Self.target).padded(left: 8)]
    print("idle-task-memory  one task" + columns.joined() + "  bare executor, an unsafe continuation")
    if ours > Self.target { throw ExitCode.failure }
  }
}

private func idleTasksOfBareExecutor(_ n: Int) -> Int {
  let executor = BareExecutor()
  let waiting = Waiting()
  waiting.all.reserveCapacity(n)
  let before = residentBytes()
  for _ in 0..<n {
    Task(executorPreference: executor) { await withUnsafeContinuation { waiting.all.append($0) } }
  }
  Task(executorPreference: executor) { executor.isDone = true }
  executor.run()
  defer { withExtendedLifetime(waiting) {} }
  return residentBytes() - before
}

private final class Waiting: @unchecked Sendable {
  var all: [UnsafeContinuation<Void, Never>] = []
}
