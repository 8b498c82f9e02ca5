// SPDX-License-Identifier: Apache-2.0
//
// What a test is told of the steps that a loop takes, and what it may ask of one that stands still.

import Synchronization
import SystemPackage

/// One entry of the FIFO, which has run.
package enum LoopStep {
  /// A plain callback, or a notice, by its place in the FIFO.
  case callback(UInt64)
  /// A callback of `callSoonThreadsafe`.
  case posted
  /// A piece of a Swift task, with the object that stands for the loop's task; `nil` for a task that is none of ours.
  case job(AnyObject?)
  /// A timer, by its order of arming.
  case timer(UInt64)
}

/// Somebody who is told of each step. It is called on the loop's thread, between the steps.
package protocol LoopObserver: AnyObject, Sendable {
  /// A step was taken.
  ///
  /// - Parameter site: Where the callback was made, if it was one that `callSoon` or a timer made.
  func didTake(_ step: LoopStep, site: String?)

  /// A timer was armed by a plain call.
  func didArm(_ timer: TimerID, fileID: StaticString, line: UInt)
}

extension LoopExecutor {
  /// How many entries the FIFO has ever had: the same number twice means that nothing came in between.
  package var entriesSoFar: UInt64 { ready.entriesSoFar }

  /// Whether nothing is ready, and no other thread has left anything.
  package var hasNothingReady: Bool { ready.isEmpty && inbox.isEmpty }

  /// Whether other threads work for this loop.
  package var hasWorkElsewhere: Bool { workElsewhere.load(ordering: .acquiring) > 0 }

  /// The timers that are armed.
  package var armedTimers: Int { timers.count }

  /// The first deadline of an armed timer.
  package var earliestDeadline: Deadline? {
    timers.settle(timeSource.now)
    return timers.earliest
  }

  /// Whether a timer has neither run nor been cancelled.
  package func isPending(_ timer: TimerID) -> Bool { timers.isPending(timer) }

  /// When a pending timer is due.
  package func deadline(_ timer: TimerID) -> Deadline? { timers.deadline(timer) }
}

extension EventLoop {
  /// The watches that the loop has for itself: for other threads, the main queue, and signals.
  package var ownWatches: Int {
    (wakeUpWatch == nil ? 0 : 1) + (mainQueueWatch == nil ? 0 : 1) + (signals.arrivals == nil ? 0 : 1)
  }

  /// Where the reader or the writer of a descriptor was added; `nil` for what is watched in another way.
  package func creationSite(ofWatch descriptor: Int32, _ readiness: Readiness) -> String? {
    watches[WatchKey(FileDescriptor(rawValue: descriptor), readiness)].map { "\($0.site)" }
  }

  /// Makes what the process has once, from its first need on, so that nobody takes it for something that was left.
  package static func makeWhatTheProcessKeeps() { _ = try? SignalDelivery.arrivals() }

  /// The signals that have a handler, with the places where those were added.
  package var handledSignals: [(signal: Int32, site: String)] {
    signals.handlers.sorted { $0.key < $1.key }.map { ($0.key.signal, $0.value.site) }
  }
}
