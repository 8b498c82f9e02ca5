// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 18: signals as a sequence.

import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct SignalSequenceTests {
  /// A signal that is still under way when its handler goes shall not end the tests.
  init() {
    for number in [SIGUSR1, SIGUSR2, SIGHUP] { signal(number, SIG_IGN) }
  }

  @Test func `SG-01: signals are elements, in the task that iterates`() throws {
    try runInRealTime { loop in
      var seen: [Int32] = []
      let signals = try loop.signals([SIGUSR1, SIGUSR2, SIGUSR1])
      deliver(SIGUSR1)
      for try await signal in signals {
        #expect(try EventLoop.running === loop)
        seen.append(signal)
        if seen.count == 3 { break }
        deliver(signal == SIGUSR1 ? SIGUSR2 : SIGUSR1)
      }
      #expect(seen == [SIGUSR1, SIGUSR2, SIGUSR1])
    }
  }

  @Test func `SG-02: what the process did before comes back when the iteration ends, by a break`() throws {
    let old = Disposition(of: SIGUSR1)
    let marker = Disposition.install(recordingOn: SIGUSR1)
    defer { old.restore() }
    try runInRealTime { loop in
      for try await _ in try Self.started(loop, marker) { break }
      #expect(Disposition(of: SIGUSR1) == marker)
    }
  }

  private static func started(_ loop: isolated EventLoop, _ marker: Disposition) throws -> SignalSequence {
    let signals = try loop.signals([SIGUSR1])
    #expect(Disposition(of: SIGUSR1) != marker)
    deliver(SIGUSR1)
    return signals
  }

  @Test func `SG-02: or by a cancel, an error, a drop, its end, the loop's closing`() throws {
    let old = Disposition(of: SIGUSR1)
    let marker = Disposition.install(recordingOn: SIGUSR1)
    defer { old.restore() }
    try runInRealTime { loop in
      let cancelled = loop.createTask { for try await _ in try loop.signals([SIGUSR1]) {} }
      try await turns(2)
      #expect(Disposition(of: SIGUSR1) != marker)
      cancelled.cancel()
      await #expect(throws: CancellationError.self) { try await cancelled.value }
      #expect(Disposition(of: SIGUSR1) == marker)

      let failed = loop.createTask {
        for try await _ in try loop.signals([SIGUSR1]) { throw Oops() }
      }
      try await turns(2)
      deliver(SIGUSR1)
      await #expect(throws: Oops.self) { try await failed.value }
      #expect(Disposition(of: SIGUSR1) == marker)

      // Never iterated, and dropped.
      do { _ = try loop.signals([SIGUSR1]) }
      #expect(Disposition(of: SIGUSR1) == marker)

      let ended = try loop.signals([SIGUSR1])
      var counts = 0
      let iterating = loop.createTask {
        for try await _ in ended { counts += 1 }
        return counts
      }
      try await turns(2)
      deliver(SIGUSR1)
      try await settle { counts == 1 }
      ended.end()
      #expect(Disposition(of: SIGUSR1) == marker)
      #expect(try await iterating.value == 1)
      ended.end()
      var iterator = ended.makeAsyncIterator()
      #expect(try await iterator.next() == nil)
    }
    let loop = try EventLoop(configuration: EventLoop.Configuration().with(log: RecordingLog()))
    try loop.runUntilComplete { loop in
      loop.createTask { for try await _ in try loop.signals([SIGUSR1]) {} }
      try await turns(2)
    }
    #expect(Disposition(of: SIGUSR1) != marker)
    loop.close()
    #expect(Disposition(of: SIGUSR1) == marker)
  }

  @Test(arguments: [0, -1, 65, Int32.max, SIGKILL, SIGSTOP, 32])
  func `SG-02: a number that cannot be waited for is refused, and the others are left alone`(number: Int32) throws {
    let old = Disposition(of: SIGUSR1)
    let marker = Disposition.install(recordingOn: SIGUSR1)
    defer { old.restore() }
    try runInRealTime { loop in
      #expect(throws: SystemError(.invalidArgument, in: "sigaction")) { try loop.signals([SIGUSR1, number, SIGUSR2]) }
      #expect(Disposition(of: SIGUSR1) == marker)
      #expect(throws: InvalidArgumentError.self) { try loop.signals([]) }
    }
  }

  @Test func `SG-02: ten thousand sequences leave nothing`() throws {
    let counting = try CountingBackend()
    let watches = counting.counts.watches
    try EventLoop.run(configuration: .on(counting)) { loop in
      let before = watches.value
      let descriptors = ProcessFacts.descriptors.count
      for _ in 0..<Amount.of(10_000, usually: 800) {
        do { _ = try loop.signals([SIGUSR1, SIGUSR2]) }
        #expect(throws: SystemError.self) { try loop.signals([SIGUSR1, SIGKILL]) }
      }
      #expect(watches.value == before)
      #expect(ProcessFacts.descriptors.count < descriptors + 50)
    }
  }

  @Test func `SG-05: of a burst of ten thousand at least one element comes after the last`() throws {
    try runInRealTime { loop in
      let sent = Shared(0)
      var sentAtElement = 0
      var elements = 0
      let task = loop.createTask {
        for try await signal in try loop.signals([SIGUSR1]) {
          #expect(signal == SIGUSR1)
          elements += 1
          sentAtElement = sent.value
        }
      }
      try await turns(2)
      let thread = TestThread {
        for _ in 0..<10_000 {
          sent.change { $0 += 1 }
          kill(getpid(), SIGUSR1)
        }
      }
      try await settle { sentAtElement == 10_000 }
      thread.join()
      #expect((1...10_000).contains(elements))
      try await linger()
      let after = elements
      try await linger()
      #expect(elements == after)
      kill(getpid(), SIGUSR1)
      try await settle { elements == after + 1 }
      task.cancel()
      _ = try? await task.value
    }
  }

  @Test func `SG-05: signals that come while nobody waits are kept, each number once`() throws {
    try runInRealTime { loop in
      let signals = try loop.signals([SIGUSR1, SIGUSR2])
      deliver(SIGUSR2)
      try await settle { signals.subscription.pending == [SIGUSR2] }
      deliver(SIGUSR1)
      try await settle { signals.subscription.pending.count == 2 }
      for _ in 0..<50 {
        deliver(SIGUSR2)
        deliver(SIGUSR1)
        try await sleep(for: .milliseconds(1))
      }
      try await lookAround()
      var iterator = signals.makeAsyncIterator()
      #expect(try await iterator.next() == SIGUSR2)
      #expect(try await iterator.next() == SIGUSR1)
      await #expect(throws: TimeoutError.self) {
        try await withTimeout(.milliseconds(1)) { try await iterator.next() }
      }
    }
  }

  @Test func `SG-06: a handler, two sequences and another loop are all told`() throws {
    let thread = LoopOnThread()
    defer { thread.end() }
    let others = Shared(0)
    let isReady = Gate()
    try thread.loop.callSoonThreadsafe { other in
      try other.addSignalHandler(SIGHUP) { others.change { $0 += 1 } }
      isReady.open()
    }
    isReady.wait()
    try runInRealTime { loop in
      var calls: [String] = []
      try loop.addSignalHandler(SIGHUP) { calls.append("handler") }
      let tasks = try ["one", "two"].map { name in
        let signals = try loop.signals([SIGHUP])
        return loop.createTask { for try await _ in signals { calls.append(name) } }
      }
      try await turns(2)
      kill(getpid(), SIGHUP)
      try await settle { calls.count == 3 && others.value == 1 }
      #expect(calls.sorted() == ["handler", "one", "two"])
      // One's end is not the others'.
      tasks[0].cancel()
      loop.removeSignalHandler(SIGHUP)
      try await turns(2)
      kill(getpid(), SIGHUP)
      try await settle { calls.count == 4 && others.value == 2 }
      #expect(calls.last == "two")
      tasks[1].cancel()
    }
  }

  @Test func `SG-10: an iteration begun in the loop of another gets what comes from then on`() throws {
    try runInRealTime { loop in
      var seen: [String] = []
      for try await _ in try Self.armed(loop, SIGUSR1) {
        seen.append("first")
        for try await _ in try Self.armed(loop, SIGUSR1) {
          seen.append("second")
          break
        }
        if seen.count >= 4 { break }
      }
      // The inner ones do not get what the outer one was told of, but a signal of their own; the outer one gets that, too.
      #expect(seen == ["first", "second", "first", "second"])
    }
  }

  private static func armed(_ loop: isolated EventLoop, _ signal: Int32) throws -> SignalSequence {
    let signals = try loop.signals([signal])
    deliver(signal)
    return signals
  }

  @Test func `SG-11: the task that iterates has its task-locals`() throws {
    try runInRealTime { loop in
      let task = TestLocal.$number.withValue(7) {
        loop.createTask {
          for try await _ in try loop.signals([SIGUSR1]) { return TestLocal.number }
          return 0
        }
      }
      try await turns(2)
      deliver(SIGUSR1)
      #expect(try await task.value == 7)
    }
  }

  @Test func `SG-12: after its end a sequence has no element, also of a signal that has come`() throws {
    try runInRealTime { loop in
      let guardian = try loop.signals([SIGUSR1])
      let signals = try loop.signals([SIGUSR1])
      deliver(SIGUSR1)
      signals.end()
      var iterator = signals.makeAsyncIterator()
      #expect(try await iterator.next() == nil)
      // One that has come, and was noticed.
      let other = try loop.signals([SIGUSR1])
      deliver(SIGUSR1)
      try await lookAround()
      other.end()
      var second = other.makeAsyncIterator()
      #expect(try await second.next() == nil)
      guardian.end()
    }
  }

  @Test func `SG-12: a signal, a cancel and another iteration in one turn: none is lost`() throws {
    try runInRealTime { loop in
      for order in 0..<2 {
        let signals = try loop.signals([SIGUSR1])
        var seen: [String] = []
        let tasks = ["one", "two"].map { name in
          loop.createTask {
            var iterator = signals.makeAsyncIterator()
            if try await iterator.next() == SIGUSR1 { seen.append(name) }
          }
        }
        try await turns(2)
        deliver(SIGUSR1)
        if order == 0 {
          // The first has been woken, and is cancelled before it goes on: the second gets it.
          try await settle { !signals.subscription.pending.isEmpty || !seen.isEmpty }
          tasks[0].cancel()
        } else {
          tasks[0].cancel()
        }
        _ = try? await tasks[0].value
        if seen.isEmpty { try await tasks[1].value }
        #expect(seen.count == 1)
        tasks[1].cancel()
        _ = try? await tasks[1].value
      }
    }
  }

  @Test func `SG-12: an element that was promised to a task that is cancelled goes to the next`() throws {
    try runVirtually { loop in
      let signals = try loop.signals([SIGUSR1])
      var seen: [String] = []
      let tasks = ["one", "two"].map { name in
        loop.createTask {
          var iterator = signals.makeAsyncIterator()
          if try await iterator.next() != nil { seen.append(name) }
        }
      }
      try await turns(2)
      // In one callback: woken, and cancelled.
      loop.callSoon {
        signals.subscription.arrive(SIGUSR1)
        tasks[0].cancel()
      }
      await #expect(throws: CancellationError.self) { try await tasks[0].value }
      try await tasks[1].value
      #expect(seen == ["two"])
    }
  }

  @Test func `a foreign task of the loop iterates, and hears a cancel`() throws {
    try runInRealTime { loop in
      let count = Shared(0)
      let foreign: Task<Void, any Error> = loop.foreignTask {
        try await loop.count(SIGUSR2, count)
      }
      try await lookAround()
      deliver(SIGUSR2)
      try await settle { count.value == 1 }
      foreign.cancel()
      await #expect(throws: CancellationError.self) { try await foreign.value }
    }
  }
}

extension EventLoop {
  fileprivate func count(_ number: Int32, _ count: Shared<Int>) async throws {
    for try await _ in try signals([number]) { count.change { $0 += 1 } }
  }
}
