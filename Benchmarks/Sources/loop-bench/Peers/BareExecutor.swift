// SPDX-License-Identifier: Apache-2.0
//
// What Swift's runtime itself costs: the task workloads on a FIFO that is serial and task executor in one, with public
// API only, and nothing else.

extension Contender {
  static let bareExecutor = Contender(
    name: "bare-executor",
    work: .here([
      "spawn-await": BareExecutorTasks.spawnAwait,
      "pingpong": BareExecutorTasks.pingPong,
      "gather": BareExecutorTasks.gather,
      // A round trip is two suspensions, and so are a put and a get that both wait.
      "queue": BareExecutorTasks.pingPong,
    ]), isPart: true)
}

private enum BareExecutorTasks {
  static func spawnAwait(_ n: Int) -> Reading {
    measured(n) { executor in
      let counter = Counter()
      for _ in 0..<n {
        await Task(executorPreference: executor) { counter.value += 1 }.value
      }
    }
  }

  static func pingPong(_ n: Int) -> Reading {
    measured(n) { executor in
      let toPing = Mailbox()
      let toPong = Mailbox()
      let pong = Task(executorPreference: executor) {
        for _ in 0..<n {
          let ball = await toPong.take()
          toPing.put(ball + 1)
        }
      }
      for number in 0..<n {
        toPong.put(number)
        _ = await toPing.take()
      }
      await pong.value
    }
  }

  static func gather(_ n: Int) -> Reading {
    measured(n) { executor in
      let counter = Counter()
      for start in stride(from: 0, to: n, by: gathered) {
        let tasks = (start..<min(start + gathered, n)).map { number in
          Task(executorPreference: executor) { counter.value += number }
        }
        for task in tasks { await task.value }
      }
    }
  }

  private static func measured(
    _ n: Int, _ body: @escaping @Sendable (BareExecutor) async -> Void
  ) -> Reading {
    let executor = BareExecutor()
    let result = Outcome()
    Task(executorPreference: executor) {
      let watch = Stopwatch()
      await body(executor)
      result.reading = watch.reading(n)
      executor.isDone = true
    }
    executor.run()
    return result.reading
  }

  private final class Outcome: @unchecked Sendable {
    var reading = Reading(operations: 0, wall: 0, processor: 0)
  }
}

/// Everything here runs on the one thread that calls `run`.
final class BareExecutor: SerialExecutor, TaskExecutor, @unchecked Sendable {
  var isDone = false
  private var jobs: [UnownedJob] = []
  private var batch: [UnownedJob] = []

  func enqueue(_ job: consuming ExecutorJob) { jobs.append(UnownedJob(job)) }

  func isIsolatingCurrentContext() -> Bool? { true }

  func run() {
    while !isDone {
      swap(&jobs, &batch)
      for job in batch {
        job.runSynchronously(isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
      }
      batch.removeAll(keepingCapacity: true)
    }
  }
}

private final class Counter: @unchecked Sendable {
  var value = 0
}

/// A place for one value, and one who waits for it.
private final class Mailbox: @unchecked Sendable {
  private var value: Int?
  private var waiter: CheckedContinuation<Int, Never>?

  func put(_ value: Int) {
    if let waiter {
      self.waiter = nil
      waiter.resume(returning: value)
    } else {
      self.value = value
    }
  }

  func take() async -> Int {
    if let value {
      self.value = nil
      return value
    }
    return await withCheckedContinuation { waiter = $0 }
  }
}
