// SPDX-License-Identifier: Apache-2.0
//
// What is measured: its name, its sizes, and what it is compared with.

/// One workload. How each contender runs n operations of it, is the contender's.
struct Workload: Sendable {
  enum Family: String, CaseIterable, Sendable {
    case callbacks, timers, tasks
  }

  let name: String
  let family: Family
  /// What one operation is.
  let operation: String
  /// The name of the contender whose time is 1.
  var base = Contender.rawLibevent.name
  let sizes: [Size]

  /// One row of measurements.
  struct Size: Sendable {
    let count: Int
    /// How often it is done in each process. Where it is short, once would tell of code that has not run yet.
    var repeats = 1
    var basis = Basis.wall
    /// The most that ours may take.
    var target: Target?
  }

  /// Which time is compared.
  enum Basis: String, Codable, Sendable {
    case wall
    /// Where the wall's tells of delays, and not of work.
    case processor = "CPU"
  }

  enum Target: Sendable, CustomStringConvertible {
    /// In units of the base's time.
    case ratio(Double)
    /// More than the base's, in nanoseconds an operation.
    case difference(Double)

    var description: String {
      switch self {
      case .ratio(let most): "at most " + most.text(decimals: 2)
      case .difference(let most): "at most \(most.text()) ns more"
      }
    }
  }
}

extension Workload {
  static let all: [Workload] = [
    Workload(
      name: "soon-batch", family: .callbacks, operation: "one callback",
      sizes: [Size(count: 1_000_000, target: .ratio(0.45))]),
    Workload(
      name: "soon-chain", family: .callbacks, operation: "one callback",
      sizes: [Size(count: 1_000_000, target: .ratio(1.0))]),
    Workload(
      name: "threadsafe", family: .callbacks, operation: "one callback",
      sizes: [Size(count: 1_000_000, target: .ratio(0.6))]),
    Workload(
      name: "timers-fire", family: .timers, operation: "arm and fire",
      sizes: [
        Size(count: 1_000_000, target: .ratio(0.25)),
        Size(count: 20_000, repeats: 10, basis: .processor, target: .ratio(0.6)),
      ]),
    Workload(
      name: "timers-cancel-fifo", family: .timers, operation: "arm and cancel",
      sizes: [Size(count: 1_000_000, target: .ratio(0.45))]),
    Workload(
      name: "timers-cancel-rand", family: .timers, operation: "arm and cancel",
      sizes: [Size(count: 1_000_000, target: .ratio(0.45))]),
    Workload(
      name: "timers-churn", family: .timers, operation: "push back",
      sizes: [Size(count: 5_000_000, target: .ratio(0.20))]),
    Workload(
      name: "spawn-await", family: .tasks, operation: "one task", base: Contender.bareExecutor.name,
      sizes: [Size(count: 500_000, target: .ratio(1.3))]),
    Workload(
      name: "pingpong", family: .tasks, operation: "one round trip", base: Contender.bareExecutor.name,
      sizes: [Size(count: 300_000, target: .ratio(0.9))]),
    Workload(
      name: "lock", family: .tasks, operation: "acquire and release", base: Contender.oursWithoutLock.name,
      sizes: [Size(count: 5_000_000, target: .difference(30))]),
    Workload(
      name: "queue", family: .tasks, operation: "put and get", base: Contender.bareExecutor.name,
      sizes: [Size(count: 500_000, target: .ratio(1.2))]),
    Workload(
      name: "gather", family: .tasks, operation: "one task of 10000", base: Contender.bareExecutor.name,
      sizes: [Size(count: 200_000, target: .ratio(1.3))]),
    Workload(
      name: "sleep-gather", family: .tasks, operation: "one task", base: Contender.asyncio.name,
      sizes: [Size(count: 100_000, basis: .processor, target: .ratio(0.25))]),
    Workload(
      name: "wait-for", family: .tasks, operation: "one await", base: Contender.oursWithoutLimit.name,
      sizes: [Size(count: 300_000, target: .difference(250))]),
    Workload(
      name: "spawn", family: .tasks, operation: "one child", base: Contender.posixSpawn.name,
      sizes: [Size(count: 2_000, target: .ratio(1.1))]),
    Workload(
      name: "run-blocking", family: .tasks, operation: "one round trip", base: Contender.nio.name,
      sizes: [Size(count: 50_000, target: .ratio(1.0))]),
    Workload(
      name: "run-blocking-many", family: .tasks, operation: "one function of 10000", base: Contender.nio.name,
      sizes: [Size(count: 200_000, target: .ratio(1.0))]),
  ]

  static func named(_ name: String) -> Workload? { all.first { $0.name == name } }
}
