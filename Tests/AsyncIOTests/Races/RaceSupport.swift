// SPDX-License-Identifier: Apache-2.0
//
// What the races share: a seed decides the order of each batch, and all that the test itself chooses.

import AsyncIOTesting

@testable import AsyncIO

/// Things that happen at some second, several of them in one turn.
///
/// Seconds are few, so that much meets in each; and what comes due together was armed in a random order.
final class Happenings {
  /// All that has happened, with its second.
  private(set) var past: [(second: Int, name: String)] = []
  private var future: [(second: Int, name: String, action: () -> Void)] = []

  func plan(_ name: String, at second: Int, _ action: @escaping () -> Void) { future.append((second, name, action)) }

  /// Arms them; those of the second 0 happen now, or in the next turn, or at once when the loop looks at its timers.
  func arm(_ random: inout SplitMix64, on loop: isolated EventLoop) {
    future.shuffle(using: &random)
    for (second, name, action) in future {
      let happen = {
        self.past.append((second, name))
        action()
      }
      switch second {
      case 0 where Bool.random(using: &random): happen()
      case 0: loop.callSoon(happen)
      default: loop.callLater(.seconds(second), happen)
      }
    }
    future = []
  }
}

extension EventLoop {
  /// Runs a body over the seeds of the races: some; with `ASYNCIO_SEEDS=all` a hundred thousand. And in FIFO order, where
  /// a seed decides no more than what the test itself chooses.
  nonisolated static func race(
    _ configuration: TestLoop.Configuration = .init(),
    _ body: @escaping @Sendable (isolated EventLoop, inout SplitMix64) async throws -> Void
  ) throws {
    for seed in Schedules.seeds(of: 10_000, usually: 12) {
      do {
        try TestLoop.run(configuration.traced(false)) { loop in try await runRace(seed, on: loop, body) }
      } catch {
        throw RaceError(description: "in FIFO order, with the choices of seed \(seed): \(error)")
      }
    }
    try TestLoop.run(seeds: Schedules.seeds(of: 100_000, usually: 100), configuration.traced(false)) { loop in
      try await runRace(loop.testSeed ?? 0, on: loop, body)
    }
  }

  private static func runRace(
    _ seed: UInt64, on loop: isolated EventLoop,
    _ body: (isolated EventLoop, inout SplitMix64) async throws -> Void
  ) async throws {
    var random = SplitMix64(state: seed &+ 0xace)
    try await body(loop, &random)
    // What was planned for later than the end has passed then.
    try await loop.sleep(for: .seconds(10))
  }
}

/// `false` fails the seed; an expectation of the testing library would cost more than a race.
func require(_ condition: Bool, _ words: @autoclosure () -> String, line: UInt = #line) throws {
  if !condition { throw RaceError(description: "\(words()), at line \(line)") }
}

struct RaceError: Error, CustomStringConvertible {
  let description: String
}
