// SPDX-License-Identifier: Apache-2.0
//
// One turn of the loop.

import Synchronization

extension EventLoop {
  /// One turn:
  ///
  /// 1. Take what other threads left in the inbox, up to 256 entries.
  /// 2. Ask for readiness. If nothing is ready and no stop was asked, wait until the next deadline; else just look, and
  ///    that only when 256 entries have run, or the kernel's tick (1 to 4 ms) has passed, since the last look; and not
  ///    before all that it brought has run, since the kernel would tell the same again, or eight ticks have passed. The
  ///    tick is asked for after 16 entries; after each one, when entries have been taking longer than it.
  /// 3. After a look, or a tick, read the clock once, and move the timers that are due to the FIFO, in order of
  ///    (deadline, arming).
  /// 4. Run what stands in the FIFO now, first in first out, and no more than 256 entries, or those of one tick; what
  ///    they add waits for the next turn.
  ///
  /// Callbacks, jobs of Swift's tasks, notices of I/O and timers share the one FIFO. (Step 5, "if stop was asked,
  /// leave", is the condition of the loop around this.)
  func turn() {
    executor.inbox.move(to: executor.ready, atMost: Pace.maximumJobs)
    let hasLooked = askForReadiness()
    if hasLooked || pace.hasTicked || pace.hasDueTimer { moveDueTimers() }
    if batchOrder == .fifo && !isMarking { runBatches() } else { runObservedBatch() }
  }

  /// Step 2.
  private func askForReadiness() -> Bool {
    // A stop that came before the run: this turn is its only one, and so it looks, without waiting.
    let isLast = isStopping.load(ordering: .relaxed)
    if isLast || !executor.ready.isEmpty || pace.hasDueTimer {
      guard isLast || executor.ready.isEmpty || pace.untilLook <= 0 else { return false }
      look(.poll)
      return true
    }
    if executor.inbox.willSleep() {
      executor.timers.settle(timeSource.now)
      look(timeSource.limit(until: executor.timers.earliest))
      executor.inbox.didWake()
    } else if executor.inbox.hasEntry && pace.untilLook > 0 {
      return false
    } else {
      look(.poll)
    }
    executor.inbox.move(to: executor.ready, atMost: Pace.maximumJobs)
    return true
  }

  private func look(_ limit: WaitLimit) {
    let count = executor.ready.count
    backend.wait(limit)
    pace.hasLooked(at: timeSource.tick, bringing: executor.ready.count > count ? executor.ready.count : nil)
  }

  /// Step 3.
  private func moveDueTimers() {
    pace.hasTicked = false
    pace.hasDueTimer = false
    guard executor.timers.count > 0 else { return }
    let now = timeSource.now
    executor.timers.settle(now)
    while let timer = executor.timers.popDue(now) {
      executor.ready.append(.timer(timer))
    }
  }

  /// Step 4; and the turns after this one, as long as they have nothing to do in their other steps. (A turn a callback
  /// would cost as much as the callback.)
  private func runBatches() {
    repeat {
      var size = min(executor.ready.count, pace.untilLook, Pace.maximumJobs)
      while size > 0 {
        let chunk = min(size, pace.untilTick)
        executor.runFirst(chunk)
        size -= chunk
        noteJobs(chunk)
        if pace.untilLook <= 0 || pace.hasTicked { return }
      }
    } while !executor.ready.isEmpty && !pace.hasDueTimer && !executor.inbox.hasEntry
      && !isStopping.load(ordering: .relaxed)
  }

  /// Notes that entries have run, and asks for the tick when it is time.
  func noteJobs(_ count: Int) {
    pace.haveRun(count)
    if pace.untilTick <= 0 { pace.hasAsked(for: timeSource.tick) }
  }
}
