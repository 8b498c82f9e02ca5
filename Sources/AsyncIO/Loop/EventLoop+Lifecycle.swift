// SPDX-License-Identifier: Apache-2.0
//
// Running and stopping.

import CLinux
import Glibc
import Synchronization

extension EventLoop {
  /// Whether a thread runs the loop now. Any thread.
  public nonisolated var isRunning: Bool { executor.phase.load(ordering: .relaxed) == .running }

  /// Whether the loop was closed. Any thread.
  public nonisolated var isClosed: Bool { executor.phase.load(ordering: .relaxed) == .closed }

  /// Whether nothing that was not ready by now will come any more.
  @inline(__always)
  nonisolated var isClosing: Bool { executor.isClosing }

  /// Runs the loop on this thread until ``stop()`` is called.
  ///
  /// If a stop was asked before, it makes one turn, without waiting, and returns.
  ///
  /// - Throws: ``LoopStateError`` when the loop is running or closed, or another loop runs on this thread.
  @available(*, noasync, message: "it blocks the thread; make a LoopThread, or call it from a synchronous main")
  public nonisolated func runForever() throws {
    try runTurns()
  }

  /// Makes the loop return from its run after the present batch of callbacks.
  ///
  /// What the batch adds stays for the next run. On a loop that is not running, the next run makes one turn.
  ///
  /// - Threading: Any thread.
  public nonisolated func stop() {
    executor.stopIfForked()
    isStopping.store(true, ordering: .sequentiallyConsistent)
    if !executor.isHeldByThisThread { executor.ring() }
  }

  /// `runForever`, for callers of ours that know what they block.
  package nonisolated func runTurns() throws(LoopStateError) {
    guard ThreadLocals.running == nil else { throw LoopStateError.anotherLoopRuns }
    guard executor.acquire() else {
      executor.stopIfForked()
      throw LoopStateError.alreadyRunning
    }
    guard executor.phase.compareExchange(expected: .idle, desired: .running, ordering: .acquiringAndReleasing).exchanged
    else {
      executor.releaseClosed()
      throw LoopStateError.closed
    }
    ThreadLocals.running = self
    assumeIsolated { loop in
      loop.watchMainQueue(isMainThread: getpid() == gettid())
      // A cycle for the length of the run, and not a weak reference: that would slow down each later retain of the
      // loop.
      unsafe loop.executor.loop = .passUnretained(loop)
      let report = loop.executor.onCallbackError
      loop.executor.onCallbackError = { error in loop.callbackFailed(error) }
      repeat {
        loop.turn()
        loop.executor.stopIfForked()
      } while !loop.isStopping.load(ordering: .acquiring)
      loop.mainQueueWatch?.end()
      loop.mainQueueWatch = nil
      loop.executor.onCallbackError = report
      unsafe loop.executor.loop = nil
    }
    isStopping.store(false, ordering: .relaxed)
    ThreadLocals.running = nil
    executor.phase.store(.idle, ordering: .releasing)
    executor.release()
    // Jobs of Swift's tasks that came while the loop was leaving stay in the inbox for its next run.
  }

  private nonisolated func callbackFailed(_ error: any Error) {
    assumeIsolated {
      $0.reportException(
        ExceptionContext(
          .callbackFailed, "a callback threw", error: error, creationSite: $0.isDebugging ? $0.runningSite : nil))
    }
  }

  /// Calls back with the loop held by this thread, while nobody runs it.
  package nonisolated func whileIdle<T: Sendable>(_ body: (isolated EventLoop) throws -> T) throws -> T {
    guard executor.acquire() else {
      executor.stopIfForked()
      throw LoopStateError.alreadyRunning
    }
    if isClosed {
      executor.releaseClosed()
      throw LoopStateError.closed
    }
    defer { executor.release() }
    return try assumeIsolated(body)
  }

  /// Drops what is pending, and gives the loop's descriptors back.
  func releaseEverything() {
    executor.timers.removeAll()
    releaseDependents()
    for key in watches.keys.sorted() { endWatch(key) }
    interests = [:]
    removeAllSignalHandlers()
    wakeUpWatch = nil
    backend = ClosedBackend()
    exceptionHandler = nil
  }
}

/// A call that the loop's state does not allow.
public struct LoopStateError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, and what to do.
  public let description: String

  /// The loop runs already, on this thread or another.
  public static let alreadyRunning = LoopStateError(
    description: "the event loop is running already; await on it, or stop it first")

  /// Another loop runs on the calling thread.
  public static let anotherLoopRuns = LoopStateError(
    description: "a loop runs on this thread already; use that one, or run the other on a thread of its own")

  /// The loop was closed.
  public static let closed = LoopStateError(description: "the event loop is closed; make a new one")

  /// The thread that runs the loop would wait for something that only the loop can bring.
  public static let waitsForItself = LoopStateError(
    description: "this thread runs the event loop that it would wait for, which then would never go on; "
      + "await a task of the loop instead, or wait on another thread")

  /// The loop was stopped before what it ran for had ended; the task is alive, and goes on in the next run.
  public static let stoppedBeforeDone = LoopStateError(
    description: "the event loop was stopped before the task had ended; run the loop again to go on")
}
