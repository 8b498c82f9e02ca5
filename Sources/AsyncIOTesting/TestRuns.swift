// SPDX-License-Identifier: Apache-2.0
//
// From a loop to the test that it is run by.

import AsyncIO

/// The runs of this process that have not ended.
enum TestRuns {
  private static let runs = Locked<[ObjectIdentifier: TestRun]>([:])

  static func register(_ run: TestRun) { runs.withLock { $0[ObjectIdentifier(run.loop)] = run } }

  static func forget(_ run: TestRun) { runs.withLock { $0[ObjectIdentifier(run.loop)] = nil } }

  /// The run of a loop; `nil` for one that no test made.
  static func run(of loop: EventLoop) -> TestRun? { runs.withLock { $0[ObjectIdentifier(loop)] } }
}

/// A loop was asked for what only a loop under test can do.
public struct NoTestLoopError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The fact and the cure.
  public var description: String { "the loop is none of a test; run the body by TestLoop.run" }
}
