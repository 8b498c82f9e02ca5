// SPDX-License-Identifier: Apache-2.0
//
// Plain Swift concurrency: detached tasks on the global pool, and `Task.sleep` where others have a timer.

import Glibc
import Synchronization

extension Contender {
  static let swiftConcurrency = Contender(
    name: "swift",
    work: .here(
      [
        "soon-batch": SwiftCallbacks.batch,
        "soon-chain": SwiftCallbacks.chain,
        "threadsafe": SwiftCallbacks.threadsafe,
        "spawn-await": SwiftTasks.spawnAwait,
        "pingpong": SwiftTasks.pingPong,
        "gather": SwiftTasks.gather,
        "sleep-gather": SwiftTasks.sleepGather,
      ] + SwiftTimers.bodies),
    // Each of its timers is a task, of 2 KB and more, and takes 10 µs and more.
    most: [
      "timers-fire": 100_000, "timers-cancel-fifo": 100_000, "timers-cancel-rand": 100_000, "timers-churn": 100_000,
      "sleep-gather": 100_000,
    ])
}

/// Runs a body in a task of the global pool, while this thread waits.
func onGlobalPool(_ body: @escaping @Sendable () async throws -> Reading) throws -> Reading {
  final class Outcome: @unchecked Sendable {
    var result: Result<Reading, any Error>?
    let done: UnsafeMutablePointer<sem_t> = .allocate(capacity: 1)
  }
  let outcome = Outcome()
  sem_init(outcome.done, 0, 0)
  Task.detached {
    do { outcome.result = .success(try await body()) } catch { outcome.result = .failure(error) }
    sem_post(outcome.done)
  }
  while sem_wait(outcome.done) != 0 {}
  guard let result = outcome.result else { fatalError("a measurement without an outcome") }
  return try result.get()
}

/// Counts the ends of tasks, from all threads, and tells when it was the last.
final class SwiftCount: Sendable {
  private let left: Atomic<Int>
  private let last: AsyncStream<Void>.Continuation
  private let end: AsyncStream<Void>

  init(_ n: Int) {
    left = Atomic(n)
    (end, last) = AsyncStream.makeStream()
  }

  /// Whether it was the last.
  @discardableResult
  func down() -> Bool {
    guard left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return false }
    last.finish()
    return true
  }

  func wait() async { for await _ in end {} }
}

private enum SwiftCallbacks {
  static func batch(_ n: Int) throws -> Reading {
    try onGlobalPool {
      let count = SwiftCount(n)
      let watch = Stopwatch()
      for _ in 0..<n { Task.detached { count.down() } }
      await count.wait()
      return watch.reading(n)
    }
  }

  static func chain(_ n: Int) throws -> Reading {
    try onGlobalPool {
      let count = SwiftCount(n)
      let watch = Stopwatch()
      link(count)
      await count.wait()
      return watch.reading(n)
    }
  }

  private static func link(_ count: SwiftCount) {
    Task.detached { if !count.down() { link(count) } }
  }

  static func threadsafe(_ n: Int) throws -> Reading {
    try onGlobalPool {
      let count = SwiftCount(n)
      let watch = Stopwatch()
      inThread { for _ in 0..<n { Task.detached { count.down() } } }
      await count.wait()
      return watch.reading(n)
    }
  }
}

private enum SwiftTasks {
  static func spawnAwait(_ n: Int) throws -> Reading {
    try onGlobalPool {
      let watch = Stopwatch()
      for _ in 0..<n { await Task.detached {}.value }
      return watch.reading(n)
    }
  }

  static func pingPong(_ n: Int) throws -> Reading {
    try onGlobalPool {
      let (toPong, ping) = AsyncStream.makeStream(of: Int.self)
      let (toPing, pong) = AsyncStream.makeStream(of: Int.self)
      let watch = Stopwatch()
      let other = Task.detached {
        for await ball in toPong { pong.yield(ball + 1) }
      }
      var answers = toPing.makeAsyncIterator()
      for number in 0..<n {
        ping.yield(number)
        _ = await answers.next()
      }
      ping.finish()
      await other.value
      return watch.reading(n)
    }
  }

  static func gather(_ n: Int) throws -> Reading {
    try onGlobalPool {
      let watch = Stopwatch()
      for start in stride(from: 0, to: n, by: gathered) {
        await withTaskGroup { group in
          for _ in start..<min(start + gathered, n) { group.addTask {} }
        }
      }
      return watch.reading(n)
    }
  }

  static func sleepGather(_ n: Int) throws -> Reading {
    try onGlobalPool {
      var delays = Delays()
      let watch = Stopwatch()
      try await withThrowingTaskGroup { group in
        for _ in 0..<n {
          let delay = delays.short()
          group.addTask { try await Task.sleep(for: .microseconds(delay)) }
        }
        try await group.waitForAll()
      }
      return watch.reading(n)
    }
  }
}
