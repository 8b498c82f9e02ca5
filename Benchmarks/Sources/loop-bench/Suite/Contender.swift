// SPDX-License-Identifier: Apache-2.0
//
// Who is measured.

/// A loop, or a runtime, and how it does the workloads that it can do.
struct Contender: Sendable {
  typealias Body = @Sendable (_ n: Int) throws -> Reading

  enum Work: Sendable {
    /// By name of the workload.
    case here([String: Body])
    /// The workloads that the script can do.
    case python([String])
  }

  /// As in the lines of `raw`.
  let name: String

  /// What stands nowhere here is shown as a dash.
  let work: Work

  /// The greatest N of a workload that it can be asked for in reasonable time.
  var most: [String: Int] = [:]

  /// Shown only where it has something to show: not another loop, but a part of what one does.
  var isPart = false

  func does(_ workload: Workload) -> Bool {
    switch work {
    case .here(let bodies): bodies[workload.name] != nil
    case .python(let names): names.contains(workload.name)
    }
  }

  static let ours = Contender(
    name: "asyncio-swift",
    work: .here(
      AsyncIOCallbacks.bodies + AsyncIOTimers.bodies + AsyncIOTasks.bodies + AsyncIOCombinators.bodies
        + AsyncIOThreads.bodies + AsyncIOSynchronization.bodies))

  static let all: [Contender] = [
    ours, .rawLibevent, .posixSpawn, .bareExecutor, .oursWithoutLimit, .oursWithoutLock, .nio, .nioCallbacks,
    .swiftConcurrency,
    .asyncio, .uvloop,
  ]

  static func named(_ name: String) -> Contender? { all.first { $0.name == name } }
}

extension [String: Contender.Body] {
  static func + (one: Self, other: Self) -> Self { one.merging(other) { _, new in new } }
}
