// SPDX-License-Identifier: Apache-2.0
//
// How children end, and who is told: on both ways in which a loop hears of it.

import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ChildExitTests {
  @Test(arguments: ExitPath.allCases) func `SP-01: the exit code is told`(path: ExitPath) throws {
    try path.run { _ in
      for code: Int32 in [0, 7, 255] {
        let child = try ChildProcess.shell("exit \(code)")
        #expect(child.exitStatus == nil)
        let status = try await child.waitForExit()
        #expect(status == .exited(code))
        #expect(status.returnCode == code)
        #expect(status.isSuccess == (code == 0))
        #expect(child.exitStatus == status)
        #expect(!exists(child.processID))
      }
    }
  }

  @Test(arguments: ExitPath.allCases) func `SP-02: death by each signal is told with its number`(path: ExitPath) throws
  {
    // Those that do not end a process, and those that glibc keeps to itself.
    let others = [SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH, 32, 33]
    try path.run { _ in
      for signal in (Int32(1)...64) where !others.contains(signal) {
        let child = try ChildProcess.spawn("sleep", ["60"])
        try child.send(signal: signal)
        guard case .signalled(let number, _) = try await child.waitForExit() else {
          Issue.record("\(signal): \(child)")
          continue
        }
        #expect(number == signal)
        #expect(child.exitStatus?.returnCode == -signal)
      }
      let terminated = try ChildProcess.spawn("sleep", ["60"])
      try terminated.terminate()
      #expect(try await terminated.waitForExit() == .signalled(SIGTERM, coreDumped: false))
      let killed = try ChildProcess.spawn("sleep", ["60"])
      try killed.kill()
      #expect(try await killed.waitForExit() == .signalled(SIGKILL, coreDumped: false))
    }
  }

  @Test(arguments: ExitPath.allCases)
  func `SP-09: a signal to one that has ended is "no such process", and goes nowhere`(path: ExitPath) throws {
    let calls = SignalLog(path)
    try path.run(calls: calls) { _ in
      let child = try ChildProcess.spawn("true")
      try await child.waitForExit()
      for send in [{ try child.terminate() }, { try child.kill() }, { try child.send(signal: SIGUSR1) }] {
        #expect(throws: SystemError(.noSuchProcess, in: "kill")) { try send() }
      }
    }
    #expect(calls.sent.count == 0)
  }

  @Test(arguments: ExitPath.allCases) func `a number that is no signal is EINVAL, and the child goes on`(path: ExitPath)
    throws
  {
    try path.run { _ in
      let child = try ChildProcess.spawn("sleep", ["60"])
      for signal: Int32 in [-1, 65, 1_000_000, .min, .max] {
        #expect(throws: SystemError(.invalidArgument, in: "kill")) { try child.send(signal: signal) }
      }
      try await linger()
      #expect(child.exitStatus == nil)
      try child.kill()
      try await child.waitForExit()
    }
  }

  @Test(arguments: ExitPath.allCases)
  func `SP-10: a signal that races with the exit never costs the exit code`(path: ExitPath) throws {
    try path.run { loop in
      var codes = 0
      var signals = 0
      let rounds = Amount.of(10_000, optimized: 1_500, usually: 400)
      for round in 0..<rounds {
        let child = try ChildProcess.shell("exit 7")
        if round % 2 == 0 { try await sleep(for: .microseconds(round % 1_000)) }
        // It may have been reaped.
        try? child.terminate()
        switch try await child.waitForExit() {
        case .exited(let code):
          #expect(code == 7)
          codes += 1
        case .signalled(let signal, _):
          #expect(signal == SIGTERM)
          signals += 1
        case .unknown: Issue.record("unknown")
        }
      }
      #expect(codes + signals == rounds)
    }
  }

  @Test(arguments: ExitPath.allCases) func `SP-11: ten who wait at once are all told`(path: ExitPath) throws {
    try path.run { loop in
      let child = try ChildProcess.spawn("sh", ["-c", "sleep 0.02; exit 3"])
      let waiters = (0..<10).map { _ in loop.createTask { try await child.waitForExit() } }
      for waiter in waiters { #expect(try await waiter.value == .exited(3)) }
      #expect(try await child.waitForExit() == .exited(3))
    }
  }

  @Test(arguments: ExitPath.allCases) func `SP-12: a wait that is cancelled leaves the child and other waits alone`(
    path: ExitPath
  ) throws {
    try path.run { loop in
      let child = try ChildProcess.spawn("sleep", ["60"])
      let first = loop.createTask { try await child.waitForExit() }
      let second = loop.createTask { try await child.waitForExit() }
      try await turns(2)
      first.cancel()
      await #expect(throws: CancellationError.self) { try await first.value }
      #expect(child.exitStatus == nil)
      #expect(exists(child.processID))
      try child.kill()
      #expect(try await second.value == .signalled(SIGKILL, coreDumped: false))
      #expect(try await child.waitForExit() == .signalled(SIGKILL, coreDumped: false))
    }
  }

  @Test(arguments: ExitPath.allCases) func `SP-18: a child that ends before anybody looks has one result`(
    path: ExitPath
  ) throws {
    try path.run { loop in
      let reports = Reports(of: loop)
      let child = try ChildProcess.spawn("true")
      // The child has ended, and the loop has not had its turn.
      while try LinuxProcessCalls().wait(for: .number(child.processID), blocking: true, reaping: false) == nil {}
      #expect(child.exitStatus == nil)
      #expect(throws: Never.self) { try child.terminate() }
      #expect(try await child.waitForExit() == .exited(0))
      try await linger()
      #expect(reports.count == 0)
    }
  }

  @Test(arguments: ExitPath.allCases) func `SP-20: of a hundred batches that end at the same moment none is missed`(
    path: ExitPath
  ) throws {
    try path.run { loop in
      for _ in 0..<100 {
        let gate = try DescriptorPair.pipe()
        let children = try (0..<8).map { _ in
          try ChildProcess.spawn("cat", stdin: .descriptor(gate.near), stdout: .null, stderr: .null)
        }
        try gate.closeNear()
        try gate.closeFar()
        for child in children { _ = try await child.waitForExit() }
      }
    }
  }

  @Test(arguments: ExitPath.allCases) func `SP-21: a child that is not ours is never reaped by us`(path: ExitPath)
    throws
  {
    try path.run { _ in
      let foreign = try ChildProgram.start("/bin/sh", ["-c", "exit 5"])
      for _ in 0..<20 { try await ChildProcess.spawn("true").waitForExit() }
      #expect(try foreign.finish().code == 5)
    }
  }

  @Test(arguments: ExitPath.allCases)
  func `SP-22: when somebody else has reaped ours, the wait ends with an unknown status and a report`(path: ExitPath)
    throws
  {
    try path.run { loop in
      let reports = Reports(of: loop)
      let child = try ChildProcess.spawn("sh", ["-c", "exit 5"])
      var status: Int32 = 0
      unsafe waitpid(child.processID, &status, 0)
      let end = try await child.waitForExit()
      // The thread that waits may have been faster with its look, and then this loop with the reaping.
      if end != .exited(5) {
        #expect(end == .unknown)
        #expect(end.returnCode == nil)
        #expect(reports.kinds == [.childStatusLost])
      }
      #expect(throws: SystemError(.noSuchProcess, in: "kill")) { try child.kill() }
    }
  }

  @Test(arguments: ExitPath.allCases) func `SP-22: a child that was reaped before the loop could name it is unknown`(
    path: ExitPath
  ) throws {
    try path.run(calls: EarlyReaper(path)) { loop in
      let reports = Reports(of: loop)
      let child = try ChildProcess.spawn("true")
      #expect(try await child.waitForExit() == .unknown)
      #expect(reports.kinds == [.childStatusLost])
    }
  }

  @Test(arguments: ExitPath.allCases) func `SP-23: the wait ends when SIGCHLD is ignored or blocked`(path: ExitPath)
    throws
  {
    let old = signal(SIGCHLD, SIG_IGN)
    defer { signal(SIGCHLD, old) }
    try path.run { loop in
      let reports = Reports(of: loop)
      // The kernel has thrown the status away.
      let child = try ChildProcess.spawn("sleep", ["0.02"])
      #expect(try await child.waitForExit() == .unknown)
      #expect(try await ChildProcess.spawn("true").waitForExit() == .unknown)
      #expect(reports.kinds == [.childStatusLost, .childStatusLost])
    }
    signal(SIGCHLD, old)
    var set = sigset_t()
    var mask = sigset_t()
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, SIGCHLD)
    unsafe pthread_sigmask(SIG_BLOCK, &set, &mask)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &mask, nil) }
    let status = try path.run { _ in try await ChildProcess.shell("exit 3").waitForExit() }
    #expect(status == .exited(3))
  }

  @Test(arguments: ExitPath.allCases) func `SP-24: two loops on their own threads get their own exits`(path: ExitPath)
    throws
  {
    let threads = (0..<2).map { number in
      TestThread {
        do {
          try path.run { _ in
            for round in 0..<50 {
              let code = Int32(number * 100 + round)
              let status = try await ChildProcess.shell("exit \(code)").waitForExit()
              #expect(status == .exited(code))
            }
          }
        } catch {
          Issue.record(error)
        }
      }
    }
    for thread in threads { thread.join() }
  }

  @Test(arguments: ExitPath.allCases)
  func `SP-29: a child that is stopped and continued is not taken for one that ended`(path: ExitPath) throws {
    try path.run { _ in
      let child = try ChildProcess.spawn("sleep", ["60"])
      for _ in 0..<3 {
        try child.send(signal: SIGSTOP)
        try await settle { state(of: child.processID) == "T" }
        // A thread that waits may be told of it.
        try await sleep(for: .milliseconds(5))
        #expect(child.exitStatus == nil)
        try child.send(signal: SIGCONT)
        try await settle { state(of: child.processID) == "S" }
        try await sleep(for: .milliseconds(5))
        #expect(child.exitStatus == nil)
      }
      try child.terminate()
      #expect(try await child.waitForExit() == .signalled(SIGTERM, coreDumped: false))
    }
  }

  @Test func `a kernel whose waitid knows no descriptors is waited for by a thread`() throws {
    try ExitPath.descriptor.run(calls: Kernel53()) { _ in
      #expect(try await ChildProcess.shell("exit 3").waitForExit() == .exited(3))
      let child = try ChildProcess.spawn("sleep", ["60"])
      try child.terminate()
      #expect(try await child.waitForExit() == .signalled(SIGTERM, coreDumped: false))
    }
  }

  @Test(arguments: ExitPath.allCases)
  func `an end that cannot be reaped yet is looked at again, and the loop does not spin`(path: ExitPath) throws {
    let calls = Debugger(path, looks: 12)
    try path.run(calls: calls) { _ in
      let child = try ChildProcess.shell("exit 4")
      try await sleep(for: .milliseconds(20))
      let time = try await idleProcessorTime()
      #expect(time < .milliseconds(50))
      #expect(try await child.waitForExit() == .exited(4))
    }
  }
}

/// Takes each child's status as soon as it has started.
private struct EarlyReaper: PartialProcessCalls {
  let path: ExitPath

  init(_ path: ExitPath) { self.path = path }

  func spawn(_ plan: SpawnPlan) throws(Errno) -> Int32 {
    let id = try path.calls.spawn(plan)
    _ = try path.calls.wait(for: .number(id), blocking: true, reaping: true)
    return id
  }

  func openProcess(_ number: Int32) throws(Errno) -> Int32 { try path.calls.openProcess(number) }
}

/// Has `pidfd_open`, and no `waitid` that takes what it gives.
private struct Kernel53: PartialProcessCalls {
  func wait(for process: ProcessName, blocking: Bool, reaping: Bool) throws(Errno) -> ChildExitStatus? {
    if case .descriptor = process { throw .invalidArgument }
    return try LinuxProcessCalls().wait(for: process, blocking: blocking, reaping: reaping)
  }
}

/// Keeps the status to itself for some looks.
private final class Debugger: PartialProcessCalls {
  private let path: ExitPath
  private let looks: Atomic<Int>

  init(_ path: ExitPath, looks: Int) {
    self.path = path
    self.looks = Atomic(looks)
  }

  func openProcess(_ number: Int32) throws(Errno) -> Int32 { try path.calls.openProcess(number) }

  func wait(for process: ProcessName, blocking: Bool, reaping: Bool) throws(Errno) -> ChildExitStatus? {
    if reaping && looks.subtract(1, ordering: .relaxed).newValue >= 0 { return nil }
    return try path.calls.wait(for: process, blocking: blocking, reaping: reaping)
  }
}
