// SPDX-License-Identifier: Apache-2.0
//
// The workloads of thread pools on AsyncIO, by its public API.

import AsyncIO

/// How many threads the pools of all contenders have.
let poolThreads = 4

enum AsyncIOThreads {
  static let bodies: [String: Contender.Body] = [
    "run-blocking": roundTrips,
    "run-blocking-many": many,
  ]

  /// One function after another: each is waited for.
  private static func roundTrips(_ n: Int) throws -> Reading {
    try withPool { loop in
      let watch = Stopwatch()
      for number in 0..<n {
        let value = try await runBlocking { number }
        precondition(value == number)
      }
      return watch.reading(n)
    }
  }

  /// Many at once.
  private static func many(_ n: Int) throws -> Reading {
    try withPool { loop in
      let watch = Stopwatch()
      for start in stride(from: 0, to: n, by: gathered) {
        let futures = try (start..<min(start + gathered, n)).map { number in try loop.runInExecutor { number } }
        for future in futures { _ = try await future.value }
      }
      return watch.reading(n)
    }
  }

  private static func withPool(
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Reading
  ) throws -> Reading {
    var configuration = EventLoop.Configuration()
    configuration.maximumBlockingThreads = poolThreads
    return try EventLoop.run(configuration: configuration) { loop in
      // The threads are there when the clock starts, as those of the others are.
      let start = try (0..<poolThreads).map { _ in try loop.runInExecutor {} }
      for future in start { try await future.value }
      return try await body(loop)
    }
  }
}
