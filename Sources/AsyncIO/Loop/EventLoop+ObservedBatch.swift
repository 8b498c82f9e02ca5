// SPDX-License-Identifier: Apache-2.0
//
// The batch of a turn with a stop-watch (debug mode) and a shuffle (a test's seed).

extension EventLoop {
  /// Runs a batch as ``turn()`` does, measures each entry in debug mode, and takes them in the order of the seed.
  func runObservedBatch() {
    let size = min(executor.ready.count, Pace.maximumJobs)
    for offset in shuffledOffsets(size) {
      let work = executor.ready.take(at: offset)
      guard isDebugging else {
        executor.run(work)
        continue
      }
      runningSite = nil
      let start = timeSource.now
      executor.run(work)
      reportIfSlow(timeSource.now.duration(since: start))
    }
    for _ in 0..<size { _ = executor.ready.takeFirst() }
    noteJobs(size)
  }

  private func shuffledOffsets(_ size: Int) -> [Int] {
    guard case .seeded(let seed) = batchOrder else { return Array(0..<size) }
    var generator = SplitMix64(state: seed &+ batchNumber)
    batchNumber &+= 1
    return (0..<size).shuffled(using: &generator)
  }

  private func reportIfSlow(_ taken: Duration) {
    guard taken >= slowCallbackDuration else { return }
    reportException(
      ExceptionContext(
        .slowCallback, "a callback or a step of a task took \(taken)", creationSite: runningSite))
  }
}

/// The generator behind a seeded order (Steele, Lea and Flood, 2014): small, and the same on every machine.
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
