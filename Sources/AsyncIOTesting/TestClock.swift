// SPDX-License-Identifier: Apache-2.0
//
// The time of a test: it moves when it is asked to, or when everybody waits for it.

package import AsyncIO
import Synchronization

/// The clock of a loop under test.
///
/// The loop asks it how long it may wait exactly when nothing is ready; so it is here that one knows that all tasks are
/// blocked. What the clock does then, the first of these that applies:
///
/// 1. If anything has come since it was last asked, it has the loop look for I/O, without a wait.
/// 2. Those who wait until all tasks are blocked go on.
/// 3. While other threads work for the loop, or while somebody waits for a descriptor of the real kernel, whose other end
///    may be anywhere, it lets them have some real time.
/// 4. It jumps to the next deadline or event of the network (where it jumps by itself).
/// 5. The loop hangs: `onHang` is called, after a last wait for threads that nobody knows of.
///
/// Invariant, and the reason for `@unchecked Sendable`: `nanoseconds` is atomic; all else is set before the loop runs, or
/// belongs to the thread that holds the loop.
package final class TestClock: LoopClock, @unchecked Sendable {
  private let nanoseconds: Atomic<Int64>
  private let mode: TestLoop.Time
  private let patience: Int64
  private let grace: Int64
  private let graceForThreads: Int64
  private let limitOfRealTime: Int64

  private weak var executor: LoopExecutor?
  private weak var backend: TestBackend?
  /// What the FIFO had had when the clock was last asked.
  private var entriesSeen = UInt64.max
  /// The same of the network's notices, which need no entry there.
  private var noticesSeen: UInt64 = 0
  /// Since when, in real time, nothing has come.
  private var quietSince: Int64?
  private var startOfRun: Int64?
  private var blockedWaiters: [Future<Void>] = []

  /// Whether the loop has something to run for; before, a loop that waits is no loop that hangs.
  package var isArmed = false

  /// Called when nothing but another thread could wake the loop, with the reason. It stops the loop.
  package var onHang: (_ reason: String) -> Void = { _ in }

  /// - Parameter start: The time at first, in nanoseconds since the clock's origin.
  package init(_ configuration: TestLoop.Configuration = .init(), start: Int64 = 1_000_000_000) {
    nanoseconds = Atomic(start)
    mode = configuration.time
    patience = configuration.patience.saturatingNanoseconds
    graceForThreads = configuration.graceForThreads.saturatingNanoseconds
    grace = max(graceForThreads, configuration.graceForDescriptors.saturatingNanoseconds)
    limitOfRealTime = configuration.limitOfRealTime.saturatingNanoseconds
  }

  /// Says whose clock it is.
  package func attach(to executor: LoopExecutor, _ backend: TestBackend) {
    self.executor = executor
    self.backend = backend
  }

  // MARK: Reading and moving

  package var now: Deadline {
    if mode == .real { return Deadline(nanoseconds: Self.realTime) }
    return Deadline(nanoseconds: nanoseconds.load(ordering: .relaxed))
  }

  package var tick: Int64 { now.nanoseconds / 1_000_000 }

  /// Whether the time is the test's.
  package var isVirtual: Bool { mode != .real }

  /// Lets time pass while a callback runs. Any thread.
  package func advance(by duration: Duration) {
    var present = nanoseconds.load(ordering: .relaxed)
    while true {
      let next = Deadline(nanoseconds: present).advanced(by: max(.zero, duration)).nanoseconds
      let (isStored, found) = nanoseconds.weakCompareExchange(
        expected: present, desired: next, ordering: .relaxed)
      if isStored { return }
      present = found
    }
  }

  /// Moves to a point that is not in the past.
  package func move(to deadline: Deadline) {
    if deadline > now { nanoseconds.store(deadline.nanoseconds, ordering: .relaxed) }
  }

  private static var realTime: Int64 { MonotonicClock().now.nanoseconds }

  // MARK: When all is blocked

  /// Ends a future when all tasks are blocked.
  package func whenAllBlocked(_ future: Future<Void>) { blockedWaiters.append(future) }

  package func limit(until deadline: Deadline?) -> WaitLimit {
    guard let executor, let backend else { return .forever }
    let next = [deadline, backend.network?.nextEvent].compactMap(\.self).filter { $0 != .never }.min()
    let entries = executor.entriesSoFar
    if entries != entriesSeen || backend.notices != noticesSeen {
      entriesSeen = entries
      noticesSeen = backend.notices
      quietSince = nil
      return .poll
    }
    if !blockedWaiters.isEmpty {
      let waiters = exchange(&blockedWaiters, with: [])
      for waiter in waiters { waiter.end(with: ()) }
      return .poll
    }
    if let next, next <= now { return .poll }
    return quietLimit(until: next, executor, backend)
  }

  /// Nothing has come since the last look, and nothing is due.
  private func quietLimit(until next: Deadline?, _ executor: LoopExecutor, _ backend: TestBackend) -> WaitLimit {
    let present = Self.realTime
    let start = quietSince ?? present
    quietSince = start
    if mode == .real { return realLimit(until: next, at: present, quietSince: start, executor) }
    guard isArmed else { return .forever }
    if executor.hasWorkElsewhere { return .nanoseconds(Self.slice) }
    // What was worked on elsewhere was brought back before it was counted off.
    if !executor.hasNothingReady { return .poll }
    if mode == .autojump, let next {
      // Somebody may be about to write to the other end, or to wake the loop.
      let grace = backend.watchesForOthers ? grace : graceForThreads
      if present - start < grace { return .nanoseconds(min(Self.longSlice, grace - (present - start))) }
      move(to: next)
      return .poll
    }
    if present - start < patience { return .nanoseconds(min(Self.slice, patience - (present - start))) }
    onHang(next == nil ? "nothing is left that could wake it" : "its time moves only when it is asked to")
    return .poll
  }

  /// In real time a wait is one, as without the kit: what should have ended it, and did not, is not to be found by chance
  /// a little later.
  private func realLimit(
    until next: Deadline?, at present: Int64, quietSince start: Int64, _ executor: LoopExecutor
  ) -> WaitLimit {
    let wait = next.map { $0.nanoseconds - now.nanoseconds }
    guard isArmed else { return wait.map { .nanoseconds($0) } ?? .forever }
    let leftOfRun = max(1, limitOfRealTime - (present - (startOfRun ?? present)))
    if let wait { return .nanoseconds(min(wait, leftOfRun)) }
    if executor.hasWorkElsewhere { return .nanoseconds(leftOfRun) }
    let quiet = present - start
    if quiet < patience { return .nanoseconds(min(patience - quiet, leftOfRun)) }
    if !executor.hasNothingReady { return .poll }
    onHang("nothing is left that could wake it")
    return .poll
  }

  /// Ends a run that takes too long in real time, whatever it is busy with. The backend asks for it at each look for I/O.
  func keepLimitOfRealTime() {
    guard isArmed else { return }
    let present = Self.realTime
    let begin = startOfRun ?? present
    startOfRun = begin
    if present - begin > limitOfRealTime {
      // The tasks' cleanup has as long again.
      startOfRun = present
      onHang("it has been running for \(Duration.nanoseconds(present - begin)) of real time")
    }
  }

  /// The longest wait in real time without another look around.
  private static let slice: Int64 = 20_000_000

  /// The same where only the limit of real time is to be kept.
  private static let longSlice: Int64 = 1_000_000_000
}
