// SPDX-License-Identifier: Apache-2.0
//
// The event loop: an actor whose executor is one thread that waits for descriptors and deadlines.

import Logging
import Synchronization
import SystemPackage

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
/// It has to be closed. One that is dropped before is reported in the log; but what has not ended holds it, tasks,
/// connections, servers, and so it stays, with its descriptors and without a word, until they end or it is closed.
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

  /// The calls that start and end child processes of this loop.
  package nonisolated let processCalls: any ProcessCalls

  /// Whom the loop's threads ask for the addresses of names.
  package nonisolated let nameLookup: any NameLookup

  nonisolated let isStopping = Atomic(false)
  nonisolated let logger: Logger

  var backend: any Backend
  let batchOrder: BatchOrder
  let observer: (any LoopObserver)?
  var wakeUpWatch: (any Watch)?
  var pace = Pace()
  var watches: [WatchKey: DescriptorWatch] = [:]
  /// Who waits for descriptors of others, and is to hear that one will be closed.
  var interests: [FileDescriptor: [any DescriptorInterest]] = [:]
  var signals = SignalHandlers()
  var mainQueueWatch: DescriptorWatch?
  /// What lives by the loop, and is told when it is closed.
  var dependents = IdentityMap<any LoopDependent>()
  /// The pools of a floor above, once they have been asked for.
  var pools: AnyObject?
  nonisolated let threadLimits: ThreadLimits
  /// Batches run so far: the second half of a shuffle's seed.
  var batchNumber: UInt64 = 0
  /// Where the callback that runs now was made, if it says so.
  var runningSite: String?

  /// What is told of errors that nobody reads; `nil` for an entry in the log. See ``ExceptionContext``.
  ///
  /// The handler runs on the loop, as a plain function; one that throws is reported to the log, with its error.
  public var exceptionHandler: ((ExceptionContext) throws -> Void)?

  /// Whether slow callbacks are reported, and creation sites are told in reports. See ``Configuration/debug``.
  public var debug: Bool {
    get { isDebugging }
    set {
      isDebugging = newValue
      isMarking = newValue || observer != nil
    }
  }

  /// What `debug` stands for.
  var isDebugging: Bool

  /// Whether callbacks say where they were made, and are looked at one by one: in debug mode, or for a test. Each `callSoon` reads it, and a stored property that is public is checked for exclusive
  /// access at each read, since code of other modules could be changing it; one whose every use the compiler sees is
  /// not. (`@exclusivity(unchecked)` would make it unsafe for users to name.)
  var isMarking: Bool

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
    let isPrecise = configuration.timerPrecision == .precise
    let clock = configuration.seams.clock ?? MonotonicClock(grain: isPrecise ? 1 : LibEventBackend.grain)
    executor = try LoopExecutor(timeSource: clock)
    systemCalls = configuration.seams.systemCalls ?? LinuxSystemCalls()
    processCalls = configuration.seams.processCalls ?? LinuxProcessCalls()
    nameLookup = configuration.seams.nameLookup ?? SystemNameLookup()
    batchOrder = configuration.seams.batchOrder
    threadLimits = ThreadLimits(
      blocking: configuration.maximumBlockingThreads, lookUps: configuration.maximumLookUpThreads)
    let backend: any Backend
    if let given = unsafe configuration.seams.backend {
      backend = given
    } else {
      backend = try LibEventBackend(precise: isPrecise)
    }
    self.backend = backend
    logger = configuration.logger
    observer = configuration.seams.observer
    isDebugging = configuration.debug
    isMarking = configuration.debug || configuration.seams.observer != nil
    let logger = configuration.logger
    executor.onCallbackError = { error in
      logger.error(
        "a callback of a closed loop threw: \(error)", metadata: ["kind": "\(ExceptionContext.Kind.callbackFailed)"])
    }
    if let descriptor = executor.wakeUpDescriptor {
      wakeUpWatch = try backend.watch(descriptor, for: .readable) { [executor] in executor.drainWakeUp() }
    }
    LoopsOfProcess.add(self)
  }

  deinit {
    LoopsOfProcess.remove(self)
    guard executor.phase.load(ordering: .acquiring) != .closed else { return }
    logger.warning(
      "EventLoop: a loop was released without close()", metadata: ["kind": "\(ExceptionContext.Kind.loopNotClosed)"])
  }
}

/// A call that came too late: its loop is closed.
public struct LoopClosedError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The fact.
  public var description: String { "the event loop is closed" }
}
