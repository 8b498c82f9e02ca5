// SPDX-License-Identifier: Apache-2.0
//
// The end of a loop, and of the tasks that have not ended by then.

import Glibc
import Synchronization

extension EventLoop {
  /// Closes the loop: everything that is pending is let go of, and its descriptors are given back.
  ///
  /// Tasks that have not ended are reported. Each is cancelled, runs on to its next await that would wait for
  /// something, and stays there for ever (a coroutine of Python gets `GeneratorExit` in this place); one that is inside
  /// of an await of another library goes on with that. Those who await from outside get ``LoopClosedError``. What is
  /// ready already runs; timers, watches, signal handlers, and what is scheduled meanwhile, are dropped. Afterwards
  /// scheduling fails, with ``LoopClosedError`` or with a report. Closing a closed loop does nothing.
  ///
  /// - Precondition: The loop is not running.
  @available(*, noasync, message: "it runs what is left of the loop's tasks on this thread")
  public nonisolated func close() {
    closeNow()
  }

  package nonisolated func closeNow() {
    executor.stopIfForked()
    if isClosed { return }
    guard executor.acquire() else {
      misuse("EventLoop.close", "the loop is running; call stop() first, and wait until its run returns")
    }
    guard executor.phase.compareExchange(expected: .idle, desired: .closing, ordering: .acquiringAndReleasing).exchanged
    else { return executor.releaseClosed() }
    // First, so that a thread that goes on scheduling does not keep the closing from its end.
    executor.inbox.close()
    // What the tasks run now finds its loop, as ever.
    let outer = ThreadLocals.running
    ThreadLocals.running = self
    defer { ThreadLocals.running = outer }
    assumeIsolated { loop in
      unsafe executor.loop = .passUnretained(loop)
      defer { unsafe executor.loop = nil }
      loop.abandonTasks()
      loop.abandonWork()
      loop.abandonOutsiders()
      loop.releaseEverything()
    }
    executor.phase.store(.closed, ordering: .releasing)
    executor.closeWakeUp()
    executor.releaseClosed()
  }

  private func abandonTasks() {
    for task in executor.tasks {
      reportException(
        ExceptionContext(
          .taskDestroyedPending, "the loop was closed before a task had ended", taskName: task.name,
          creationSite: "\(task.site)"))
      _ = task.request(CancellationReason(.shutdown))
    }
    tellOfLateEnds()
    executor.runAll()
  }

  /// Another thread may have ended what a task awaits, or be ending it, and find the inbox closed.
  private func tellOfLateEnds() {
    // A task ends on the loop, and tells those who await it itself.
    for case let future? in executor.tasks.map(\.awaited) where !(future is AnyLoopTask) {
      while future.state.load(ordering: .acquiring) == .ending { sched_yield() }
      if future.isDone { future.tellObservers() }
    }
  }

  private func abandonOutsiders() {
    executor.hasToldOutsiders = true
    for case let waiter as Waiter in executor.outsiders.values { waiter.abandon() }
    for case let future as AnyFuture in executor.outsiders.values {
      // Another thread may have ended it, and have found the inbox closed.
      if !future.isDone {
        reportException(
          ExceptionContext(
            .futureAbandoned, "the loop was closed while somebody awaited a future of it from outside",
            creationSite: debug ? "\(future.site)" : nil))
      }
      future.tellObservers()
    }
  }
}
