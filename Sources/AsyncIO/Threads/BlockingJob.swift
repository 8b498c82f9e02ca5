// SPDX-License-Identifier: Apache-2.0
//
// One piece of blocking work: what waits in a pool's queue.

import Synchronization

/// A function that a thread of a pool runs once, for a future of a loop.
///
/// It runs as a Swift task whose executor is this object: so it carries the task-locals of the code that made it, and
/// `Task.isCancelled` tells it of a cancel.
///
/// Invariant, and the reason for `@unchecked Sendable`: the links belong to the pool's lock. Whoever takes the job off
/// the queue owns the function, the future and the Swift job, and runs that, once; before, they are the property of the
/// queue. `task` is written before the job is queued, and read on the loop.
class BlockingJob: TaskExecutor, EndObserver, @unchecked Sendable {
  let core: PoolCore
  private let executor: LoopExecutor
  private let hasEnded = Atomic(false)
  /// Whether the loop's clock, where it is a test's, stands still for this.
  private let isAwaited = Atomic(false)
  private final var task: Task<Void, Never>?
  private final var swiftJob: UnownedJob?
  /// Whether a thread of the pool runs it, and not somebody who only lets go of it.
  private final var isOnWorker = false

  // The queue's.
  final var next: BlockingJob?
  final unowned(unsafe) var previous: BlockingJob?
  final var isQueued = false

  init(of core: PoolCore, for executor: LoopExecutor) {
    self.core = core
    self.executor = executor
  }

  // MARK: Before it is queued

  /// Makes the Swift task, whose one job this keeps.
  final func prepare() {
    isAwaited.store(true, ordering: .relaxed)
    executor.workElsewhere.add(1, ordering: .relaxed)
    task = Task(executorPreference: self) {
      self.perform()
      // Not before: the loop has been told.
      self.noteNotAwaited()
    }
  }

  /// The loop expects nothing of it any more.
  private final func noteNotAwaited() {
    if isAwaited.exchange(false, ordering: .relaxed) { executor.workElsewhere.subtract(1, ordering: .releasing) }
  }

  /// Called inside of `prepare`. The function does not suspend, so there is no second job.
  final func enqueue(_ job: consuming ExecutorJob) {
    precondition(swiftJob == nil, "BlockingJob: a second job")
    swiftJob = UnownedJob(job)
  }

  // MARK: The one who took it off the queue

  /// Runs it, on a thread of the pool.
  final func runOnWorker() {
    isOnWorker = true
    run()
  }

  /// Runs it, or lets go of it when its future has ended.
  final func run() {
    guard let job = swiftJob.take() else { return }
    unsafe job.runSynchronously(on: UnownedTaskExecutor(ordinary: self))
  }

  /// What the task does; a subclass's.
  func perform() {}

  /// Ends the future of a job that will not run: with an error, or cancelled.
  func endFuture(throwing error: (any Error)?) {}

  /// Lets go of a job that will not run.
  final func refuse(_ error: (any Error)? = nil) {
    endFuture(throwing: error)
    run()
  }

  /// Says that the function has returned, or will not be called. The pool counts on this thread from now on: who is told
  /// of the end often brings the next job, and need not wake another one for it.
  final func noteReturn() {
    hasEnded.store(true, ordering: .releasing)
    if isOnWorker { core.willLook() }
  }

  /// Says that this thread may take longer to come back.
  final func noteDelay() { if isOnWorker { core.wontLook() } }

  /// The same has passed.
  final func noteDelayEnd() { if isOnWorker { core.willLook() } }

  // MARK: The loop's thread

  /// The future has ended; if that was not by the function, then it was cancelled.
  final func noteEnd(_ token: DoneCallbackToken) {
    if hasEnded.load(ordering: .acquiring) { return }
    noteNotAwaited()
    if core.remove(self) {
      // In a turn of its own, since what the function has captured goes.
      executor.ready.append(.callback { self.run() })
    } else {
      task?.cancel()
    }
  }
}

/// The job of a function with a value.
final class BlockingCall<Success: Sendable>: BlockingJob, @unchecked Sendable {
  private var body: (() throws -> Success)?
  private var future: Future<Success>?

  init(
    of core: PoolCore, for future: Future<Success>, _ body: sending @escaping () throws -> Success
  ) {
    self.future = future
    self.body = body
    super.init(of: core, for: future.loop.executor)
  }

  override func perform() {
    guard let future = future.take() else { return }
    if future.isDone {
      body = nil
      return noteReturn()
    }
    core.willCall()
    var result: Result<Success, any Error>? = call()
    core.didCall()
    noteReturn()
    let isTold = Self.tell(future, result)
    // It was cancelled meanwhile: nobody wants to know, and what goes now may do anything.
    if !isTold { noteDelay() }
    result = nil
    if !isTold { noteDelayEnd() }
  }

  private static func tell(_ future: Future<Success>, _ result: Result<Success, any Error>?) -> Bool {
    switch result {
    case .success(let value): future.end(with: value)
    case .failure(let error): (try? future.setError(error)) != nil
    case nil: false
    }
  }

  /// What the function has captured is gone when this returns, and so before anybody is told.
  private func call() -> Result<Success, any Error> {
    guard let body = body.take() else { return .failure(CancellationError()) }
    return Result { try body() }
  }

  override func endFuture(throwing error: (any Error)?) {
    if let error {
      try? future?.setError(error)
    } else {
      _ = future?.cancel(CancellationReason(.shutdown))
    }
  }
}
