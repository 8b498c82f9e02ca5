// SPDX-License-Identifier: Apache-2.0
//
// Timers as plain Swift has them: a task that sleeps, and then does something.

enum SwiftTimers {
  static let bodies: [String: Contender.Body] = [
    "timers-fire": fire,
    "timers-cancel-fifo": { try cancel($0, order: Array(0..<UInt32($0))) },
    "timers-cancel-rand": { try cancel($0, order: permutation($0)) },
    "timers-churn": churn,
  ]

  private static func fire(_ n: Int) throws -> Reading {
    try onGlobalPool {
      let count = SwiftCount(n)
      var delays = Delays()
      let watch = Stopwatch()
      for _ in 0..<n {
        let delay = delays.short()
        Task.detached {
          try await Task.sleep(for: .microseconds(delay))
          count.down()
        }
      }
      await count.wait()
      return watch.reading(n)
    }
  }

  private static func cancel(_ n: Int, order: [UInt32]) throws -> Reading {
    try onGlobalPool {
      let started = SwiftCount(n)
      let ended = SwiftCount(n)
      var delays = Delays()
      let watch = Stopwatch()
      let timers = (0..<n).map { _ in
        let delay = delays.long()
        return Task.detached {
          started.down()
          try? await Task.sleep(for: .microseconds(delay))
          ended.down()
        }
      }
      await started.wait()
      for index in order { timers[Int(index)].cancel() }
      await ended.wait()
      return watch.reading(n)
    }
  }

  private static func churn(_ n: Int) throws -> Reading {
    try onGlobalPool {
      let started = SwiftCount(Churn.idleTimeouts)
      var timers = (0..<Churn.idleTimeouts).map { _ in
        Task.detached {
          started.down()
          try? await Task.sleep(for: .seconds(Churn.seconds))
        }
      }
      await started.wait()
      var delays = Delays()
      let watch = Stopwatch()
      for number in 0..<n {
        let index = delays.next() % Churn.idleTimeouts
        timers[index].cancel()
        timers[index] = Task.detached { try? await Task.sleep(for: .seconds(Churn.seconds)) }
        if number % Churn.pushesInTurn == 0 { await Task.yield() }
      }
      return watch.reading(n)
    }
  }
}
