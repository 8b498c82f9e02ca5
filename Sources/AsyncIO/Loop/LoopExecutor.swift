// SPDX-License-Identifier: Apache-2.0
//
// The executor of a loop: where the jobs of Swift's tasks enter its FIFO, and who may touch the loop's state.

import Glibc
import Synchronization
import SystemPackage

/// The serial executor of an ``EventLoop``, and the task executor that its tasks prefer.
///
/// Invariant, and the reason for `@unchecked Sendable`: one thread at a time *holds* the loop. `holder` says which;
/// only that thread touches `ready`, `timers`, `blocks`, `current`, `residents` and `outsiders`. `inbox`, `phase`,
/// `holder` and `wakeUp` are for all threads.
@safe package final class LoopExecutor: SerialExecutor, TaskExecutor, @unchecked Sendable {
  let ready = ReadyQueue()
  let timers: TimerQueue
  let inbox = Inbox()
  let blocks = BlockPool()
  private let wakeUp: Locked<WakeUpDescriptor?>

  /// Where the loop is in its life.
  let phase = Atomic<Phase>(.idle)

  /// The loop, while one of its threads runs it; it holds this executor.
  var loop: Unmanaged<AnyObject>?

  /// The task whose code ran last on the loop: a hint that saves a look-up. Whoever uses it compares identities.
  /// It does not hold the task, which clears it at its end.
  unowned(unsafe) var current: AnyObject?

  /// The objects that stand for the loop's tasks, by the identity of their Swift task. It holds them.
  let residents = IdentityTable()

  /// The futures that somebody outside of the loop's tasks waits for, so that closing can tell them.
  var outsiders = IdentityMap<AnyObject>()
  /// Whether closing has told them: nobody else may begin to wait.
  var hasToldOutsiders = false

  /// The last number that was given to a done callback of a future of the loop.
  var lastToken: UInt64 = 0

  /// The loop's clock.
  let timeSource: any LoopClock

  /// How much work other threads do for this loop now, and will bring back: while there is any, a test's clock stands
  /// still.
  let workElsewhere = Atomic<Int>(0)

  /// Where an error thrown by a plain callback goes.
  var onCallbackError: (any Error) -> Void = { _ in }

  /// `pthread_self` of the thread that holds the loop; 0 for none. No live thread has the number of another, and a
  /// thread lets go of the loop before it ends, so a number that matches is this thread.
  private let holder = Atomic<UInt>(0)

  init(timeSource: any LoopClock) throws(SystemError) {
    self.timeSource = timeSource
    timers = TimerQueue(startingAt: timeSource.now)
    wakeUp = Locked(try WakeUpDescriptor())
  }

  enum Phase: UInt8, AtomicRepresentable {
    case idle, running, closing, closed
  }

  /// Whether nothing that was not ready by now will come any more.
  var isClosing: Bool { phase.load(ordering: .relaxed).rawValue >= Phase.closing.rawValue }

  // MARK: Who holds the loop

  /// Whether the calling thread holds the loop.
  var isHeldByThisThread: Bool { holder.load(ordering: .relaxed) == UInt(pthread_self()) }

  /// Takes the loop for this thread, unless another one has it, or this one already.
  func acquire() -> Bool {
    holder.compareExchange(expected: 0, desired: UInt(pthread_self()), ordering: .sequentiallyConsistent).exchanged
  }

  /// Lets go of the loop.
  func release() { holder.store(0, ordering: .sequentiallyConsistent) }

  package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
    unsafe UnownedSerialExecutor(ordinary: self)
  }

  package func asUnownedTaskExecutor() -> UnownedTaskExecutor {
    unsafe UnownedTaskExecutor(ordinary: self)
  }

  package func isIsolatingCurrentContext() -> Bool? { isHeldByThisThread }

  package func checkIsolated() {
    guard !isHeldByThisThread else { return }
    stopIfForked()
    misuse(
      "EventLoop",
      "this thread does not hold the loop; call with `await`, or hand the work over with `callSoonThreadsafe`")
  }

  // MARK: After a fork

  /// Makes the loop, in a process that was forked off, one that nobody can use: it would share its descriptors with the
  /// parent's.
  func becomeForked() {
    holder.store(Self.forked, ordering: .sequentiallyConsistent)
    inbox.close()
  }

  /// Stops a process that was forked off, and uses the loop of its parent.
  ///
  /// Where a loop is used, it costs nothing: such a loop is closed, and held by another thread, and who finds it so asks
  /// here.
  @inline(__always)
  func stopIfForked() {
    if holder.load(ordering: .relaxed) == Self.forked { Self.stopForked() }
  }

  @inline(never)
  private static func stopForked() -> Never {
    misuse(
      "EventLoop",
      """
      the process was forked, and the loop is its parent's; start other programs by spawning them, or make the child a \
      loop of its own
      """)
  }

  /// No thread's number.
  private static let forked = UInt.max

  // MARK: Work comes in

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if isHeldByThisThread {
      ready.append(.job(job))
      return
    }
    // The job may be what keeps the loop, and be run by another thread, or below, before this call ends.
    let kept = unsafe Unmanaged.passRetained(self)
    defer { unsafe kept.release() }
    _ = post(.job(job), evenIfClosed: true)
  }

  /// Leaves work for the loop's thread, and ends its wait. Any thread.
  ///
  /// - Returns: `false` when the loop is closed.
  @inline(__always)
  func post(_ work: consuming sending Work, evenIfClosed: Bool = false) -> Bool {
    switch inbox.leave(work, evenIfClosed: evenIfClosed) {
    case .taken: return true
    case .refused:
      stopIfForked()
      return false
    case .mustRing:
      ring()
      return true
    case .takenAfterClosing:
      stopIfForked()
      // The loop has no thread any more. The one that brings a job runs it, and all that comes of it.
      runLeftovers()
      return true
    }
  }

  /// Ends the loop's wait, or its next one. Any thread.
  @inline(never)
  func ring() { wakeUp.withLock { $0?.ring() } }

  /// What the loop watches, to be rung; `nil` once it is closed.
  var wakeUpDescriptor: FileDescriptor? {
    wakeUp.withLock { wakeUp in
      switch wakeUp {
      case .some(let descriptor): FileDescriptor(rawValue: descriptor.rawValue)
      case .none: nil
      }
    }
  }

  /// Takes back the rings so far.
  func drainWakeUp() { wakeUp.withLock { $0?.drain() } }

  /// Gives the descriptor back.
  func closeWakeUp() { wakeUp.withLock { $0 = nil } }

  /// Calls back on the loop's thread: at once when this is it, else in one of its next turns.
  ///
  /// - Returns: `false` when the loop is closed, and was not told.
  func onLoop(_ callback: sending @escaping () -> Void) -> Bool {
    if isHeldByThisThread {
      callback()
      return true
    }
    return post(.callback(callback))
  }

  // MARK: Work runs

  /// Runs one entry of the FIFO.
  func run(_ work: consuming Work) {
    // A callback, or a task, that forked has come back here in the child.
    stopIfForked()
    switch consume work {
    case .job(let job):
      // With both executors named, a call between the loop's isolation and its preference stays in the job.
      unsafe job.runSynchronously(
        isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
    case .callback(let callback):
      do { try callback() } catch { onCallbackError(error) }
    case .timer(let timer):
      timers.settle(timeSource.now)
      guard let callback = timers.takeDue(timer) else { return }
      do { try callback() } catch { onCallbackError(error) }
    case .posted(let callback):
      // Not retained for each callback: the other threads read what stands beside the count.
      guard let loop = unsafe loop else { return }
      do { try unsafe loop._withUnsafeGuaranteedRef { try callback.call($0) } } catch { onCallbackError(error) }
    case .nothing:
      break
    }
  }

  /// Runs some entries from the front.
  func runFirst(_ count: Int) {
    for _ in 0..<count { run(ready.takeFirst()) }
  }

  /// Runs all that is ready, all that other threads leave, and all that comes of it. The inbox must be closed: jobs
  /// come to an end, callbacks need not.
  func runAll() {
    repeat {
      inbox.move(to: ready, atMost: .max)
      // Who is leaving something now has to go on first.
      if ready.isEmpty { sched_yield() }
      while !ready.isEmpty { run(ready.takeFirst()) }
      stopIfForked()
    } while !inbox.isEmpty
  }

  /// Lets go of a loop that is closed. A job that came meanwhile found it held, and was left to this thread.
  func releaseClosed() {
    release()
    runLeftovers()
  }

  /// Runs what there is after the loop was closed.
  @inline(never)
  func runLeftovers() {
    var position: UInt64
    repeat {
      guard acquire() else { return }
      runAll()
      position = inbox.positionRead
      release()
      // Something that came between the last look and the release found the loop held, and left it to us.
    } while inbox.hasMore(than: position)
  }
}
