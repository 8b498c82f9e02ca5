// SPDX-License-Identifier: Apache-2.0
//
// In which orders the bodies of `runVirtually` run: first in, first out, and over seeds, of which there are as many as
// the time allows.

import AsyncIO
import AsyncIOTesting
import Glibc
import Testing

/// The seeds that `runVirtually` goes through, after the FIFO order.
enum Schedules {
  /// Those of the present test. Set by the traits `overSeeds` and `inOrder`.
  @TaskLocal static var seeds = seeds(of: 200, usually: 1)

  /// A part of the seeds that takes no time; with `ASYNCIO_SEEDS=all` in the environment, all of them; with a number there,
  /// at least so many; and with `ASYNCIO_SEED`, that one.
  static func seeds(of count: UInt64, usually few: UInt64) -> Range<UInt64> {
    if let seed = environment("ASYNCIO_SEED").flatMap({ UInt64($0) }) { return seed..<seed &+ 1 }
    switch environment("ASYNCIO_SEEDS") {
    case "all": return 0..<count
    case let text?: return 0..<max(few, UInt64(text) ?? 0)
    case nil: return 0..<few
    }
  }

  private static func environment(_ name: String) -> String? {
    // SAFETY: getenv returns null or a C string that lives while nobody changes the environment.
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }
}

/// In which orders the bodies of a suite's or a test's `runVirtually` run.
struct ScheduleTrait: SuiteTrait, TestTrait, TestScoping {
  let seeds: Range<UInt64>
  var isRecursive: Bool { true }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    try await Schedules.$seeds.withValue(seeds) { try await function() }
  }
}

extension Trait where Self == ScheduleTrait {
  /// In FIFO order, and over so many seeds: usually a few of them.
  static func overSeeds(_ count: UInt64) -> Self {
    ScheduleTrait(seeds: Schedules.seeds(of: count, usually: min(count, 5)))
  }

  /// In FIFO order only: for a test of what is promised about it, or of how much there may be of something.
  static var inOrder: Self { ScheduleTrait(seeds: 0..<0) }
}

extension TestLoop {
  /// Runs a body in FIFO order, and over seeds: those of the present test.
  static func runInEachOrder(
    _ configuration: Configuration = .init(), seeds: Range<UInt64> = Schedules.seeds,
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void
  ) throws {
    try run(configuration.traced(false), body)
    try run(seeds: seeds, configuration.traced(false), body)
  }
}

extension TestLoop.Configuration {
  /// In FIFO order, and over the seeds of the present test: for what can be looked at only when a run is over.
  var inEachOrder: [Self] { [traced(false)] + Schedules.seeds.map { traced(false).seeded($0) } }
}
