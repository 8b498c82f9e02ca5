// SPDX-License-Identifier: Apache-2.0
//
// Children that nobody holds, and loops that end before their children.

import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ChildLifetimeTests {
  @Test(arguments: ExitPath.allCases) func `SP-16: a child whose object goes is killed and reaped`(path: ExitPath)
    throws
  {
    try path.run { loop in
      let reports = Reports(of: loop)
      for _ in 0..<20 {
        var child: ChildProcess? = try ChildProcess.spawn("sleep", ["60"], stdin: .pipe, stdout: .pipe)
        let id = try #require(child?.processID)
        #expect(exists(id))
        child = nil
        try await settle { !exists(id) }
      }
      #expect(reports.count == 0)
    }
    #expect(ProcessFacts.childCount == 0)
  }

  @Test(arguments: ExitPath.allCases) func `SP-16: an object that goes after the end kills nobody`(path: ExitPath)
    throws
  {
    let calls = SignalLog(path)
    try path.run(calls: calls) { _ in
      for _ in 0..<20 { try await ChildProcess.spawn("true").waitForExit() }
      // One that has ended, and was not looked at.
      var child: ChildProcess? = try ChildProcess.spawn("true")
      let id = try #require(child?.processID)
      try await settle { !exists(id) }
      child = nil
    }
    #expect(calls.sent.count == 0)
    #expect(ProcessFacts.childCount == 0)
  }

  @Test(arguments: ExitPath.allCases) func `SP-16: a child that is awaited is held`(path: ExitPath) throws {
    let status = try path.run { loop in
      let wait = loop.createTask { try await ChildProcess.shell("sleep 0.05; exit 6").waitForExit() }
      return try await wait.value
    }
    #expect(status == .exited(6))
  }

  @Test(arguments: ExitPath.allCases) func `SP-16: children of a loop that is closed are killed and reaped`(
    path: ExitPath
  ) throws {
    let ids = Notes<Int32>()
    let kept = Notes<Confined<ChildProcess>>()
    try path.run { _ in
      for _ in 0..<5 {
        let child = try ChildProcess.spawn("sleep", ["60"], stdin: .pipe)
        ids.add(child.processID)
        kept.add(Confined(value: child))
      }
    }
    try waitUntil { ids.value.allSatisfy { !exists($0) } }
    try waitUntil { kept.value.allSatisfy { $0.value.exitStatus == .signalled(SIGKILL, coreDumped: false) } }
    // Nothing is left to be told.
    #expect(throws: SystemError(.noSuchProcess, in: "kill")) { try kept.value[0].value.kill() }
    try waitUntil { !ProcessFacts.threadNames.contains("asyncio-child") }
  }

  @Test(arguments: ExitPath.allCases) func `SP-16: a child that was detached lives on, and is reaped`(path: ExitPath)
    throws
  {
    let dropped = try path.run { _ in
      var child: ChildProcess? = try ChildProcess.spawn("sleep", ["60"])
      let id = try #require(child?.processID)
      child?.detach()
      child = nil
      try await linger()
      #expect(exists(id))
      kill(id, SIGTERM)
      try await settle { !exists(id) }
      return try { () throws -> Int32 in
        let child = try ChildProcess.spawn("sleep", ["60"])
        child.detach()
        return child.processID
      }()
    }
    // The loop is closed.
    usleep(20_000)
    #expect(exists(dropped))
    kill(dropped, SIGKILL)
    try waitUntil { !exists(dropped) }
  }

  @Test(arguments: ExitPath.allCases) func `descriptors and threads are as before when the children have ended`(
    path: ExitPath
  ) throws {
    try path.run { _ in
      try await ChildProcess.spawn("true").waitForExit()
      try await settle { !ProcessFacts.threadNames.contains("asyncio-child") }
      let descriptors = ProcessFacts.descriptors.count
      for _ in 0..<10 {
        let children = try (0..<20).map { _ in try ChildProcess.spawn("true", stdin: .pipe, stdout: .pipe) }
        for child in children { try await child.waitForExit() }
      }
      try await settle { !ProcessFacts.threadNames.contains("asyncio-child") }
      #expect(ProcessFacts.descriptors.count == descriptors)
    }
  }

  @Test func `a child cannot be started on a loop that is being closed`() throws {
    let loop = try EventLoop()
    let errors = Notes<String>()
    let task = try loop.makeMainTask { loop in
      do {
        try await sleep(for: .seconds(60))
      } catch {
        do {
          _ = try ChildProcess.spawn("true")
        } catch {
          errors.add("\(type(of: error))")
        }
      }
    }
    loop.stop()
    try loop.runForever()
    loop.close()
    #expect(errors.value == ["LoopClosedError"])
    _ = task
  }

  private func waitUntil(_ condition: () -> Bool) throws {
    let start = ContinuousClock.now
    while !condition() {
      if ContinuousClock.now - start > .seconds(10) { throw NeverSettled() }
      usleep(1_000)
    }
  }
}
