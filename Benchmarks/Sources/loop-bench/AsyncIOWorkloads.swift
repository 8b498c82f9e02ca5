// SPDX-License-Identifier: Apache-2.0
//
// The workloads on AsyncIO, by its public API.

import AsyncIO
import CRawLibevent
import Glibc

enum AsyncIOWorkloads {
  static func soonBatch(_ n: Int) throws -> UInt64 {
    try measured { loop in
      let count = Count(n, loop.createFuture())
      let callback = { count.down() }
      for _ in 0..<n { loop.callSoon(callback) }
      try await count.end.value
    }
  }

  static func soonChain(_ n: Int) throws -> UInt64 {
    try measured { loop in
      let count = Count(n, loop.createFuture())
      let chain = Chain()
      chain.link = {
        count.down()
        if count.left > 0 { loop.callSoon(chain.link) }
      }
      loop.callSoon(chain.link)
      try await count.end.value
      chain.link = {}
    }
  }

  /// The two threads are on two cores. The callback captures nothing, as libevent's: a closure that two threads share would
  /// pay for its reference count.
  static func threadsafe(_ n: Int) throws -> UInt64 {
    pin_to_core(0)
    defer { pin_to_core(-1) }
    return try measured { loop in
      let end: Future<Void> = loop.createFuture()
      arrivals = Count(n, end)
      inThread {
        pin_to_core(1)
        for _ in 0..<n {
          do { try loop.callSoonThreadsafe { _ in arrivals?.down() } } catch { fatalError("\(error)") }
        }
      }
      try await end.value
      arrivals = nil
    }
  }

  /// Used on the loop only.
  private nonisolated(unsafe) static var arrivals: Count?

  static func spawnAwait(_ n: Int) throws -> UInt64 {
    try measured { loop in
      let counter = Counter()
      for _ in 0..<n {
        try await loop.createTask { counter.value += 1 }.value
      }
    }
  }

  /// Two tasks; each hands a number to the other through a future, and waits for the answer.
  static func pingPong(_ n: Int) throws -> UInt64 {
    try measured { loop in
      let table = Table(loop)
      let pong = loop.createTask {
        for _ in 0..<n {
          let ball = try await table.toPong.value
          table.toPong = loop.createFuture()
          try table.toPing.setResult(ball + 1)
        }
      }
      for number in 0..<n {
        try table.toPong.setResult(number)
        _ = try await table.toPing.value
        table.toPing = loop.createFuture()
      }
      try await pong.value
    }
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

/// Confined to the loop; `Sendable` for the closures that other threads send there.
private final class Count: @unchecked Sendable {
  var left: Int
  let end: Future<Void>

  init(_ n: Int, _ end: Future<Void>) {
    left = n
    self.end = end
  }

  func down() {
    left -= 1
    if left == 0 { try? end.setResult() }
  }
}

private final class Chain {
  var link: () -> Void = {}
}

private final class Counter {
  var value = 0
}

private final class Table {
  var toPing: Future<Int>
  var toPong: Future<Int>

  init(_ loop: EventLoop) {
    toPing = loop.createFuture()
    toPong = loop.createFuture()
  }
}
