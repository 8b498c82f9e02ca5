// SPDX-License-Identifier: Apache-2.0
//
// The one door for other threads.

import Synchronization

/// Work that other threads leave for the loop.
///
/// Order: what one thread leaves stays in its order. Invariant: a loop that says it sleeps is rung for the first entry
/// after that, and for no other; `hasWork` is set whenever `entries` holds something.
final class Inbox: Sendable {
  /// What the thread that left something has to do about it.
  enum Reception: Sendable {
    /// Nothing: the loop is awake, or has been rung already.
    case taken
    /// Ring the loop.
    case mustRing
    /// Nothing was left: the loop is closed.
    case refused
  }

  private struct Entries {
    var work: [Work] = []
    var isClosed = false
  }

  private let entries = Mutex(Entries())
  private let hasWork = Atomic(false)
  private let isSleeping = Atomic(false)

  init() {}

  /// Leaves work. Any thread.
  ///
  /// - Parameter evenIfClosed: jobs of Swift tasks are taken for ever, since a task that nobody runs would hang.
  func leave(_ work: sending Work, evenIfClosed: Bool = false) -> Reception {
    let isTaken = entries.withLock { entries in
      if entries.isClosed && !evenIfClosed { return false }
      entries.work.append(work)
      // Under the lock, so that nobody takes the entries between the two, and leaves the mark behind.
      hasWork.store(true, ordering: .sequentiallyConsistent)
      return true
    }
    guard isTaken else { return .refused }
    return isSleeping.exchange(false, ordering: .sequentiallyConsistent) ? .mustRing : .taken
  }

  /// Takes all entries, in exchange for an empty array whose memory is used again. The loop's thread.
  func take(_ emptied: inout [Work]) {
    guard hasWork.load(ordering: .acquiring) else { return }
    entries.withLock { entries in
      hasWork.store(false, ordering: .relaxed)
      swap(&entries.work, &emptied)
    }
  }

  /// Whether there is something to take. The loop's thread.
  var isEmpty: Bool { !hasWork.load(ordering: .acquiring) }

  /// Says that the loop is about to wait.
  ///
  /// - Returns: `false` when it must not, because something came in before.
  func willSleep() -> Bool {
    isSleeping.store(true, ordering: .sequentiallyConsistent)
    if !hasWork.load(ordering: .sequentiallyConsistent) { return true }
    didWake()
    return false
  }

  /// Says that the loop is awake.
  func didWake() { isSleeping.store(false, ordering: .relaxed) }

  /// Refuses all but jobs from now on.
  func close() { entries.withLock { $0.isClosed = true } }

  /// Whether the inbox was closed. Any thread.
  var isClosed: Bool { entries.withLock { $0.isClosed } }
}
