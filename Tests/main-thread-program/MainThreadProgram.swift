// SPDX-License-Identifier: Apache-2.0
//
// What MainQueueTests and ForkTests start: a program whose main thread runs a loop. The argument says which scene it plays; it writes
// `done` when all was as it should be.

import AsyncIO
import AsyncIOTesting
import Dispatch
import Glibc
import SystemPackage

@main struct MainThreadProgram {
  static func main() throws {
    _ = mainThread
    switch CommandLine.arguments.dropFirst().first {
    case "hops": try hops()
    case "idle": try idle()
    case "twice": try twice()
    case "between": try between()
    case "callbacks": try callbacks()
    case "other-thread": try otherThread()
    case "interrupt": try interrupt()
    case "swallow": try swallow()
    case "two-interrupts": try twoInterrupts()
    case "own-handler": try ownHandler()
    case "other-loops-handler": try otherLoopsHandler()
    case "sweep": try sweep()
    case let scene?:
      guard let play = ForkScenes.all[scene] else { exit(64) }
      try play()
    case nil: exit(64)
    }
    print("done")
  }

  /// Tasks of the loop hop to the main actor and back.
  private static func hops() throws {
    try EventLoop.run { loop in
      for number in 0..<1_000 {
        check(await MainState.shared.add(number) == number + 1)
        check((try? EventLoop.running) === loop)
      }
      let tasks = (0..<100).map { _ in loop.createTask { await MainState.shared.add(0) } }
      for task in tasks { _ = try await task.value }
    }
    check(MainActor.assumeIsolated { MainState.shared.calls } == 1_100)
  }

  /// A loop that waits without deadline wakes for the main queue.
  private static func idle() throws {
    try EventLoop.run { loop in
      let future = loop.createFuture(of: Int.self)
      Thread.start {
        usleep(50_000)
        Task { @MainActor in
          check(pthread_equal(pthread_self(), mainThread) != 0)
          try future.setResult(7)
        }
      }
      check(try await future.value == 7)
    }
  }

  /// The loop's watch of the main queue is none of the calls that a sweep makes to fail.
  private static func sweep() throws {
    let fault = TestLoop.Fault(.watch, error: .noMemory)
    check(try !TestLoop.run(failing: fault) { _ in check(await MainState.shared.add(1) == 2) })
  }

  /// A second run on the main thread serves it again.
  private static func twice() throws {
    for _ in 0..<3 {
      try EventLoop.run { _ in check(await MainState.shared.add(1) > 0) }
    }
    let loop = try EventLoop()
    for _ in 0..<3 {
      try loop.runUntilComplete { _ in check(await MainState.shared.add(1) > 0) }
    }
    loop.close()
    check(MainActor.assumeIsolated { MainState.shared.calls } == 6)
  }

  /// What comes while no loop runs waits for the next.
  private static func between() throws {
    DispatchQueue.main.async { MainActor.assumeIsolated { MainState.shared.calls += 1 } }
    try EventLoop.run { _ in
      try await sleep(for: .milliseconds(5))
      check(await MainState.shared.calls == 1)
    }
  }

  /// Jobs of the main queue and callbacks of the loop take turns, though both add without end.
  private static func callbacks() throws {
    try EventLoop.run { loop in
      let counts = Counts()
      again(counts, on: loop)
      func onMain() { DispatchQueue.main.async { onMain() } }
      onMain()
      for _ in 0..<20 {
        let before = counts.callbacks
        check(await MainState.shared.add(1) > 0)
        try await sleep(for: .milliseconds(1))
        check(counts.callbacks > before)
      }
    }
  }

  private static func again(_ counts: Counts, on loop: isolated EventLoop) {
    counts.callbacks += 1
    loop.callSoon { again(counts, on: loop) }
  }

  /// A loop on another thread leaves the main queue alone; and the main thread's serves it.
  private static func otherThread() throws {
    try EventLoop.run { loop in
      let other = try LoopThread.start()
      let value = try await Task.detached { try await other.run { _ in await MainState.shared.add(41) } }
        .value
      check(value == 42)
      await other.shutdown()
    }
  }

  /// The first SIGINT cancels the body.
  private static func interrupt() throws {
    do {
      try EventLoop.run { loop in
        defer { print("cleaned up") }
        loop.callSoon { kill(getpid(), SIGINT) }
        try await sleep(for: .seconds(3_600))
      }
      exit(1)
    } catch is CancellationError {
      check(sigintIsDefault())
    }
  }

  /// A body that swallows it gives its value.
  private static func swallow() throws {
    let value = try EventLoop.run { loop in
      loop.callSoon { kill(getpid(), SIGINT) }
      try? await sleep(for: .seconds(3_600))
      try await sleep(for: .milliseconds(1))
      return AnyLoopTask.current?.cancellationReason?.message
    }
    check(value == "SIGINT")
    check(sigintIsDefault())
  }

  /// The second one ends the process.
  private static func twoInterrupts() throws {
    try EventLoop.run { loop in
      loop.callSoon { kill(getpid(), SIGINT) }
      try? await sleep(for: .seconds(3_600))
      kill(getpid(), SIGINT)
      try await sleep(for: .seconds(3_600))
    }
  }

  /// Where the process has a handler of its own, the loop leaves it alone.
  private static func ownHandler() throws {
    signal(SIGINT) { _ in }
    try EventLoop.run { loop in
      loop.callSoon { kill(getpid(), SIGINT) }
      try await sleep(for: .milliseconds(50))
    }
    check(!sigintIsDefault())
  }

  /// Where another loop handles it, that one is told each time, and the body goes on.
  private static func otherLoopsHandler() throws {
    try EventLoop.run { loop in
      let thread = try LoopThread.start()
      try await thread.run { loop in
        let arrivals = loop.createFuture(of: Void.self)
        var count = 0
        try loop.addSignalHandler(SIGINT) {
          count += 1
          if count == 1 { kill(getpid(), SIGINT) } else { try arrivals.setResult(()) }
        }
        kill(getpid(), SIGINT)
        try await arrivals.value
        loop.removeSignalHandler(SIGINT)
      }
      await thread.shutdown()
      // Nobody else handles it now.
      loop.callSoon { kill(getpid(), SIGINT) }
      check((try? await sleep(for: .seconds(3_600))) == nil)
      check(sigintIsDefault())
      // From now on somebody does.
      try loop.addSignalHandler(SIGINT) {}
      check(!sigintIsDefault())
    }
    check(sigintIsDefault())
  }

  private static func sigintIsDefault() -> Bool {
    var action = sigaction()
    unsafe sigaction(SIGINT, nil, &action)
    return unsafe unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 0
  }
}

/// State that belongs to the main actor.
@MainActor final class MainState {
  static let shared = MainState()
  var calls = 0

  func add(_ number: Int) -> Int {
    check(pthread_equal(pthread_self(), mainThread) != 0)
    calls += 1
    return number + 1
  }
}

/// State that belongs to a loop.
private final class Counts {
  var callbacks = 0
}

private enum Thread {
  static func start(_ body: @escaping @Sendable () -> Void) {
    DispatchQueue.global().async { body() }
  }
}

// Set before `main`, on the main thread, by its first use there.
private let mainThread = pthread_self()

func check(_ condition: Bool, line: UInt = #line) {
  guard !condition else { return }
  print("line \(line)")
  exit(1)
}
