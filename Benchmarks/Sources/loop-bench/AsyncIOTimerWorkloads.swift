// SPDX-License-Identifier: Apache-2.0
//
// The timer workloads on AsyncIO, by its public API.

import AsyncIO

enum AsyncIOTimerWorkloads {
  static func fire(_ n: Int) throws -> UInt64 {
    try measured { loop in
      var delays = Delays()
      var left = n
      let end: Future<Void> = loop.createFuture()
      let callback = {
        left -= 1
        if left == 0 { try end.setResult() }
      }
      for _ in 0..<n { loop.callLater(.microseconds(delays.next() % 50_000), callback) }
      try await end.value
    }
  }

  static func cancelInOrder(_ n: Int) throws -> UInt64 { try cancel(n) { Array(0..<UInt32(n)) } }

  static func cancelAtRandom(_ n: Int) throws -> UInt64 { try cancel(n) { permutation(n) } }

  private static func cancel(_ n: Int, order: () -> [UInt32]) throws -> UInt64 {
    let order = order()
    return try measured { loop in
      var delays = Delays()
      let callback = {}
      var handles: [TimerHandle] = []
      handles.reserveCapacity(n)
      for _ in 0..<n {
        handles.append(loop.callLater(.microseconds(30_000_000 + delays.next() % 10_000_000), callback))
      }
      for index in order { handles[Int(index)].cancel() }
    }
  }

  static let idleTimeouts = 100_000
  static let pushesInTurn = 64

  static func churn(_ n: Int) throws -> UInt64 {
    try EventLoop.run { loop in
      var delays = Delays()
      let callback = {}
      let handles = (0..<idleTimeouts).map { _ in loop.callLater(.seconds(30), callback) }
      let end: Future<Void> = loop.createFuture()
      let turns = Turns()
      var left = n
      turns.next = {
        for _ in 0..<min(pushesInTurn, left) {
          handles[delays.next() % idleTimeouts].reschedule(after: .seconds(30))
        }
        left -= min(pushesInTurn, left)
        if left == 0 { try end.setResult() } else { loop.callSoon(turns.next) }
      }
      let start = monotonicNanoseconds()
      loop.callSoon(turns.next)
      try await end.value
      let taken = monotonicNanoseconds() - start
      turns.next = {}
      for handle in handles { handle.cancel() }
      return taken
    }
  }

  private final class Turns {
    var next: () throws -> Void = {}
  }

  private static func measured(
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void
  ) throws -> UInt64 {
    try EventLoop.run { loop in
      let start = monotonicNanoseconds()
      try await body(loop)
      return monotonicNanoseconds() - start
    }
  }
}

/// The delays of all contenders.
struct Delays {
  private var state: UInt64 = 42

  mutating func next() -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int(state >> 33)
  }
}

/// The numbers below n, shuffled: the same way each time.
func permutation(_ n: Int) -> [UInt32] {
  var delays = Delays()
  var numbers = Array(0..<UInt32(n))
  for index in numbers.indices.dropFirst().reversed() { numbers.swapAt(index, delays.next() % (index + 1)) }
  return numbers
}
