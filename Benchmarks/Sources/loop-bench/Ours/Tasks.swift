// SPDX-License-Identifier: Apache-2.0
//
// The task workloads on AsyncIO, by its public API.

import AsyncIO

enum AsyncIOTasks {
  static let bodies: [String: Contender.Body] = [
    "spawn-await": spawnAwait,
    "pingpong": pingPong,
    "spawn": spawn,
  ]

  private static func spawnAwait(_ n: Int) throws -> Reading {
    try onLoop(n) { loop in
      let counter = Counter()
      for _ in 0..<n {
        try await loop.createTask { counter.value += 1 }.value
      }
    }
  }

  /// Children, one after the other.
  private static func spawn(_ n: Int) throws -> Reading {
    try onLoop(n) { loop in
      for _ in 0..<n { try await ChildProcess.spawn("/bin/true").waitForExit() }
    }
  }

  /// Two tasks; each hands a number to the other through a future, and waits for the answer.
  private static func pingPong(_ n: Int) throws -> Reading {
    try onLoop(n) { loop in
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
