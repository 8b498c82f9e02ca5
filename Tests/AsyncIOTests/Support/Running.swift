// SPDX-License-Identifier: Apache-2.0
//
// The ways in which tests run a body: on virtual time, in memory, in real time; in FIFO order and over seeds.

@testable import AsyncIO
import AsyncIOTesting
import Testing

/// `EventLoop.run` on virtual time, in FIFO order, whose value it returns, and over the seeds of the present test. A test
/// that would hang fails, and so does one that leaves a task, a timer or a watch behind when its tasks have been
/// cancelled and have ended.
@discardableResult
func runVirtually<T: Sendable>(
  _ configuration: EventLoop.Configuration = .init(), grace: Duration? = nil,
  network: TestLoop.Network? = nil, faults: [TestLoop.Fault] = [],
  graceForDescriptors: Duration = .milliseconds(5), mayLeave: Bool = false,
  _ body: @escaping @Sendable (isolated EventLoop) async throws -> T
) throws -> T {
  var test = TestLoop.Configuration(leaks: mayLeave ? .off : .afterShutdown)
  test.loop = configuration
  test.network = network
  test.system.faults = faults
  test.graceForDescriptors = graceForDescriptors
  test.shutdownGrace = grace
  test.patience = .milliseconds(100)
  test.isTraced = false
  if case .seeded(let seed) = configuration.seams.batchOrder { test.order = .seeded(seed) }
  let value = try TestRun(test).run(body).get()
  // Where the test chose an order itself, it is that.
  if configuration.seams.batchOrder == .fifo { try run(test, seeds: Schedules.seeds, body) }
  return value
}

/// `EventLoop.run` for tests of the kernel and of threads, in real time: as with `runVirtually`, a test that hangs fails,
/// and so does one that leaves something behind.
@discardableResult
func runInRealTime<T: Sendable>(
  _ configuration: EventLoop.Configuration = .init(),
  _ body: @escaping @Sendable (isolated EventLoop) async throws -> T
) throws -> T {
  var test = TestLoop.Configuration(time: .real, leaks: .afterShutdown)
  test.loop = configuration
  test.shutdownGrace = nil
  test.patience = .seconds(60)
  test.limitOfRealTime = .seconds(120)
  test.isTraced = false
  return try TestRun(test).run { loop in
    // The kit asks the kernel for its backend with the first wait. Who counts descriptors has that behind him.
    try await loop.sleep(for: .microseconds(1))
    return try await body(loop)
  }.get()
}

/// The same as `runVirtually`, with sockets in memory: for tests of what is done with a connection, and not of the
/// kernel.
@discardableResult
func runInMemory<T: Sendable>(
  capacity: Int = 65_536, faults: [TestLoop.Fault] = [],
  _ body: @escaping @Sendable (isolated EventLoop) async throws -> T
) throws -> T {
  var network = TestLoop.Network()
  network.capacity = capacity
  return try runVirtually(network: network, faults: faults, body)
}

private func run<T: Sendable>(
  _ configuration: TestLoop.Configuration, seeds: Range<UInt64>,
  _ body: @escaping @Sendable (isolated EventLoop) async throws -> T
) throws {
  try TestLoop.run(seeds: seeds, configuration) { loop in _ = try await body(loop) }
}

/// Calls a test with the configuration of a loop on virtual time: once in FIFO order, and once in the order of each seed.
/// For tests that make their loops themselves, or that look at what a loop left when it is closed.
func inEachOrder(_ test: (EventLoop.Configuration) throws -> Void) throws {
  let orders = [BatchOrder.fifo] + Schedules.seeds.map { .seeded($0) }
  for order in orders {
    var configuration = EventLoop.Configuration.virtual()
    configuration.seams.batchOrder = order
    var error: (any Error)?
    let issues = try Issues.watching {
      // What it runs itself has the order already.
      Schedules.$seeds.withValue(0..<0) {
        do { try test(configuration) } catch let caught { error = caught }
      }
    }
    guard error != nil || !issues.isEmpty else { continue }
    if case .seeded(let seed) = order { Issue.record("it fails in the order of seed \(seed)") }
    if let error { throw error }
    return
  }
}
