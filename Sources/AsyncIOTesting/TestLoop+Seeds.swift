// SPDX-License-Identifier: Apache-2.0
//
// One body over many seeds, and what is told of the seed that failed.

public import AsyncIO
import Glibc

extension TestLoop {
  /// Runs a body in the order of each seed, on a fresh loop each time, up to the first that fails.
  ///
  /// ```swift
  /// try TestLoop.run(seeds: 0..<1_000) { loop in … }
  /// ```
  ///
  /// A seed fails when the body throws, hangs or leaves something behind, or when an expectation of Swift Testing fails in
  /// it. Then it is run again, and the error has the seed, and all that ran, step by step. With `ASYNCIO_SEED=17` in the
  /// environment, that seed alone is run.
  ///
  /// - Throws: ``SeedFailure``.
  @available(*, noasync, message: "it blocks the thread; from asynchronous code, call it with await")
  public static func run(
    seeds: some Sequence<UInt64>, _ configuration: Configuration = Configuration(),
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void
  ) throws {
    for seed in chosen(seeds) {
      var error: (any Error)?
      let issues = try Issues.watching {
        do { try TestRun(configuration.seeded(seed).traced(false)).run(body).get() } catch let caught { error = caught }
      }
      guard error != nil || !issues.isEmpty else { continue }
      let replay = try TestRun(configuration.seeded(seed).traced(true))
      var again: (any Error)?
      let issuesAgain = try Issues.silencing {
        do { try replay.run(body).get() } catch let caught { again = caught }
      }
      throw SeedFailure(seed: seed, first: (error, issues), again: (again, issuesAgain), trace: replay.trace)
    }
  }

  /// Runs a body in the order of each seed, on a thread of its own; as the synchronous one in all else.
  ///
  /// - Cancellation: Cancels the body's task, waits for its end, and begins no further seed.
  public static func run(
    seeds: some Sequence<UInt64>, _ configuration: Configuration = Configuration(),
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void
  ) async throws {
    for seed in chosen(seeds) {
      try Task.checkCancellation()
      var error: (any Error)?
      let issues = try await Issues.watching {
        do {
          try await TestRun(configuration.seeded(seed).traced(false)).runOnThread(body).get()
        } catch let caught {
          error = caught
        }
      }
      if error is CancellationError && Task.isCancelled { throw CancellationError() }
      guard error != nil || !issues.isEmpty else { continue }
      let replay = try TestRun(configuration.seeded(seed).traced(true))
      var again: (any Error)?
      let issuesAgain = try await Issues.silencing {
        do { try await replay.runOnThread(body).get() } catch let caught { again = caught }
      }
      throw SeedFailure(seed: seed, first: (error, issues), again: (again, issuesAgain), trace: replay.trace)
    }
  }

  /// The seeds to run: those given, or the one that the environment names.
  private static func chosen(_ seeds: some Sequence<UInt64>) -> [UInt64] {
    let seeds = Array(seeds)
    // Who asks for none runs in FIFO order only.
    if seeds.isEmpty { return [] }
    // SAFETY: getenv returns null or a C string that lives while nobody changes the environment.
    let text = unsafe getenv("ASYNCIO_SEED").map { unsafe String(cString: $0) }
    if let seed = text.flatMap({ UInt64($0) }) { return [seed] }
    return seeds
  }
}

extension TestLoop.Configuration {
  /// The same with a trace, or without one, for which each entry is looked at: in FIFO order it runs then as a loop does
  /// that is none of a test's.
  package func traced(_ isTraced: Bool) -> Self {
    var configuration = self
    configuration.isTraced = isTraced
    return configuration
  }
}

/// A body failed in the order of a seed.
public struct SeedFailure: Error, Sendable, CustomStringConvertible {
  /// The seed: `TestLoop.run(seed:)` runs it again.
  public let seed: UInt64

  /// What came of the run that the trace is of; `nil` when only expectations failed. Where that one did not fail, what came
  /// of the first.
  public let error: (any Error)?

  /// The expectations that failed, in the same run.
  public let issues: [String]

  /// What ran.
  public let trace: TestLoop.Trace

  /// Whether it failed a second time. If not, the body asks something outside of its loop: the real time, a random number,
  /// another thread, the order of a dictionary.
  public let hasFailedAgain: Bool

  /// Of a first run, and of another one, for the trace, whose callbacks and timers know where they were made.
  fileprivate init(
    seed: UInt64, first: (error: (any Error)?, issues: [String]), again: (error: (any Error)?, issues: [String]),
    trace: TestLoop.Trace
  ) {
    self.seed = seed
    self.trace = trace
    hasFailedAgain = again.error != nil || !again.issues.isEmpty
    (error, issues) = hasFailedAgain ? again : first
  }

  /// The seed, the failure, and the last steps.
  public var description: String {
    var lines = ["seed \(seed) fails; TestLoop.run(seed: \(seed)) { … }, or ASYNCIO_SEED=\(seed), runs it again"]
    if let error { lines.append("  \(error)") }
    lines += issues.map { "  \($0)" }
    if !hasFailedAgain {
      lines.append("  run again, it did not fail: the body depends on something outside of its loop")
    }
    let last = trace.steps.suffix(Self.shownSteps)
    lines.append("  the last \(last.count) of \(trace.steps.count) steps:")
    lines += last.map { "    \($0)" }
    return lines.joined(separator: "\n")
  }

  private static let shownSteps = 40
}
