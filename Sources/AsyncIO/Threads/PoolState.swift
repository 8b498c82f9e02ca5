// SPDX-License-Identifier: Apache-2.0
//
// Who is to do what in a pool: pure data, under its lock.

/// The part of a pool that its lock protects: it says what is to be done, and its owner does it, without the lock.
///
/// Invariant: `looking` counts the threads that will look at the queue in a moment: they are about to start, were woken,
/// or have just done something. While more is queued than they will take, nobody rests, and as many threads are there as
/// there may be. `threads` counts those that were started, or are about to be, and have not left.
struct PoolState {
  typealias Ended = [@Sendable () -> Void]

  enum AfterAdding: Sendable { case nothing, refuse, wake(ThreadParker), start }
  enum NextStep: Sendable { case run(BlockingJob), stay, rest, end(Ended) }

  let limit: Int
  var queue = JobQueue()
  private(set) var threads = 0
  /// Those that rest; the last is the one that has rested the shortest, and has its memory in the caches.
  private(set) var resting: [ThreadParker] = []
  var looking = 0
  private var isClosed = false
  var whenEnded: Ended = []

  init(limit: Int) { self.limit = limit }

  var hasEnded: Bool { isClosed && threads == 0 }

  mutating func add(_ job: BlockingJob) -> AfterAdding {
    if isClosed { return .refuse }
    queue.append(job)
    return callForHelp()
  }

  /// Sees to it that as many look as there are jobs, where that can be.
  private mutating func callForHelp() -> AfterAdding {
    if looking >= queue.count { return .nothing }
    if let worker = resting.popLast() {
      looking += 1
      return .wake(worker)
    }
    guard threads < limit else { return .nothing }
    threads += 1
    looking += 1
    return .start
  }

  /// A thread that looks.
  ///
  /// - Parameter mayStay: Whether it may look again in a moment, before it rests.
  mutating func next(for worker: ThreadParker, mayStay: Bool) -> NextStep {
    if let job = queue.takeFirst() {
      looking -= 1
      return .run(job)
    }
    if isClosed { return .end(leave(wasLooking: true)) }
    if mayStay { return .stay }
    looking -= 1
    resting.append(worker)
    return .rest
  }

  /// A thread that was to look will not for now.
  ///
  /// - Returns: What is to be done for another one to look in its place.
  mutating func stopLooking() -> AfterAdding {
    looking -= 1
    return callForHelp()
  }

  /// A thread has rested long enough.
  ///
  /// - Returns: `nil` when it is being woken, and must go on.
  mutating func leaveIfResting(_ worker: ThreadParker) -> Ended? {
    guard let index = resting.firstIndex(where: { $0 === worker }) else { return nil }
    resting.remove(at: index)
    return leave(wasLooking: false)
  }

  /// A thread ends.
  ///
  /// - Returns: Who is to be told.
  mutating func leave(wasLooking: Bool) -> Ended {
    threads -= 1
    if wasLooking { looking -= 1 }
    guard hasEnded else { return [] }
    defer { whenEnded = [] }
    return whenEnded
  }

  /// - Returns: Who is to be woken.
  mutating func close() -> [ThreadParker] {
    isClosed = true
    defer { resting = [] }
    looking += resting.count
    return resting
  }
}

/// Jobs, first in, first out; any of them can leave.
///
/// Invariant: `first` holds the chain, each its next; `isQueued` says of a job whether it is in one.
struct JobQueue {
  private var first: BlockingJob?
  private var last: BlockingJob?
  private(set) var count = 0

  mutating func append(_ job: BlockingJob) {
    if let last {
      last.next = job
      unsafe job.previous = last
    } else {
      first = job
    }
    last = job
    job.isQueued = true
    count += 1
  }

  mutating func takeFirst() -> BlockingJob? {
    guard let job = first else { return nil }
    _ = remove(job)
    return job
  }

  mutating func takeAll() -> [BlockingJob] {
    var jobs: [BlockingJob] = []
    while let job = takeFirst() { jobs.append(job) }
    return jobs
  }

  /// - Returns: `false` when it is not queued.
  mutating func remove(_ job: BlockingJob) -> Bool {
    guard job.isQueued else { return false }
    let next = job.next.take()
    // SAFETY: a job's previous one is in the chain, which holds it.
    let previous = unsafe job.previous.take()
    if let previous { previous.next = next } else { first = next }
    if let next { unsafe next.previous = previous } else { last = previous }
    job.isQueued = false
    count -= 1
    return true
  }
}
