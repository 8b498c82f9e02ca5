// SPDX-License-Identifier: Apache-2.0
//
// Scenes of ForkTests: a process that forks, as a library of C may do. Swift has no `fork`, for good reasons.

import AsyncIO
import Glibc
import SystemPackage

enum ForkScenes {
  static let all: [String: @Sendable () throws -> Void] = [
    "fork-own-loop": ownLoop,
    "fork-parent-goes-on": parentGoesOn,
    "fork-return": { try inChildOfLoop { _ in } },
    "fork-call-soon": { try inChildOfLoop { loop in touch { loop.callSoon {} } } },
    "fork-create-task": { try inChildOfLoop { loop in touch { loop.createTask {} } } },
    "fork-add-reader": { try inChildOfLoop { loop in touch { try loop.addReader(.standardInput) {} } } },
    "fork-add-signal": { try inChildOfLoop { loop in touch { try loop.addSignalHandler(SIGUSR1) {} } } },
    "fork-stop": { try inChildOfLoop { loop in touch { loop.stop() } } },
    "fork-threadsafe": { try inChildOfLoop { loop in touch { try loop.callSoonThreadsafe { _ in } } } },
    "fork-coroutine": { try inChildOfLoop { loop in touch { _ = try loop.runCoroutineThreadsafe { _ in } } } },
    "fork-future": {
      try inChildOfLoop { loop in
        let future = loop.createFuture(of: Int.self)
        touch { try future.setResult(1) }
      }
    },
    "fork-pool-of-loop": { try inChildOfLoop { loop in touch { try loop.runInExecutor {} } } },
    "fork-pool": pool,
    "fork-await": awaiting,
    "fork-idle": idle,
    "fork-close": close,
    "fork-signal": signal,
    "fork-drop": drop,
    "fork-busy": busy,
  ]

  /// C's, which Swift hides.
  private static func fork() -> pid_t {
    fflush(nil)
    guard let symbol = unsafe dlsym(nil, "fork") else { fatalError("no fork") }
    return unsafe unsafeBitCast(symbol, to: (@convention(c) () -> pid_t).self)()
  }

  /// Forks, runs a body in the child, and waits for its end.
  ///
  /// - Returns: Its exit code, or the number of the signal that ended it as a negative one.
  private static func inChild(_ body: () throws -> Void) rethrows -> Int32 {
    let child = fork()
    if child == 0 {
      // A hang is a failure, too; and its words are for the test.
      alarm(15)
      dup2(1, 2)
      try body()
      fflush(nil)
      _exit(0)
    }
    return end(of: child)
  }

  private static func end(of child: pid_t) -> Int32 {
    var state: Int32 = 0
    while unsafe waitpid(child, &state, 0) < 0 && errno == EINTR {}
    let signal = state & 0x7f
    return signal == 0 ? (state >> 8) & 0xff : -signal
  }

  /// Does something that must not come back.
  private static func touch(_ body: () throws -> Void) {
    do { try body() } catch { print("threw \(error)") }
    print("came back")
    fflush(nil)
    _exit(3)
  }

  /// A callback of a loop forks; the child does something, and returns to the loop.
  private static func inChildOfLoop(_ body: @escaping @Sendable (isolated EventLoop) throws -> Void) throws {
    try EventLoop.run { loop in
      let told = loop.createFuture(of: Int32.self)
      loop.callSoon {
        let child = fork()
        if child == 0 {
          alarm(15)
          dup2(1, 2)
          return try body(loop)
        }
        try told.setResult(end(of: child))
      }
      // Behind the callback that forks: the child must not come here.
      loop.callSoon { print("next callback") }
      print("child ended with", try await told.value)
    }
  }

  /// FK-01: the child has no loop, and may make one.
  private static func ownLoop() throws {
    try EventLoop.run { loop in
      let code = try inChild {
        check((try? EventLoop.running) == nil)
        check(EventLoop.current == nil)
        check(AnyLoopTask.current == nil)
        check(loop.isClosed && !loop.isRunning)
        let value = try runALoop()
        check(value == 42)
        let again = try runALoop()
        check(again == 42)
      }
      check(code == 0)
      check((try? EventLoop.running) === loop)
      try await sleep(for: .milliseconds(1))
    }
  }

  private static func runALoop() throws -> Int {
    try EventLoop.run { loop in
      var calls = 0
      try loop.addSignalHandler(SIGUSR1) { calls += 1 }
      kill(getpid(), SIGUSR1)
      while calls == 0 { try await sleep(for: .milliseconds(1)) }
      check(AnyLoopTask.current != nil)
      let part = try await runBlocking { 40 }
      return try await loop.createTask { part + 1 }.value + calls
    }
  }

  /// What the child does, and its end, are nothing to the parent's loop.
  private static func parentGoesOn() throws {
    try EventLoop.run { loop in
      let (readEnd, writeEnd) = try FileDescriptor.pipe()
      var reads = 0
      try loop.addReader(readEnd) {
        var byte: UInt8 = 0
        reads += unsafe read(readEnd.rawValue, &byte, 1)
      }
      for round in 1...20 {
        let code = inChild {
          // The child's copy of the watch goes, and the parent's must stay.
          loop.removeReader(readEnd)
          if round.isMultiple(of: 2) { _ = try? runALoop() }
        }
        check(code == 0)
        try writeEnd.writeAll([1])
        while reads < round { try await sleep(for: .milliseconds(1)) }
        let value = try await runBlocking { round }
        check(value == round)
        let call = Task.detached { try await loop.answer() }
        let answer = try await call.value
        check(answer == 42)
      }
    }
  }

  /// The pool of a parent.
  private static func pool() throws {
    let pool = ThreadPool()
    try EventLoop.run { _ in try await runBlocking(on: pool) {} }
    let code = try inChild {
      try EventLoop.run { loop in touch { try loop.runInExecutor(pool) {} } }
    }
    print("child ended with", code)
  }

  /// A task forks, and awaits in the child.
  private static func awaiting() throws {
    try EventLoop.run { loop in
      let child = fork()
      if child == 0 {
        alarm(15)
        dup2(1, 2)
        do { try await loop.sleep(for: .milliseconds(1)) } catch { print("threw \(error)") }
        print("came back")
        fflush(nil)
        _exit(3)
      }
      print("child ended with", end(of: child))
    }
  }

  /// A loop that was idle at the fork.
  private static func idle() throws {
    let loop = try EventLoop()
    print("child ended with", inChild { touch { try loop.runUntilComplete { _ in } } })
    try loop.runUntilComplete { _ in try await sleep(for: .milliseconds(1)) }
    loop.close()
  }

  private static func close() throws {
    let loop = try EventLoop()
    print("child ended with", inChild { touch { loop.close() } })
    try loop.runUntilComplete { _ in try await sleep(for: .milliseconds(1)) }
    loop.close()
  }

  /// FK-02: a signal to the child is not for the parent's handlers, and does what it does to any process.
  private static func signal() throws {
    try EventLoop.run { loop in
      var calls = 0
      try loop.addSignalHandler(SIGTERM) { calls += 1 }
      let child = fork()
      if child == 0 {
        kill(getpid(), SIGTERM)
        _exit(3)
      }
      check(end(of: child) == -SIGTERM)
      try await sleep(for: .milliseconds(20))
      check(calls == 0)
      kill(getpid(), SIGTERM)
      while calls == 0 { try await sleep(for: .milliseconds(1)) }
    }
  }

  /// A child that lets go of its parent's loop leaves the parent's watches alone.
  private static func drop() throws {
    var loop: EventLoop? = try EventLoop()
    let future = loop?.createFuture(of: Int.self)
    check(inChild { loop = nil } == 0)
    check(loop != nil)
    // The wake-up from another thread is a watch.
    let other = try LoopThread.start()
    let value = try loop?.runUntilComplete { _ in
      let ringing = Task.detached {
        try await other.run { _ in
          try await sleep(for: .milliseconds(20))
          try future?.setResult(7)
        }
      }
      defer { ringing.cancel() }
      return try await future?.value ?? 0
    }
    check(value == 7)
    other.loop.stop()
    loop?.close()
  }

  /// FK-04: forks in the middle of work that other threads do.
  private static func busy() throws {
    let pool = ThreadPool(maximumThreads: 4)
    try EventLoop.run { loop in
      let work = loop.createTask {
        while true {
          let futures = try (0..<20).map { number in try loop.runInExecutor(pool) { number } }
          for future in futures { _ = try await future.value }
        }
      }
      for _ in 0..<50 {
        try await sleep(for: .milliseconds(1))
        let code = try inChild {
          let value = try EventLoop.run { _ in try await runBlocking { 5 } }
          check(value == 5)
        }
        check(code == 0)
      }
      work.cancel()
      _ = try? await work.value
    }
  }
}

extension EventLoop {
  fileprivate func answer() async throws -> Int {
    try await sleep(for: .microseconds(1))
    return 42
  }
}
