// SPDX-License-Identifier: Apache-2.0
//
// One turn of the loop.

import Synchronization

/// How often a busy loop looks at the world outside its FIFO.
///
/// Invariant: `jobs` counts the entries run since the last look, which happened at `tick`; `jobsAtTick` is what it was when
/// the tick was last compared.
struct Pace {
  var jobs = 0
  var jobsAtTick = 0
  var tick: Int64 = 0
  /// Set when a timer was armed that is due already: the next turn looks at the timers, whatever the pace.
  var hasDueTimer = false

  /// After so many entries the loop looks again.
  static let maximumJobs = 256
  /// After so many entries it looks whether time has passed.
  static let jobsBetweenTicks = 16
}

extension EventLoop {
  /// One turn:
  ///
  /// 1. Take what other threads left in the inbox.
  /// 2. Ask for readiness. If nothing is ready and no stop was asked, wait until the next deadline; else just look, and
  ///    that only when 256 entries have run, or 16 and the kernel's tick (1 to 4 ms) has passed, since the last look.
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
    // A stop that came before the run: this turn is its only one, and so it looks, without waiting.
    let isLast = isStopping.load(ordering: .relaxed)
    if isLast || !executor.ready.isEmpty || pace.hasDueTimer {
      guard isLast || executor.ready.isEmpty || pace.jobs >= Pace.maximumJobs || hasTimePassed() else {
        return false
      }
      pace.tick = timeSource.tick
      backend.wait(.poll)
    } else {
      executor.ready.releaseExcess()
      if executor.inbox.willSleep() {
        backend.wait(timeSource.limit(until: executor.timers.earliest))
        executor.inbox.didWake()
      }
      pace.tick = timeSource.tick
      executor.takeInbox()
    }
    pace.jobs = 0
    pace.jobsAtTick = 0
    return true
  }

  /// Whether the kernel's tick has moved since the last look; asked every 16 entries.
  private func hasTimePassed() -> Bool {
    guard pace.jobs - pace.jobsAtTick >= Pace.jobsBetweenTicks else { return false }
    pace.jobsAtTick = pace.jobs
    return timeSource.tick != pace.tick
  }

  /// Step 3.
  private func moveDueTimers() {
    pace.hasDueTimer = false
    guard executor.timers.earliest != nil else { return }
    let now = timeSource.now
    while let timer = executor.timers.popDue(now) {
      executor.ready.append(.timer(timer))
    }
  }

  /// Step 4.
  private func runBatch() {
    let size = min(executor.ready.count, Pace.maximumJobs)
    if batchOrder != .fifo || isDebugging { return runObservedBatch(size) }
    var left = size
    repeat {
      let chunk = min(left, Pace.jobsBetweenTicks)
      executor.runFirst(chunk)
      pace.jobs += chunk
      left -= chunk
    } while left > 0 && !hasTimePassed()
  }
}
