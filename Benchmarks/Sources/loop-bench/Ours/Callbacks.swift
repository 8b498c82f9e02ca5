// SPDX-License-Identifier: Apache-2.0
//
// The callback workloads on AsyncIO, by its public API.

import AsyncIO
import CRawLibevent

enum AsyncIOCallbacks {
  static let bodies: [String: Contender.Body] = [
    "soon-batch": soonBatch,
    "soon-chain": soonChain,
    "threadsafe": threadsafe,
  ]

  private static func soonBatch(_ n: Int) throws -> Reading {
    try onLoop(n) { loop in
      let count = Count(n, loop.createFuture())
      let callback = { count.down() }
      for _ in 0..<n { loop.callSoon(callback) }
      try await count.end.value
    }
  }

  private static func soonChain(_ n: Int) throws -> Reading {
    try onLoop(n) { loop in
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
  private static func threadsafe(_ n: Int) throws -> Reading {
    pin_to_core(0)
    defer { pin_to_core(-1) }
    return try onLoop(n) { loop in
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
