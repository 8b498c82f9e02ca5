// SPDX-License-Identifier: Apache-2.0
//
// The workloads of the combinators on AsyncIO, by its public API.

import AsyncIO

extension Contender {
  /// What a limit adds to an await is told beside the await alone.
  static let oursWithoutLimit = Contender(
    name: "without-limit", work: .here(["wait-for": AsyncIOCombinators.plainAwait]), isPart: true)
}

enum AsyncIOCombinators {
  static let bodies: [String: Contender.Body] = [
    "gather": gather,
    "sleep-gather": sleepGather,
    "wait-for": waitFor,
  ]

  private static func gather(_ n: Int) throws -> Reading {
    try onLoop(n) { loop in
      let sum = Sum()
      for start in stride(from: 0, to: n, by: gathered) {
        let numbers = start..<min(start + gathered, n)
        try await AsyncIO.gather(numbers.map { number in loop.createTask { sum.value += number } })
      }
    }
  }

  private static func sleepGather(_ n: Int) throws -> Reading {
    try onLoop(n) { loop in
      var delays = Delays()
      let tasks = (0..<n).map { _ in
        let delay = Duration.microseconds(delays.short())
        return loop.createTask { try await sleep(for: delay) }
      }
      try await AsyncIO.gather(tasks)
    }
  }

  /// A future that is completed in time, waited for with a limit.
  private static func waitFor(_ n: Int) throws -> Reading {
    try onLoop(n) { loop in
      for _ in 0..<n {
        let future = loop.createFuture(of: Void.self)
        loop.callSoon { try future.setResult() }
        try await AsyncIO.waitFor(future, timeout: .seconds(60))
      }
    }
  }

  fileprivate static func plainAwait(_ n: Int) throws -> Reading {
    try onLoop(n) { loop in
      for _ in 0..<n {
        let future = loop.createFuture(of: Void.self)
        loop.callSoon { try future.setResult() }
        try await future.value
      }
    }
  }
}

private final class Sum {
  var value = 0
}
