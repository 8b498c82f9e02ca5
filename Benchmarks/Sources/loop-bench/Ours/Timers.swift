// SPDX-License-Identifier: Apache-2.0
//
// The timer workloads on AsyncIO, by its public API.

import AsyncIO

enum AsyncIOTimers {
  static let bodies: [String: Contender.Body] = [
    "timers-fire": fire,
    "timers-cancel-fifo": { try cancel($0, order: Array(0..<UInt32($0))) },
    "timers-cancel-rand": { try cancel($0, order: permutation($0)) },
    "timers-churn": churn,
  ]

  private static func fire(_ n: Int) throws -> Reading {
    try onLoop(n) { loop in
      var delays = Delays()
      var left = n
      let end: Future<Void> = loop.createFuture()
      let callback = {
        left -= 1
        if left == 0 { try end.setResult() }
      }
      for _ in 0..<n { loop.callLater(.microseconds(delays.short()), callback) }
      try await end.value
    }
  }

  private static func cancel(_ n: Int, order: [UInt32]) throws -> Reading {
    try onLoop(n) { loop in
      var delays = Delays()
      let callback = {}
      var handles: [TimerHandle] = []
      handles.reserveCapacity(n)
      for _ in 0..<n { handles.append(loop.callLater(.microseconds(delays.long()), callback)) }
      for index in order { handles[Int(index)].cancel() }
    }
  }

  private static func churn(_ n: Int) throws -> Reading {
    try EventLoop.run { loop in
      var delays = Delays()
      let callback = {}
      let handles = (0..<Churn.idleTimeouts).map { _ in loop.callLater(.seconds(Churn.seconds), callback) }
      let end: Future<Void> = loop.createFuture()
      let turns = Turns()
      var left = n
      turns.next = {
        for _ in 0..<min(Churn.pushesInTurn, left) {
          handles[delays.next() % Churn.idleTimeouts].reschedule(after: .seconds(Churn.seconds))
        }
        left -= min(Churn.pushesInTurn, left)
        if left == 0 { try end.setResult() } else { loop.callSoon(turns.next) }
      }
      let watch = Stopwatch()
      loop.callSoon(turns.next)
      try await end.value
      let reading = watch.reading(n)
      turns.next = {}
      for handle in handles { handle.cancel() }
      return reading
    }
  }

  private final class Turns {
    var next: () throws -> Void = {}
  }
}

/// Measures a body that does n operations on a loop.
func onLoop(
  _ n: Int, _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void
) throws -> Reading {
  try EventLoop.run { loop in
    let watch = Stopwatch()
    try await body(loop)
    return watch.reading(n)
  }
}
