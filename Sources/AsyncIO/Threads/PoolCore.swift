// SPDX-License-Identifier: Apache-2.0
//
// A pool's queue and its threads. It lives as long as any of them.

import Glibc
import Synchronization

/// What a ``ThreadPool`` is for its threads and jobs.
///
/// A thread that has done something stays awake for some microseconds, since waking it would take as long: the one who
/// waited for the job often brings another one. It does not, where it has been in vain.
///
/// Invariant: see `PoolState`. No code of users runs under the lock.
final class PoolCore: Sendable {
  private let state: Locked<PoolState>
  private let calls = Atomic<Int>(0)
  /// Counts what was added, for threads that stay awake.
  private let additions = Atomic<UInt>(0)
  private let name: String
  private let idleNanoseconds: Int64
  private let process = ProcessNumber.present

  private let startThread: ThreadStarter

  /// How a thread is started; a test may say that there is none left.
  typealias ThreadStarter =
    @Sendable (_ name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) -> Void

  init(
    name: String, limit: Int, idleTime: Duration,
    startThread: @escaping ThreadStarter = { name, body throws(SystemError) in
      try PlainThread.start(name: name, body)
    }
  ) {
    self.name = name
    self.startThread = startThread
    idleNanoseconds = max(0, idleTime.saturatingNanoseconds)
    state = Locked(PoolState(limit: max(1, limit)))
  }

  /// How many functions are being called now.
  var callCount: Int { calls.load(ordering: .relaxed) }

  /// How many threads wait to be woken.
  var restingCount: Int { state.withLock { $0.resting.count } }

  /// How many threads there are, and how many jobs wait.
  var counts: (threads: Int, queued: Int) { state.withLock { ($0.threads, $0.queue.count) } }

  func willCall() { calls.add(1, ordering: .relaxed) }
  func didCall() { calls.subtract(1, ordering: .relaxed) }

  /// Whether the threads are those of a parent process, and this one has none of them. (Its lock may be held by one.)
  var isForked: Bool { process != .present }

  private func stopIfForked() {
    guard isForked else { return }
    misuse(
      "ThreadPool",
      "the process was forked, and the threads are its parent's; start other programs by spawning them, or make a new pool"
    )
  }

  // MARK: Jobs

  /// Queues a job, and sees to it that somebody takes it.
  ///
  /// - Throws: ``ThreadPoolClosedError``; ``SystemError`` when there is no thread, and none can be started.
  func submit(_ job: BlockingJob) throws {
    stopIfForked()
    let next = state.withLock { $0.add(job) }
    additions.add(1, ordering: .relaxed)
    try help(next, job)
  }

  private func help(_ help: PoolState.AfterAdding, _ job: BlockingJob? = nil) throws {
    switch help {
    case .nothing: break
    case .refuse: throw ThreadPoolClosedError()
    case .wake(let worker): worker.unpark()
    case .start: try startWorker(for: job)
    }
  }

  private func startWorker(for job: BlockingJob?) throws(SystemError) {
    do {
      try startThread(name) { [self] in work() }
    } catch {
      let (left, ended) = state.withLock { state in
        let ended = state.leave(wasLooking: true)
        // The threads that there are take it, if there are any. Another call may have counted on this one's.
        return (state.threads == 0 ? state.queue.takeAll() : [], ended)
      }
      for callback in ended { callback() }
      for other in left where other !== job { other.refuse(error) }
      if left.contains(where: { $0 === job }) { throw error }
    }
  }

  /// Takes a job off the queue.
  ///
  /// - Returns: `false` when it is not there any more.
  func remove(_ job: BlockingJob) -> Bool { state.withLock { $0.queue.remove(job) } }

  // MARK: The end

  /// Takes no more jobs; those that are queued still run, and then the threads end.
  func close() {
    stopIfForked()
    let idle = state.withLock { $0.close() }
    for worker in idle { worker.unpark() }
  }

  /// Takes all jobs off the queue.
  func takeAll() -> [BlockingJob] {
    state.withLock { $0.queue.takeAll() }
  }

  /// Calls back when the pool is closed, and its last thread has ended: at once, or on that thread.
  func whenEnded(_ callback: @escaping @Sendable () -> Void) {
    let hasEnded = state.withLock { state in
      if !state.hasEnded { state.whenEnded.append(callback) }
      return state.hasEnded
    }
    if hasEnded { callback() }
  }

  // MARK: A thread

  /// A thread will look at the queue, in a moment.
  func willLook() { state.withLock { $0.looking += 1 } }

  /// It will not: others must, for what has been added meanwhile.
  func wontLook() {
    // Without a new thread it is done when this one comes back.
    try? help(state.withLock { $0.stopLooking() })
  }

  private func work() {
    let parker = ThreadParker()
    var patience = Patience()
    while true {
      let additions = additions.load(ordering: .relaxed)
      switch state.withLock({ $0.next(for: parker, mayStay: patience.isLeft) }) {
      case .run(let job): job.runOnWorker()
      case .stay: patience.stay { self.additions.load(ordering: .relaxed) != additions }
      case .end(let ended):
        for callback in ended { callback() }
        return
      case .rest:
        let start = KernelClock.nanoseconds(CLOCK_MONOTONIC)
        if parker.park(until: start.addingSaturating(idleNanoseconds)) {
          patience.hasRested(KernelClock.nanoseconds(CLOCK_MONOTONIC) - start)
          continue
        }
        guard let ended = state.withLock({ $0.leaveIfResting(parker) }) else {
          // It is being woken. That wake-up must be taken: left for the next rest, it would count this thread twice.
          _ = parker.park()
          continue
        }
        for callback in ended { callback() }
        return
      }
    }
  }
}

/// How long a thread stays awake without work: as long as that has been of use of late.
private struct Patience {
  private static let most = 100
  private static let shortRest: Int64 = 100_000

  /// How often it looks, the next time.
  private var looks = most
  private var hasStayed = false

  /// Whether it may stay awake now. Having stayed in vain, it rests.
  var isLeft: Bool { looks > 0 && !hasStayed }

  /// Gives way to other threads until something comes, or the patience ends.
  mutating func stay(until hasCome: () -> Bool) {
    for _ in 0..<looks {
      if hasCome() {
        looks = Self.most
        return
      }
      sched_yield()
    }
    looks /= 2
    hasStayed = true
  }

  mutating func hasRested(_ nanoseconds: Int64) {
    hasStayed = false
    if nanoseconds < Self.shortRest { looks = Self.most }
  }
}

extension Int64 {
  fileprivate func addingSaturating(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
