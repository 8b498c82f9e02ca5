// SPDX-License-Identifier: Apache-2.0
//
// The one door for other threads.

import Synchronization

/// Work that other threads leave for the loop.
///
/// Order: what one thread leaves stays in its order. Invariant: a loop that says it sleeps is rung for the first entry
/// after that, and for no other; `hasWork` says whether the queue holds something, and changes under the lock only.
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

  private struct Entries: ~Copyable {
    var work = ReadyQueue()
    var isClosed = false
    var isSleeping = false
  }

  private let entries = Locked(Entries())
  private let hasWork = Atomic(false)

  /// Leaves work. Any thread.
  ///
  /// - Parameter evenIfClosed: jobs of Swift tasks are taken for ever, since a task that nobody runs would hang.
  func leave(_ work: sending Work, evenIfClosed: Bool = false) -> Reception {
    // Moved out of the optional, since a capture would be copied: a retain and a release an entry.
    var work = Optional(work)
    return entries.withLock { entries in
      guard !entries.isClosed || evenIfClosed, let work = work.take() else { return .refused }
      if entries.work.isEmpty { hasWork.store(true, ordering: .releasing) }
      entries.work.append(work)
      guard entries.isSleeping else { return .taken }
      entries.isSleeping = false
      return .mustRing
    }
  }

  /// Takes all entries, in exchange for an empty queue whose memory is used again. The loop's thread.
  func take(_ emptied: ReadyQueue) -> ReadyQueue {
    entries.withLock { entries in
      hasWork.store(false, ordering: .relaxed)
      defer { entries.work = emptied }
      return entries.work
    }
  }

  /// Whether there is nothing to take. The loop's thread.
  var isEmpty: Bool { !hasWork.load(ordering: .acquiring) }

  /// Says that the loop is about to wait.
  ///
  /// - Returns: `false` when it must not, because something came in before.
  func willSleep() -> Bool {
    entries.withLock { entries in
      entries.isSleeping = entries.work.isEmpty
      return entries.isSleeping
    }
  }

  /// Says that the loop is awake.
  func didWake() { entries.withLock { $0.isSleeping = false } }

  /// Refuses all but jobs from now on.
  func close() { entries.withLock { $0.isClosed = true } }

  /// Whether the inbox was closed. Any thread.
  var isClosed: Bool { entries.withLock { $0.isClosed } }
}
