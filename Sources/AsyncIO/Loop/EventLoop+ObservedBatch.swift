// SPDX-License-Identifier: Apache-2.0
//
// The batch of a turn with a stop-watch (debug mode), a shuffle (a test's seed) and a witness (a test's trace).

extension EventLoop {
  /// Runs a batch as ``turn()`` does, measures each entry in debug mode, and takes them in the order of the seed.
  func runObservedBatch() {
    let size = min(executor.ready.count, pace.untilLook, Pace.maximumJobs)
    let first = executor.ready.entriesSoFar - UInt64(executor.ready.count)
    for offset in shuffledOffsets(size) {
      let work = executor.ready.take(at: offset)
      guard isMarking else {
        executor.run(work)
        continue
      }
      let step = describe(work, ticket: first + UInt64(offset))
      runningSite = nil
      let start = timeSource.now
      executor.run(work)
      if isDebugging { reportIfSlow(timeSource.now.duration(since: start)) }
      if let step { observer?.didTake(step, site: runningSite) }
    }
    for _ in 0..<size { _ = executor.ready.takeFirst() }
    noteJobs(size)
  }

  /// What an entry is. (Asked before it runs: a task may end in it.)
  private func describe(_ work: borrowing Work, ticket: UInt64) -> LoopStep? {
    if observer == nil { return nil }
    return switch work {
    case .callback: .callback(ticket)
    case .posted: .posted
    case .job(let job): .job(executor.residents[SwiftTaskIdentity(job)])
    case .timer(let timer): .timer(timer.order)
    case .nothing: nil
    }
  }

  private func shuffledOffsets(_ size: Int) -> [Int] {
    // Batches without a choice are not counted: how many there are may be up to the real time.
    guard case .seeded(let seed) = batchOrder, size > 1 else { return Array(0..<size) }
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
package struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  package init(state: UInt64) {
    self.state = state
  }

  /// The next number.
  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
