// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 18: signals as plain callbacks of the loop.
//
// Not pinned here: SG-11 (callbacks carry no task-locals; the sequence of SignalSequenceTests does).

import AsyncIO
import Glibc
import Synchronization
import SystemPackage
import Testing

// One after the other: a signal is the whole process's.
@Suite(.oneAtATime) struct SignalTests {
  /// A signal that is still under way when its handler goes shall not end the tests.
  init() {
    for number in [SIGUSR1, SIGUSR2, SIGHUP] { signal(number, SIG_IGN) }
  }

  @Test func `SG-01: a handler runs on the loop, as a callback in its FIFO`() throws {
    try runInRealTime { loop in
      var order: [String] = []
      var isOnLoop = false
      let thread = UInt(pthread_self())
      try loop.addSignalHandler(SIGUSR1) {
        isOnLoop = (try? EventLoop.running) === loop && UInt(pthread_self()) == thread
        order.append("signal")
        loop.callSoon { order.append("after") }
      }
      kill(getpid(), SIGUSR1)
      order.append("body")
      try await settle { order.count == 3 }
      #expect(order == ["body", "signal", "after"])
      #expect(isOnLoop)
      loop.removeSignalHandler(SIGUSR1)
    }
  }

  @Test func `SG-01: a handler that throws is reported, and stays`() throws {
    try runInRealTime { loop in
      struct Failure: Error {}
      var kinds: [ExceptionContext.Kind] = []
      loop.exceptionHandler = { kinds.append($0.kind) }
      try loop.addSignalHandler(SIGUSR1) { throw Failure() }
      kill(getpid(), SIGUSR1)
      try await settle { kinds.count == 1 }
      kill(getpid(), SIGUSR1)
      try await settle { kinds.count == 2 }
      #expect(kinds == [.callbackFailed, .callbackFailed])
      loop.removeSignalHandler(SIGUSR1)
    }
  }

  @Test func `SG-02: with the last handler the old disposition comes back`() throws {
    let old = Disposition(of: SIGUSR1)
    let marker = Disposition.install(recordingOn: SIGUSR1)
    defer { old.restore() }
    let first = try EventLoop()
    let second = try EventLoop()
    try first.runUntilComplete { try $0.addSignalHandler(SIGUSR1) {} }
    try second.runUntilComplete { try $0.addSignalHandler(SIGUSR1) {} }
    #expect(Disposition(of: SIGUSR1) != marker)
    try first.runUntilComplete { loop in
      let answers = [loop.removeSignalHandler(SIGUSR1), loop.removeSignalHandler(SIGUSR1)]
      #expect(answers == [true, false])
    }
    #expect(Disposition(of: SIGUSR1) != marker)
    // Closing removes what is left.
    second.close()
    #expect(Disposition(of: SIGUSR1) == marker)
    Disposition.recorded.store(0, ordering: .relaxed)
    deliver(SIGUSR1)
    #expect(Disposition.recorded.load(ordering: .relaxed) == 1)
    first.close()
    #expect(Disposition(of: SIGUSR1) == marker)
  }

  @Test func `SG-02: a loop that goes without being closed takes its handlers along`() throws {
    let old = Disposition(of: SIGUSR1)
    let marker = Disposition.install(recordingOn: SIGUSR1)
    defer { old.restore() }
    let log = RecordingLog()
    do {
      let loop = try EventLoop(configuration: .init().with(log: log))
      try loop.runUntilComplete { try $0.addSignalHandler(SIGUSR1) {} }
      #expect(Disposition(of: SIGUSR1) != marker)
    }
    #expect(log.kinds == ["loop-not-closed"])
    #expect(Disposition(of: SIGUSR1) == marker)
  }

  @Test func `SG-10: a handler that goes as it is replaced, or removed, may work on the handlers`() throws {
    try runInRealTime { loop in
      var freed = 0
      let addHolding: () throws -> Void = {
        let sentinel = Sentinel {
          freed += 1
          loop.removeSignalHandler(SIGUSR2)
        }
        try loop.addSignalHandler(SIGUSR1) { withExtendedLifetime(sentinel) {} }
      }
      for _ in 0..<2 {
        try loop.addSignalHandler(SIGUSR2) {}
        try addHolding()
      }
      #expect(freed == 1)
      loop.removeSignalHandler(SIGUSR1)
      #expect(freed == 2)
      let wasThere = loop.removeSignalHandler(SIGUSR2)
      #expect(!wasThere)
    }
  }

  @Test func `SG-02: the last handler of a loop frees its watch`() throws {
    // The descriptor of arrivals is the process's, and stays; what a loop has of its own goes.
    let counting = try CountingBackend()
    let watches = counting.counts.watches
    try EventLoop.run(configuration: .on(counting)) { loop in
      let before = watches.value
      try loop.addSignalHandler(SIGUSR1) {}
      try loop.addSignalHandler(SIGUSR2) {}
      #expect(watches.value == before + 1)
      loop.removeSignalHandler(SIGUSR1)
      #expect(watches.value == before + 1)
      loop.removeSignalHandler(SIGUSR2)
      #expect(watches.value == before)
      // And again.
      var calls = 0
      try loop.addSignalHandler(SIGUSR2) { calls += 1 }
      kill(getpid(), SIGUSR2)
      try await settle { calls == 1 }
    }
  }

  @Test(arguments: [0, -1, 65, Int32.max, SIGKILL, SIGSTOP, 32])
  func `SG-02: a number that cannot be handled is refused, and leaves nothing`(signal: Int32) throws {
    try runInRealTime { loop in
      #expect(throws: SystemError(.invalidArgument, in: "sigaction")) {
        try loop.addSignalHandler(signal) {}
      }
      let wasThere = loop.removeSignalHandler(signal)
      #expect(!wasThere)
      var calls = 0
      try loop.addSignalHandler(SIGUSR1) { calls += 1 }
      kill(getpid(), SIGUSR1)
      try await settle { calls == 1 }
      loop.removeSignalHandler(SIGUSR1)
    }
  }

  @Test func `SG-05: of a burst of ten thousand at least one call comes after the last`() throws {
    try runInRealTime { loop in
      var calls = 0
      var sent = 0
      var sentAtCall = 0
      try loop.addSignalHandler(SIGUSR1) {
        calls += 1
        sentAtCall = sent
      }
      for _ in 0..<10_000 {
        kill(getpid(), SIGUSR1)
        sent += 1
        if sent.isMultiple(of: 100) { try await sleep(for: .zero) }
      }
      try await settle { sentAtCall == 10_000 }
      #expect((1...10_000).contains(calls))
      // None is stuck, and none comes twice.
      try await linger()
      let after = calls
      try await linger()
      #expect(calls == after)
      kill(getpid(), SIGUSR1)
      try await settle { calls == after + 1 }
      loop.removeSignalHandler(SIGUSR1)
    }
  }

  @Test func `SG-05: a burst from another thread reaches a loop that waits`() throws {
    try runInRealTime { loop in
      let sent = Sent()
      var sentAtCall = 0
      try loop.addSignalHandler(SIGUSR2) { sentAtCall = sent.count.load(ordering: .acquiring) }
      let thread = TestThread {
        for _ in 0..<10_000 {
          sent.count.add(1, ordering: .acquiringAndReleasing)
          kill(getpid(), SIGUSR2)
        }
      }
      try await settle { sentAtCall == 10_000 }
      thread.join()
      loop.removeSignalHandler(SIGUSR2)
    }
  }

  @Test func `SG-06: two loops are both told`() throws {
    let thread = LoopOnThread()
    defer { thread.end() }
    let calls = Sent()
    try thread.loop.callSoonThreadsafe { other in
      try other.addSignalHandler(SIGHUP) { calls.count.add(1, ordering: .relaxed) }
      calls.isReady.store(true, ordering: .releasing)
    }
    try runInRealTime { loop in
      var own = 0
      try loop.addSignalHandler(SIGHUP) { own += 1 }
      try await settle { calls.isReady.load(ordering: .acquiring) }
      kill(getpid(), SIGHUP)
      try await settle { own == 1 && calls.count.load(ordering: .relaxed) == 1 }
      // One loop's end is not the other's.
      loop.removeSignalHandler(SIGHUP)
      kill(getpid(), SIGHUP)
      try await settle { calls.count.load(ordering: .relaxed) == 2 }
      try await linger()
      #expect(own == 1)
    }
  }

  @Test func `SG-07: a signal ends the wait at once`() throws {
    try runInRealTime { loop in
      // Nothing but the signal can end this: there is no deadline before an hour has passed.
      let told = loop.createFuture(of: ContinuousClock.Instant.self)
      let hour = loop.callLater(.seconds(3_600)) {}
      try loop.addSignalHandler(SIGUSR1) { try told.setResult(.now) }
      let sent = Shared<ContinuousClock.Instant?>(nil)
      let thread = TestThread {
        usleep(10_000)
        sent.change { $0 = .now }
        kill(getpid(), SIGUSR1)
      }
      let end = try await told.value
      hour.cancel()
      thread.join()
      let start = try #require(sent.value)
      #expect(end - start < .seconds(1))
      loop.removeSignalHandler(SIGUSR1)
    }
  }

  @Test func `SG-10: a handler that is replaced in its own callback: the new one next time`() throws {
    try runInRealTime { loop in
      var calls: [String] = []
      try loop.addSignalHandler(SIGUSR1) {
        calls.append("old")
        try loop.addSignalHandler(SIGUSR1) { calls.append("new") }
      }
      kill(getpid(), SIGUSR1)
      try await settle { calls.count == 1 }
      try await linger()
      #expect(calls == ["old"])
      kill(getpid(), SIGUSR1)
      try await settle { calls.count == 2 }
      #expect(calls == ["old", "new"])
      loop.removeSignalHandler(SIGUSR1)
    }
  }

  @Test func `SG-10: a signal that came before the replacing is told to the new handler`() throws {
    try runInRealTime { loop in
      var calls: [String] = []
      try loop.addSignalHandler(SIGUSR1) { calls.append("old") }
      // It has arrived when this returns, and the loop has had no turn.
      deliver(SIGUSR1)
      try loop.addSignalHandler(SIGUSR1) { calls.append("new") }
      try await settle { !calls.isEmpty }
      #expect(calls == ["new"])
      loop.removeSignalHandler(SIGUSR1)
    }
  }

  @Test func `SG-12: a removed handler is not called for a signal that has come`() throws {
    try runInRealTime { loop in
      var calls = 0
      try loop.addSignalHandler(SIGUSR1) { calls += 1 }
      try loop.addSignalHandler(SIGUSR2) { calls += 100 }
      deliver(SIGUSR1)
      loop.removeSignalHandler(SIGUSR1)
      try await lookAround()
      #expect(calls == 0)
      deliver(SIGUSR2)
      try await settle { calls == 100 }
      loop.removeSignalHandler(SIGUSR2)
    }
  }

  @Test func `SG-12: a handler that another one removes in the same batch is not called`() throws {
    try runInRealTime { loop in
      var calls: [Int32] = []
      for signal in [SIGUSR1, SIGUSR2] {
        try loop.addSignalHandler(signal) {
          calls.append(signal)
          loop.removeSignalHandler(SIGUSR1)
          loop.removeSignalHandler(SIGUSR2)
        }
      }
      // Both stand in the FIFO after one look.
      deliver(SIGUSR1)
      // With the other's handler in place still.
      deliver(SIGUSR2)
      try await settle { !calls.isEmpty }
      try await lookAround()
      #expect(calls.count == 1)
    }
  }

  @Test func `SG-12: closing a loop with a signal pending calls nobody`() throws {
    let guardian = try EventLoop()
    try guardian.runUntilComplete { try $0.addSignalHandler(SIGUSR1) {} }
    defer { guardian.close() }
    let calls = Sent()
    let loop = try EventLoop()
    try loop.runUntilComplete { loop in
      try loop.addSignalHandler(SIGUSR1) { calls.count.add(1, ordering: .relaxed) }
    }
    deliver(SIGUSR1)
    loop.close()
    deliver(SIGUSR1)
    #expect(calls.count.load(ordering: .relaxed) == 0)
  }
}

/// What two threads know of each other.
private final class Sent: Sendable {
  let count = Atomic<Int>(0)
  let isReady = Atomic(false)
}
