// SPDX-License-Identifier: Apache-2.0
//
// What is measured: its name, its size, and who can run it.

import CRawLibevent

/// One workload, and how each contender runs `n` operations of it; the result is in nanoseconds for all of them.
struct Workload: Sendable {
  let name: String
  /// What one operation is.
  let operation: String
  let defaultCount: Int
  let ours: @Sendable (Int) throws -> UInt64
  let peerName: String
  let peer: @Sendable (Int) throws -> UInt64
  let target: Target

  /// The most that ours may take.
  enum Target: Sendable, ExpressibleByFloatLiteral {
    /// In units of the peer's time.
    case ratio(Double)
    /// More than the peer's, in nanoseconds an operation.
    case difference(Double)

    init(floatLiteral value: Double) { self = .ratio(value) }
  }
}

extension Workload {
  static let all: [Workload] = [
    Workload(
      name: "soon-batch", operation: "one callback", defaultCount: 1_000_000,
      ours: AsyncIOWorkloads.soonBatch,
      peerName: "raw libevent", peer: { raw_soon_batch(UInt64($0)) }, target: 0.45),
    Workload(
      name: "soon-chain", operation: "one callback", defaultCount: 1_000_000,
      ours: AsyncIOWorkloads.soonChain,
      peerName: "raw libevent", peer: { raw_soon_chain(UInt64($0)) }, target: 1.0),
    Workload(
      name: "threadsafe", operation: "one callback", defaultCount: 1_000_000,
      ours: AsyncIOWorkloads.threadsafe,
      peerName: "raw libevent", peer: { raw_threadsafe(UInt64($0)) }, target: 0.6),
    Workload(
      name: "timers-fire", operation: "arm and fire", defaultCount: 1_000_000, ours: AsyncIOTimerWorkloads.fire,
      peerName: "raw libevent", peer: { raw_timers_fire(UInt64($0)) }, target: 0.25),
    Workload(
      name: "timers-cancel-fifo", operation: "arm and cancel", defaultCount: 1_000_000,
      ours: AsyncIOTimerWorkloads.cancelInOrder,
      peerName: "raw libevent", peer: { raw_timers_cancel(UInt64($0), nil) }, target: 0.45),
    Workload(
      name: "timers-cancel-rand", operation: "arm and cancel", defaultCount: 1_000_000,
      ours: AsyncIOTimerWorkloads.cancelAtRandom,
      peerName: "raw libevent", peer: { raw_timers_cancel(UInt64($0), permutation($0)) }, target: 0.45),
    Workload(
      name: "timers-churn", operation: "push back", defaultCount: 5_000_000, ours: AsyncIOTimerWorkloads.churn,
      peerName: "raw libevent", peer: { raw_timers_churn(UInt64($0)) }, target: 0.20),
    Workload(
      name: "spawn-await", operation: "one task", defaultCount: 500_000, ours: AsyncIOWorkloads.spawnAwait,
      peerName: "bare executor", peer: BareExecutorWorkloads.spawnAwait, target: 1.3),
    Workload(
      name: "pingpong", operation: "one round trip", defaultCount: 300_000, ours: AsyncIOWorkloads.pingPong,
      peerName: "bare executor", peer: BareExecutorWorkloads.pingPong, target: 0.9),
    Workload(
      name: "gather", operation: "one task", defaultCount: 10_000, ours: CombinatorWorkloads.gather,
      peerName: "bare executor", peer: BareExecutorWorkloads.gather, target: 1.3),
    Workload(
      name: "wait-for", operation: "one await", defaultCount: 300_000, ours: CombinatorWorkloads.waitFor,
      peerName: "ours, without a limit", peer: CombinatorWorkloads.plainAwait, target: .difference(250)),
    Workload(
      name: "sleep-gather", operation: "one task (CPU)", defaultCount: 100_000, ours: CombinatorWorkloads.sleepGather,
      peerName: "asyncio (python3)", peer: PythonWorkloads.sleepGather, target: 0.25),
  ]
}
