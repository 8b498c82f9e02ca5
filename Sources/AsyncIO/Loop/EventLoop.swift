// SPDX-License-Identifier: Apache-2.0
//
// The event loop: an actor whose executor is one thread that waits for descriptors and deadlines.

import Logging
import Synchronization

/// An event loop: callbacks, timers, descriptors and tasks, one at a time on one thread.
///
/// ```swift
/// try EventLoop.run { loop in
///   var hits = 0                                  // plain state, no lock, and the compiler agrees
///   loop.callLater(.milliseconds(10)) { hits += 1 }
///   let task = loop.createTask { hits += 1 }
///   try await task.value
/// }
/// ```
///
/// It is an actor: what asyncio documents as "not thread-safe" is isolated to it. Code on the loop (callbacks, bodies
/// of its tasks) calls it synchronously and shares state freely; all others need `await`, or one of the few
/// `nonisolated` members, which may be called from any thread: ``callSoonThreadsafe(_:)``, ``stop()``, ``now``.
///
/// A loop runs on the thread that calls ``runForever()``, `runUntilComplete` or
/// ``run(configuration:shutdownGrace:_:)``, or on one of its own (``LoopThread``). It is made, run any number of times,
/// and closed.
///
/// Invariant: isolated state is touched only by the thread that holds `executor`; a loop that is neither running nor
/// closing is held by nobody.
public actor EventLoop {
  /// The thread's door: the FIFO, the inbox, and who holds the loop.
  package nonisolated let executor: LoopExecutor

  /// Where the loop reads the time from.
  package nonisolated var timeSource: any LoopClock { executor.timeSource }

  /// The calls that sockets on this loop make.
  package nonisolated let systemCalls: any SystemCalls

  nonisolated let phase = Atomic<Phase>(.idle)
  nonisolated let isStopping = Atomic(false)
  nonisolated let logger: Logger

  var backend: any Backend
  let batchOrder: BatchOrder
  var wakeUpWatch: (any Watch)?
  var pace = Pace()
  var watches: [WatchKey: DescriptorWatch] = [:]
  var signals = SignalHandlers()
  var mainQueueWatch: DescriptorWatch?
  /// Batches run so far: the second half of a shuffle's seed.
  var batchNumber: UInt64 = 0
  /// In debug mode, where the callback that runs now was made.
  var runningSite: String?

  /// What is told of errors that nobody reads; `nil` for an entry in the log. See ``ExceptionContext``.
  ///
  /// The handler runs on the loop, as a plain function; one that throws is reported to the log, with its error.
  public var exceptionHandler: ((ExceptionContext) throws -> Void)?

  /// Whether slow callbacks are reported, and creation sites are told in reports. See ``Configuration/debug``.
  public var debug: Bool {
    get { isDebugging }
    set { isDebugging = newValue }
  }

  /// What `debug` stands for. Each `callSoon` reads it, and a stored property that is public is checked for exclusive
  /// access at each read, since code of other modules could be changing it; one whose every use the compiler sees is
  /// not. (`@exclusivity(unchecked)` would make it unsafe for users to name.)
  var isDebugging: Bool

  /// In debug mode, a callback or a step of a task that takes longer than this is reported. 100 ms at first.
  public var slowCallbackDuration: Duration = .milliseconds(100)

  /// The executor of the loop: its thread.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

  /// Creates a loop that is not running.
  ///
  /// It takes two descriptors (epoll, and an eventfd for other threads), which ``close()`` gives back.
  ///
  /// - Throws: ``SystemError`` when the process or the system has no descriptors left.
  public init(configuration: Configuration = Configuration()) throws(SystemError) {
    executor = try LoopExecutor(timeSource: configuration.seams.clock ?? MonotonicClock())
    systemCalls = configuration.seams.systemCalls ?? LinuxSystemCalls()
    batchOrder = configuration.seams.batchOrder
    let backend: any Backend
    if let given = unsafe configuration.seams.backend {
      backend = given
    } else {
      backend = try LibEventBackend(precise: configuration.timerPrecision == .precise)
    }
    self.backend = backend
    logger = configuration.logger
    isDebugging = configuration.debug
    let logger = configuration.logger
    executor.onCallbackError = { error in
      logger.error(
        "a callback of a closed loop threw: \(error)", metadata: ["kind": "\(ExceptionContext.Kind.callbackFailed)"])
    }
    if let descriptor = executor.wakeUpDescriptor {
      wakeUpWatch = try backend.watch(descriptor, for: .readable) { [executor] in executor.drainWakeUp() }
    }
  }

  deinit {
    guard phase.load(ordering: .acquiring) != .closed else { return }
    logger.warning(
      "EventLoop: a loop was released without close()", metadata: ["kind": "\(ExceptionContext.Kind.loopNotClosed)"])
  }
}

/// Where a loop is in its life.
enum Phase: UInt8, AtomicRepresentable {
  case idle, running, closing, closed
}

/// A call that came too late: its loop is closed.
public struct LoopClosedError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The fact.
  public var description: String { "the event loop is closed" }
}
