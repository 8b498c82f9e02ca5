// SPDX-License-Identifier: Apache-2.0
//
// What combinators leave on a future that lives for ever.

import ArgumentParser
import AsyncIO

struct CombinatorMemory: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Rounds of each combinator over one future that never ends; fails when memory grows with them.")

  @Argument(help: "The rounds of each, at least 100000.")
  var rounds = 1_000_000

  /// What all rounds of one may leave, in bytes: some pages, since malloc has its own ways. A single word for each of the
  /// rounds would be more.
  static let target = 512 * 1_024

  /// So many wait at a time: their limits pass, and they leave, together.
  private static let together = 1_000

  func validate() throws {
    guard rounds >= 100_000 else { throw ValidationError("give 100000 rounds or more: memory comes in pages") }
  }

  func run() throws {
    let rounds = rounds
    var isTooMuch = false
    print("combinator-memory, \(rounds) rounds over one future   bytes in all, at most \(Self.target)")
    for (name, round) in CombinatorRound.all {
      let growth = try EventLoop.run { loop in
        let future = loop.createFuture(of: Int.self)
        // What the first of them set up, stays.
        try await Self.repeatRound(rounds / 10, future, round, on: loop)
        let before = residentBytes()
        try await Self.repeatRound(rounds, future, round, on: loop)
        return residentBytes() - before
      }
      print("  " + name.padded(44) + String(growth).padded(left: 12))
      if growth > Self.target { isTooMuch = true }
    }
    if isTooMuch { throw ExitCode.failure }
  }

  private static func repeatRound(
    _ count: Int, _ future: Future<Int>, _ round: @escaping CombinatorRound.Body, on loop: isolated EventLoop
  ) async throws {
    for _ in 0..<count / together {
      var tasks: [LoopTask<Void>] = []
      for _ in 0..<together { tasks.append(loop.createTask { try await round(future, loop) }) }
      try await gather(tasks)
    }
  }
}

/// One use of a combinator, which is over, while the future that it waits for is not.
private enum CombinatorRound {
  typealias Body = @Sendable (Future<Int>, isolated EventLoop) async throws -> Void

  static let limit = Duration.microseconds(1)

  static let all: [(name: String, body: Body)] = [
    (
      "shield, left by a cancel",
      { future, loop in
        let task = loop.createTask { try await shield(future) }
        try await sleep(for: .zero)
        task.cancel()
        _ = try? await task.value
      }
    ),
    (
      "waitFor a shield, its limit passes",
      { future, loop in
        let shielded = loop.createTask { try await shield(future) }
        _ = try? await waitFor(shielded, timeout: limit)
      }
    ),
    (
      "withTimeout, its limit passes",
      { future, _ in
        _ = try? await withTimeout(limit) { try await shield(future) }
      }
    ),
    (
      "gather, another one fails",
      { future, loop in
        _ = try? await gather(future, failing(on: loop), future)
      }
    ),
    ("wait, its limit passes", { future, _ in _ = try await wait([future], timeout: limit) }),
    (
      "wait, another one is the first",
      { future, loop in
        _ = try await wait([future, ending(on: loop)], timeout: .seconds(60), returnWhen: .firstCompleted)
      }
    ),
    (
      "asCompleted, left half-way",
      { future, loop in
        for try await _ in asCompleted([future, ending(on: loop)]) { break }
      }
    ),
    (
      "asCompleted, its limit passes",
      { future, _ in
        do { for try await _ in asCompleted([future], timeout: limit) {} } catch is TimeoutError {}
      }
    ),
    (
      "a group, another child fails",
      { future, _ in
        _ = try? await withLoopTaskGroup { group in
          group.createTask { try await shield(future) }
          group.createTask { throw Failure() }
        }
      }
    ),
  ]

  private static func ending(on loop: isolated EventLoop) -> Future<Int> {
    let other = loop.createFuture(of: Int.self)
    loop.callSoon { try other.setResult(1) }
    return other
  }

  private static func failing(on loop: isolated EventLoop) -> Future<Int> {
    let other = loop.createFuture(of: Int.self)
    loop.callSoon { try other.setError(Failure()) }
    return other
  }

  private struct Failure: Error {}
}
