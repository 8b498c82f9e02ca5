// SPDX-License-Identifier: Apache-2.0
//
// One run of a test: a loop, its clock, its backend, and what is looked at in the end.

package import AsyncIO
import Glibc

/// A loop under test, from its making to its closing.
///
/// Invariant, and the reason for `@unchecked Sendable`: it is made on one thread, and used by the one that runs the loop;
/// `start` is isolated to the loop.
package final class TestRun: @unchecked Sendable {
  package let loop: EventLoop
  package let clock: TestClock
  private let configuration: TestLoop.Configuration
  private let backend: TestBackend
  private let recorder: TraceRecorder?
  private let kernel: ScriptedKernel
  /// The loop's network in memory, or one for its pairs of connections, which is made with the first of them.
  private(set) var network: MemoryNetwork?
  private let processBefore: ProcessSnapshot?
  private var hang: LoopHangsError?
  private var ownDescriptors: Set<Int32> = []

  package init(
    _ configuration: TestLoop.Configuration, sweeping fault: TestLoop.Fault? = nil, clock given: TestClock? = nil
  ) throws {
    self.configuration = configuration
    processBefore = configuration.leaks == .wholeProcess ? ProcessSnapshot() : nil
    let clock = given ?? TestClock(configuration)
    self.clock = clock
    network = configuration.network.map { MemoryNetwork($0, seed: configuration.seed, clock: clock) }
    let backend = TestBackend(clock: clock, network: network)
    self.backend = backend
    kernel = ScriptedKernel(configuration.system, sweeping: fault, seed: configuration.seed)
    recorder = configuration.isTraced ? TraceRecorder(clock: clock) : nil
    var ofLoop = configuration.loop
    ofLoop.seams.clock = clock
    if unsafe ofLoop.seams.backend == nil { unsafe ofLoop.seams.backend = backend }
    if case .seeded(let seed) = configuration.order { ofLoop.seams.batchOrder = .seeded(seed) }
    ofLoop.seams.observer = recorder
    let calls: any SystemCalls = network ?? ofLoop.seams.systemCalls ?? LinuxSystemCalls()
    let isPlain = network == nil && configuration.system == TestLoop.SystemScript() && fault == nil
    if !isPlain {
      ofLoop.seams.systemCalls = ScriptedCalls(base: calls, kernel: kernel)
      backend.script = kernel
    }
    let loop = try EventLoop(configuration: ofLoop)
    self.loop = loop
    clock.attach(to: loop.executor, backend)
    ownDescriptors = backend.watchedDescriptors
    backend.ownWatches = { [unowned loop] in loop.assumeIsolated { $0.ownWatches } }
    clock.onHang = { [unowned self] reason in
      if hang == nil { hang = LoopHangsError(reason, on: self.loop) }
      self.loop.stop()
    }
    TestRuns.register(self)
  }

  /// The seed of the order; `nil` in FIFO order.
  var seed: UInt64? { if case .seeded(let seed) = configuration.order { seed } else { nil } }

  /// What was left behind, when the run is over.
  private(set) var leaks: [LeakError.Leak] = []

  /// The calls that the swept fault made to fail.
  var firedCalls: [TestLoop.SystemCall] { kernel.fired }

  /// Whether there were so many calls that the swept fault has had its turn.
  var isSweptReached: Bool { kernel.isSweptReached }

  /// What ran.
  package var trace: TestLoop.Trace { recorder?.trace ?? TestLoop.Trace(steps: []) }

  /// When something arrives next from the network in memory.
  var networkEvent: Deadline? { network?.nextEvent }

  /// Writes a note into the trace.
  package func note(_ text: String) { recorder?.note(text) }

  // MARK: Pairs

  /// Two sockets of the network in memory that are connected to each other.
  func makeSocketPair() -> (Int32, Int32) { networkForPairs.makePair() }

  /// The calls of the sockets of that network.
  var callsOfNetwork: any SystemCalls { ScriptedCalls(base: networkForPairs, kernel: kernel) }

  private var networkForPairs: MemoryNetwork {
    if let network { return network }
    let made = MemoryNetwork(TestLoop.Network(), seed: configuration.seed, clock: clock)
    network = made
    backend.network = made
    return made
  }

  // MARK: Running

  /// Runs a body on this thread.
  package func run<Success: Sendable>(
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Success
  ) -> Result<Success, any Error> {
    begin(body).flatMap(runToEnd)
  }

  /// Runs a body on a thread of its own. Its task is made here, so that it has this one's task-locals.
  package func runOnThread<Success: Sendable>(
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Success
  ) async -> Result<Success, any Error> {
    switch begin(body) {
    case .failure(let error): .failure(error)
    case .success(let task):
      await withTaskCancellationHandler {
        await Self.onThread { [self] in runToEnd(task) }
      } onCancel: {
        task.cancel()
      }
    }
  }

  /// Makes the body's task. A loop that refuses it is closed.
  private func begin<Success: Sendable>(
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Success
  ) -> Result<LoopTask<Success>, any Error> {
    let task = Result { try loop.makeMainTask(body) }
    if case .failure = task { loop.closeNow() } else { clock.isArmed = true }
    return task
  }

  private func runToEnd<Success: Sendable>(_ task: LoopTask<Success>) -> Result<Success, any Error> {
    finish(task, Result { try loop.run(until: task, interruptible: false) })
  }

  private static func onThread<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
    await withCheckedContinuation { continuation in
      do {
        try PlainThread.start(name: "asyncio-test", takesSignals: true) { continuation.resume(returning: body()) }
      } catch {
        continuation.resume(returning: body())
      }
    }
  }

  // MARK: The end

  private func finish<Success: Sendable>(
    _ task: LoopTask<Success>, _ outcome: Result<Void, any Error>
  ) -> Result<Success, any Error> {
    let looksAtEnd = configuration.leaks == .atEnd || configuration.leaks == .wholeProcess
    if hang == nil && looksAtEnd {
      settle()
      leaks = leftovers()
    }
    let hangOfBody = hang
    _ = try? loop.endTasks(grace: configuration.shutdownGrace)
    if hang == nil && configuration.leaks == .afterShutdown {
      settle()
      leaks = leftovers()
    }
    loop.closeNow()
    TestRuns.forget(self)
    backend.end()
    if let processBefore { leaks += processBefore.leftovers() }
    if let hangOfBody { return .failure(hangOfBody) }
    do {
      if !task.isDone { try outcome.get() }
      let value = try task.result()
      if let hang { throw hang }
      if !leaks.isEmpty { throw LeakError(leaks) }
      return .success(value)
    } catch {
      return .failure(error)
    }
  }

  /// Gives turns until nothing is under way; time stands still.
  private func settle() {
    for _ in 0..<1_000 {
      let entries = loop.executor.entriesSoFar
      loop.stop()
      guard (try? loop.runTurns()) != nil else { return }
      if loop.executor.entriesSoFar == entries && loop.executor.hasNothingReady { return }
    }
  }

  private func leftovers() -> [LeakError.Leak] {
    let own = ownDescriptors
    let found = try? loop.whileIdle { loop -> [LeakError.Leak] in
      let executor = loop.executor
      var found = executor.unfinishedTasks.map { task in
        LeakError.Leak(
          .task, "task \(task.name), which waits for \(task.waitDescription)", at: task.creationSite)
      }
      found += executor.waitsFromOutside.map { subject in
        LeakError.Leak(.task, "a Swift task, or a thread, that waits on the loop for \(subject)", at: nil)
      }
      // A task that sleeps has a timer, and is reported itself.
      let timers = self.recorder?.pendingTimers(on: executor) ?? []
      found += timers.map { LeakError.Leak(.timer, $0, at: nil) }
      if timers.isEmpty && executor.armedTimers > 0 && found.isEmpty {
        found.append(LeakError.Leak(.timer, "\(executor.armedTimers) timers", at: nil))
      }
      let things = loop.openThings
      found += things.map(LeakError.Leak.init)
      // What a thing has for itself is told by it.
      let own = own.union(things.flatMap(\.descriptors))
      found += self.backend.watched(besides: own).map { watch in
        LeakError.Leak(.watch, "\(watch)", at: loop.creationSite(ofWatch: watch.descriptor, watch.readiness))
      }
      found += (self.network?.openDescriptors ?? []).filter { !own.contains($0) }.map {
        LeakError.Leak(.descriptor, "socket \($0) of the network in memory", at: nil)
      }
      found += loop.handledSignals.map { LeakError.Leak(.watch, "the handler of signal \($0.signal)", at: $0.site) }
      return found
    }
    return found ?? []
  }
}

extension LeakError.Leak {
  fileprivate init(_ thing: OpenThing) {
    switch thing.kind {
    case .connection: self.init(.connection, thing.subject, at: thing.site)
    case .server: self.init(.server, thing.subject, at: thing.site)
    case .endpoint: self.init(.endpoint, thing.subject, at: thing.site)
    case .child(let child):
      self.init(.child, "\(thing.subject), \(ProcFiles.children[child] ?? "gone")", at: thing.site)
    }
  }
}
