// SPDX-License-Identifier: Apache-2.0
//
// What is left at the end of a test is found, and named.

import AsyncIOTesting
import Dispatch
import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct LeakTests {
  private func leaks(
    _ check: TestLoop.LeakCheck = .atEnd, _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void
  ) -> [LeakError.Leak] {
    let error = #expect(throws: LeakError.self) { try TestLoop.run(.init(leaks: check), body) }
    return error?.leaks ?? []
  }

  /// What is left of the whole process, where it is known that it does not go within a second.
  private func leaksOfProcess(
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void
  ) -> [LeakError.Leak] {
    ProcessSnapshot.$looks.withValue(10) { leaks(.wholeProcess, body) }
  }

  @Test func `DB-05: a task that is left is named, with its place and what it waits for`() throws {
    let line: UInt = #line + 2
    let found = leaks { loop in
      loop.createTask(name: "stray") { try await sleep(for: .seconds(10)) }
    }
    #expect(found.first?.kind == .task)
    #expect(found.first?.subject.hasPrefix("task stray, which waits for ") == true)
    #expect(found.first?.creationSite == "\(#fileID):\(line)")
  }

  @Test func `DB-05: a timer that is left is named, with its place`() throws {
    let line: UInt = #line + 2
    let found = leaks { loop in
      loop.callLater(.seconds(10)) {}
      loop.callLater(.seconds(20)) {}.cancel()
      loop.callSoon {}
    }
    #expect(found.map(\.description) == ["a timer, made at \(#fileID):\(line)"])
  }

  @Test func `DB-05: readers, writers and signal handlers that are left are named, with their places`() throws {
    let pair = try DescriptorPair.sockets()
    let number = pair.near.rawValue
    let line: UInt = #line + 2
    let found = leaks { loop in
      try loop.addReader(FileDescriptor(rawValue: number)) {}
      try loop.addWriter(FileDescriptor(rawValue: number)) {}
      try loop.addSignalHandler(SIGUSR2) {}
    }
    #expect(
      found.map(\.description).filter { !$0.hasSuffix("until it is rung") } == [
        "a watch of descriptor \(number), until it is readable (made at \(#fileID):\(line))",
        "a watch of descriptor \(number), until it is writable (made at \(#fileID):\(line + 1))",
        "the handler of signal \(SIGUSR2) (made at \(#fileID):\(line + 2))",
      ])
  }

  @Test func `DB-05: a child that its loop has started is named with its place`() throws {
    let kept = Shared<Smuggled<ChildProcess>?>(nil)
    let line: UInt = #line + 2
    let found = leaks { _ in
      let child = try ChildProcess.spawn("sleep", ["60"])
      kept.change { $0 = Smuggled(child) }
    }
    let id = try #require(kept.value?.value.processID)
    // It ends with the loop.
    kept.change { $0 = nil }
    let places = found.filter { $0.kind == .child }.map(\.description)
    #expect(places == ["child process \(id), sleep (made at \(#fileID):\(line))"])
  }

  // MARK: The whole process

  @Test func `DB-05: a descriptor that is left is named by its number and what it is`() throws {
    let kept = Shared<[FileDescriptor]>([])
    let found = leaksOfProcess { _ in
      let (readEnd, writeEnd) = try FileDescriptor.pipe()
      try writeEnd.close()
      kept.change { $0 = [readEnd] }
    }
    let number = try #require(kept.value.first)
    try number.close()
    #expect(found.map(\.kind) == [.descriptor])
    #expect(found.first?.subject.hasPrefix("descriptor \(number.rawValue), pipe:[") == true)
  }

  @Test func `DB-05: a thread that is left is named after its pool`() async throws {
    let pool = ThreadPool(name: "db-05", maximumThreads: 1)
    let found = try await onThread { leaksOfProcess { _ in try await runBlocking(on: pool) {} } }
    await pool.shutdown()
    #expect(found.map(\.kind) == [.thread])
    #expect(found.first?.subject.hasSuffix(", db-05") == true)
  }

  @Test func `DB-05: a child that is left is named by its number and its program`() throws {
    let kept = Shared<Smuggled<ChildProgram>?>(nil)
    let found = leaksOfProcess { _ in
      let child = try ChildProgram.start("/bin/sleep", ["60"])
      kept.change { $0 = Smuggled(child) }
    }
    let id = try #require(kept.value?.value.id)
    kept.change { $0 = nil }
    #expect(found.map(\.kind) == [.descriptor, .child])
    #expect(found.last?.subject == "child process \(id), sleep")
  }

  @Test func `DB-05: connections, servers and endpoints that are left are named, each once, with their places`() throws
  {
    let kept = Shared<Smuggled<[AnyObject]>?>(nil)
    let line: UInt = #line + 2
    let body: @Sendable (isolated EventLoop) async throws -> Void = { loop in
      let server = try await startServer(host: "127.0.0.1", port: 0) { _ = try await $0.reader.readLine() }
      let client = try await openConnection(to: server.address)
      let endpoint = try openDatagramEndpoint(local: SocketAddress(host: "127.0.0.1", port: 0))
      loop.createTask { _ = try await endpoint.receive() }
      try await settle { server.connectionCount == 1 }
      kept.change { $0 = Smuggled([client, endpoint]) }
    }
    for configuration in [TestLoop.Configuration(), .network()] {
      let error = #expect(throws: LeakError.self) { try TestLoop.run(configuration, body) }
      // No watch or socket of theirs is named beside them.
      let leaks = (error?.leaks ?? []).filter { $0.kind != .task }
      let places = Dictionary(grouping: leaks, by: \.kind).mapValues { $0.compactMap(\.creationSite).sorted() }
      let lines = (UInt(0)..<3).map { "\(#fileID):\(line + $0)" }
      // The client's own end, and the one that its server has taken.
      #expect(places == [.server: [lines[0]], .connection: [lines[0], lines[1]], .endpoint: [lines[2]]])
      #expect(leaks.first?.subject.hasPrefix("a server at 127.0.0.1:") == true)
      #expect(leaks.last?.subject.hasPrefix("an endpoint of datagrams at 127.0.0.1:") == true)
      #expect(leaks.filter { $0.kind == .connection }.allSatisfy { $0.subject.hasPrefix("a connection, descriptor ") })
      kept.change { $0 = nil }
    }
  }

  @Test(.testLoop(of: .init(leaks: .wholeProcess)))
  func `DB-05: the thread that runs a test is no leak of it`() async throws { try await sleep(for: .seconds(1)) }

  @Test func `DB-05: nor is it where the test is asynchronous, and a descriptor is found there, too`() async throws {
    try await TestLoop.run(.init(leaks: .wholeProcess)) { _ in try await sleep(for: .seconds(1)) }
    let kept = Shared<[FileDescriptor]>([])
    let error = await #expect(throws: LeakError.self) {
      try await TestLoop.run(.init(leaks: .wholeProcess)) { _ in
        let (readEnd, writeEnd) = try FileDescriptor.pipe()
        kept.change { $0 = [readEnd, writeEnd] }
      }
    }
    for descriptor in kept.value { try descriptor.close() }
    #expect(error?.leaks.map(\.kind) == [.descriptor, .descriptor])
  }

  @Test func `DB-05: a Swift task that is left waiting on the loop is found, whatever it waits for`() throws {
    let found = leaks { loop in
      let event = AsyncEvent()
      let future = loop.createFuture(of: Int.self)
      let turn = loop.createFuture(of: Void.self)
      Task {
        _ = loop
        try await event.waitUntilSet()
      }
      Task.detached { _ = try await future.value }
      Task {
        _ = loop
        try turn.setResult(())
      }
      try await turn.value
      try await sleep(for: .seconds(1))
      while loop.executor.waitsFromOutside.count < 2 { await Task.yield() }
    }
    #expect(found.map(\.kind) == [.task, .task])
    #expect(found.allSatisfy { $0.subject.hasPrefix("a Swift task, or a thread, that waits on the loop for ") })
  }

  @Test func `what ends within a second is no leak, and neither is what Dispatch keeps for the process`() throws {
    try TestLoop.run(.init(leaks: .wholeProcess)) { loop in
      let future = loop.createFuture(of: Void.self)
      Task.detached {
        try? await Task.sleep(for: .milliseconds(1))
        try? await Task.sleep(for: .milliseconds(1), clock: .suspending)
        DispatchQueue.global().asyncAfter(wallDeadline: .now() + .milliseconds(1)) { try? future.setResult() }
      }
      try await future.value
      // The loop's own pool ends with the loop, and its threads somewhat later.
      try await runBlocking {}
      TestThread { usleep(50_000) }.detach()
    }
  }

  @Test func `what a shutdown ends is no leak where that is asked for`() throws {
    try TestLoop.run(.init(leaks: .afterShutdown)) { loop in
      loop.createTask { try await sleep(for: .seconds(10)) }
    }
    let found = leaks(.afterShutdown) { loop in
      loop.callLater(.seconds(1_000)) {}
    }
    #expect(found.count == 1)
    try TestLoop.run(.init(leaks: .off)) { loop in loop.callLater(.seconds(10)) {} }
  }

  @Test func `the body's own error comes before what it left behind`() throws {
    #expect(throws: Oops.self) {
      try TestLoop.run { loop in
        loop.callLater(.seconds(10)) {}
        throw Oops()
      }
    }
  }
}
