// SPDX-License-Identifier: Apache-2.0
//
// The workloads of locks and queues on AsyncIO, by its public API.

import AsyncIO

extension Contender {
  /// What a lock adds to a block is told beside the block alone.
  static let oursWithoutLock = Contender(
    name: "without-lock", work: .here(["lock": AsyncIOSynchronization.withoutLock]), isPart: true)
}

enum AsyncIOSynchronization {
  static let bodies: [String: Contender.Body] = [
    "lock": lock,
    "queue": queue,
  ]

  /// Taken when it is free, and released.
  private static func lock(_ n: Int) throws -> Reading {
    try onLoop(n) { loop in
      let lock = AsyncLock()
      let count = Tally()
      for _ in 0..<n {
        try await lock.withLock { count.value += 1 }
      }
    }
  }

  fileprivate static func withoutLock(_ n: Int) throws -> Reading {
    try onLoop(n) { loop in
      let block = Block()
      let count = Tally()
      for _ in 0..<n {
        try await block.run { count.value += 1 }
      }
    }
  }

  /// Two tasks; there is one place, so both wait for each item.
  private static func queue(_ n: Int) throws -> Reading {
    try onLoop(n) { loop in
      let queue = try AsyncQueue<Int>(capacity: 1)
      let producer = loop.createTask {
        for number in 0..<n { try await queue.put(number) }
      }
      var sum = 0
      for _ in 0..<n { sum &+= try await queue.get() }
      try await producer.value
    }
  }
}

private final class Tally {
  var value = 0
}

/// Runs blocks as a lock does, without one.
private final class Block {
  @inline(never)
  func run(_ body: () async throws -> Void) async throws { try await body() }
}
