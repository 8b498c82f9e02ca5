// SPDX-License-Identifier: Apache-2.0
//
// One turn of the loop.

import Synchronization

/// How often a busy loop looks at the world outside its FIFO.
///
/// Invariant: `jobs` counts the entries run since the last look, which happened at `tick`.
struct Pace {
  var jobs = 0
  var tick: Int64 = 0
  /// Set when a timer was armed that is due already: the next turn looks at the timers, whatever the pace.
  var hasDueTimer = false

  /// After so many entries the loop looks again.
  static let maximumJobs = 256
  /// After so many entries of one batch it looks whether time has passed.
  static let jobsBetweenTicks = 16
}

extension EventLoop {
  /// One turn:
  ///
  /// 1. Take what other threads left in the inbox.
  /// 2. Ask for readiness. If nothing is ready and no stop was asked, wait until the next deadline; else just look, and
  ///    that only when 256 entries have run, or the kernel's tick (1 to 4 ms) has passed, since the last look.
  /// 3. After a look, read the clock once, and move the timers that are due to the FIFO, in order of (deadline, arming).
  /// 4. Run what stands in the FIFO now, first in first out, and no more than 256 entries, or those of one tick; what
  ///    they add waits for the next turn.
  ///
  /// Callbacks, jobs of Swift's tasks, notices of I/O and timers share the one FIFO. (Step 5, "if stop was asked,
  /// leave", is the condition of the loop around this.)
  func turn() {
    executor.takeInbox()
    let hasLooked = askForReadiness()
    if hasLooked || pace.hasDueTimer { moveDueTimers() }
    runBatch()
  }

  /// Step 2.
  private func askForReadiness() -> Bool {
    let ready = executor.ready
    if !ready.isEmpty || pace.hasDueTimer || isStopping.load(ordering: .relaxed) {
      let tick = timeSource.tick
      guard pace.jobs >= Pace.maximumJobs || tick != pace.tick || ready.isEmpty else { return false }
      pace.tick = tick
      backend.wait(.poll)
    } else {
      ready.releaseExcess()
      if executor.inbox.willSleep() {
        backend.wait(timeSource.limit(until: timers.earliest))
        executor.inbox.didWake()
      }
      pace.tick = timeSource.tick
      executor.takeInbox()
    }
    pace.jobs = 0
    return true
  }

  /// Step 3.
  private func moveDueTimers() {
    pace.hasDueTimer = false
    guard timers.earliest != nil else { return }
    let now = timeSource.now
    while let timer = timers.popDue(now) {
      executor.ready.append(.timer(timer))
    }
  }

  /// Step 4.
  private func runBatch() {
    let ready = executor.ready
    let size = min(ready.count, Pace.maximumJobs)
    if batchOrder != .fifo || debug { return runObservedBatch(size) }
    var done = 0
    repeat {
      let chunk = min(size - done, Pace.jobsBetweenTicks)
      for _ in 0..<chunk { run(ready.takeFirst()) }
      done += chunk
    } while done < size && timeSource.tick == pace.tick
    pace.jobs += done
  }

  /// Runs one entry.
  func run(_ work: consuming Work) {
    if case .timer(let timer) = work {
      if let callback = timers.takeDue(timer) { executor.run(.callback(callback)) }
    } else {
      executor.run(work)
    }
  }
}
