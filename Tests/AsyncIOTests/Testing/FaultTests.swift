// SPDX-License-Identifier: Apache-2.0
//
// Each system call of a client and a server fails once, with each error, in a network in memory; and what was planted is
// found by that, and found again.

import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct FaultTests {
  private static let text = (0..<12_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

  /// A client to which a server sends back what it sends: all of it comes, or the client is told.
  private static func echoing(_ text: [UInt8] = text) -> @Sendable (isolated EventLoop) async throws -> Void {
    { loop in
      _ = Reports(of: loop)
      let server = try await serve { try await echo($0) }
      defer { server.abortClients() }
      let connection = try await openConnection(to: server.address, timeout: .seconds(30))
      defer { connection.abort() }
      let reader = loop.createTask(name: "reader") {
        try await connection.reader.readExactly(text.count, timeout: .seconds(60))
      }
      do {
        try await connection.writer.write(text, timeout: .seconds(60))
      } catch {
        reader.cancel()
        _ = await outcome(of: reader)
        throw error
      }
      connection.writer.closeWriting()
      let echoed = try await reader.value
      #expect(echoed == text)
    }
  }

  /// The same, which may not fail.
  private static let unharmed: @Sendable (isolated EventLoop) async throws -> Void = { loop in
    do { try await echoing()(loop) } catch { Issue.record("the client was told of \(error)") }
  }

  private static let calls: [TestLoop.SystemCall] = [
    .socket, .setOption, .option, .bind, .listen, .connect, .accept, .localAddress, .shutdown, .receive, .send, .watch,
    .wait,
  ]

  private static let errors: [Errno] = [
    .connectionReset, .tooManyOpenFiles, .noBufferSpace, .resourceTemporarilyUnavailable, .interrupted, .noMemory,
    .brokenPipe, .timedOut, .connectionAbort, .notPermitted,
  ]

  // MARK: Each call, each error

  @Test(arguments: calls)
  func `IO-27, DB-05: each call of a kind fails with each error: nothing hangs, is left, or is lost unsaid`(
    call: TestLoop.SystemCall
  ) throws {
    let runs = try TestLoop.run(failingEachCallWith: Self.errors, of: [call], .network(), Self.echoing())
    // One without a fault; and for each error one for each call, and one that finds no further call.
    #expect(runs >= 1 + 2 * Self.errors.count)
  }

  @Test func `IO-27: the k-th call of all fails, for every k, in the orders of some seeds`() throws {
    for seed in UInt64(0)..<5 {
      let configuration = TestLoop.Configuration.network {
        $0.order = .seeded(seed)
        $0.system.isSplitting = true
        $0.network?.latency = .zero ... .milliseconds(3)
      }
      let text = Array(Self.text.prefix(300))
      let runs = try TestLoop.run(
        failingEachCallWith: [.connectionReset, .noBufferSpace], configuration, Self.echoing(text))
      #expect(runs > 40)
    }
  }

  @Test func `IO-27, SW-03: what passes harms nobody: EINTR, EAGAIN, ENOBUFS, and shortage at accept`() throws {
    try TestLoop.run(failingEachCallWith: [.interrupted], .network(), Self.unharmed)
    try TestLoop.run(
      failingEachCallWith: [.resourceTemporarilyUnavailable], of: [.accept, .receive, .send], .network(), Self.unharmed)
    try TestLoop.run(failingEachCallWith: [.noBufferSpace], of: [.receive, .send], .network(), Self.unharmed)
    try TestLoop.run(
      failingEachCallWith: [.tooManyOpenFiles, .noMemory, .connectionAbort], of: [.accept], .network(), Self.unharmed)
  }

  @Test func `SV-09: descriptors are short for ten calls: the client is served when that is over`() throws {
    let configuration = TestLoop.Configuration.network {
      $0.system.faults = [TestLoop.Fault(.accept, count: 10, error: .tooManyOpenFiles)]
    }
    try TestLoop.run(configuration) { loop in
      let reports = Reports(of: loop)
      let server = try await serve { try await echo($0) }
      defer { server.abortClients() }
      let begin = loop.now
      let answer = try await exchange("hello", with: server.address)
      #expect(answer == "hello")
      // 1, 2, 4, 8 and then 16 seconds each.
      #expect(begin.duration(to: loop.now) > .seconds(100))
      #expect(reports.kinds == [.acceptFailed])
    }
  }

  @Test func `EINTR: a connect that is interrupted goes on by itself`() throws {
    let configuration = TestLoop.Configuration.network {
      $0.system.faults = [TestLoop.Fault(.connect, error: .interrupted)]
    }
    try TestLoop.run(configuration, Self.unharmed)
  }

  @Test func `the faults of the configuration happen in each run of a sweep, which ends, and has its own besides`()
    throws
  {
    let body: @Sendable (isolated EventLoop) async throws -> Void = Self.echoing(Array(Self.text.prefix(50)))
    let plain = try TestLoop.run(failingEachCallWith: [.connectionReset], of: [.receive], .network(), body)
    // Before that a call of the kernel's fails each time: it is repeated, and so there is one more for the sweep.
    let shortage = TestLoop.Configuration.network {
      $0.system.faults = [TestLoop.Fault(.receive, number: 1, error: .noBufferSpace)]
    }
    let both = try TestLoop.run(failingEachCallWith: [.connectionReset], of: [.receive], shortage, body)
    #expect(both == plain + 1)
    // Of one call that both want, the configuration's comes, and the body goes on as in the first run.
    #expect(
      try TestLoop.run(failing: TestLoop.Fault(.receive, number: 1, error: .connectionReset), shortage, Self.unharmed))
    // A fault that is there already is no end, and no hindrance.
    let same = TestLoop.Configuration.network {
      $0.system.faults = [TestLoop.Fault(.receive, number: 2, error: .interrupted)]
    }
    #expect(try TestLoop.run(failingEachCallWith: [.interrupted], of: [.receive], same, body) == plain)
  }

  // MARK: Readiness

  @Test(arguments: [Errno.noMemory, .noSpace])
  func `IO-27: a descriptor that cannot be watched is an error of the call that would wait, and nothing is left`(
    errno: Errno
  ) throws {
    let configuration = TestLoop.Configuration.network {
      $0.system.faults = [TestLoop.Fault(.watch, error: errno)]
    }
    try TestLoop.run(configuration) { _ in
      await #expect(throws: SystemError(errno, in: "epoll_ctl")) { _ = try await serve { try await echo($0) } }
    }
    var real = TestLoop.Configuration()
    real.system.faults = configuration.system.faults
    try TestLoop.run(real) { loop in
      let pair = try DescriptorPair.sockets()
      #expect(throws: SystemError(errno, in: "epoll_ctl")) { try loop.addReader(pair.near) {} }
      // The next one is as good as any.
      try loop.addReader(pair.near) {}
      loop.removeReader(pair.near)
    }
  }

  @Test func `L-37: a wait that a signal interrupts loses nothing, and no time passes for what is ready`() throws {
    let configuration = TestLoop.Configuration.network {
      $0.system.faults = [TestLoop.Fault(.wait, number: 3, count: 40, error: .interrupted)]
    }
    try TestLoop.run(configuration) { loop in
      let begin = loop.now
      try await Self.echoing(Array(Self.text.prefix(500)))(loop)
      // There and back to connect, for the bytes, and for the end.
      #expect(begin.duration(to: loop.now) <= .milliseconds(6))
    }
  }

  @Test func `IO-27: what is said to be ready, and is not, harms nobody, in a network and by the kernel`() throws {
    let configuration = TestLoop.Configuration.network { $0.system.percentOfFalseReadiness = 40 }
    try TestLoop.run(seeds: 0..<30, configuration, Self.unharmed)
    var real = TestLoop.Configuration()
    real.system.percentOfFalseReadiness = 40
    try TestLoop.run(seeds: 0..<3, real, Self.unharmed)
  }

  @Test func `a server that takes readiness for a client is found by false readiness, and by its seed again`() throws {
    let configuration = TestLoop.Configuration.network { $0.system.percentOfFalseReadiness = 40 }
    let body: @Sendable (isolated EventLoop) async throws -> Void = { loop in
      let calls = loop.systemCalls
      let listener = try ListeningSocket(bindingTo: SocketAddress(host: "127.0.0.1", port: 0), calls: calls)
      defer { loop.removeReader(listener.descriptor) }
      let address = try listener.localAddress
      let number = listener.descriptor.rawValue
      var wasWrong = false
      let isTaken = loop.createFuture(of: Void.self)
      try loop.addReader(listener.descriptor) {
        do { calls.close(try calls.accept(number)) } catch { return wasWrong = true }
        try? isTaken.setResult()
      }
      let client = try await openConnection(to: address)
      defer { client.abort() }
      try await isTaken.value
      if wasWrong { throw Oops() }
    }
    try TestLoop.run(seeds: 0..<20, .network(), body)
    let failure = #expect(throws: SeedFailure.self) { try TestLoop.run(seeds: 0..<50, configuration, body) }
    #expect(failure?.error is Oops)
    #expect(failure?.hasFailedAgain == true)
  }

  // MARK: What was planted is found

  /// When the connection cannot be made, the server is left.
  private static let leaking: @Sendable (isolated EventLoop) async throws -> Void = { loop in
    let server = try await serve { try await echo($0) }
    let connection = try await openConnection(to: server.address)
    connection.abort()
    server.abortClients()
  }

  /// Nobody answers when the server could not read.
  private static let hanging: @Sendable (isolated EventLoop) async throws -> Void = { loop in
    _ = Reports(of: loop)
    let isServed = AsyncEvent()
    let server = try await serve { connection in
      _ = try await connection.reader.readExactly(5)
      isServed.set()
    }
    defer { server.abortClients() }
    let connection = try await openConnection(to: server.address)
    defer { connection.abort() }
    try await connection.writer.write("hello")
    try await isServed.waitUntilSet()
  }

  private static func failure(
    of errors: [Errno], _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void
  ) throws -> FaultFailure {
    var configuration = TestLoop.Configuration.network()
    configuration.patience = .milliseconds(10)
    let failure = #expect(throws: FaultFailure.self) {
      try TestLoop.run(failingEachCallWith: errors, configuration, body)
    }
    let found = try #require(failure)
    for _ in 0..<3 {
      let again = #expect(throws: FaultFailure.self) { try TestLoop.run(failing: found.fault, configuration, body) }
      #expect(again?.trace == found.trace)
      #expect(again?.description == found.description)
    }
    return found
  }

  @Test func `what is left behind when a call fails is found, and the fault finds it again, to the letter`() throws {
    let found = try Self.failure(of: [.connectionReset], Self.leaking)
    let leaks = try #require(found.error as? LeakError).leaks
    #expect(leaks.map(\.kind) == [.server])
    #expect(found.calls == [.socket])
    #expect(found.fault.error == .connectionReset)
    #expect(found.description.contains("TestLoop.run(failing: .init(number: \(found.fault.number), error: "))
  }

  @Test func `what hangs when a call fails is found, and the fault finds it again, to the letter`() throws {
    let found = try Self.failure(of: [.timedOut], Self.hanging)
    let hang = try #require(found.error as? LoopHangsError)
    #expect(hang.tasks.first?.name == "main")
    // The server cannot watch its client.
    #expect(found.calls == [.watch])
  }

  @Test func `a body that passes all of them makes so many calls, each time`() throws {
    let counts = try (0..<3).map { _ in
      try TestLoop.run(failingEachCallWith: [.connectionReset], .network(), Self.echoing())
    }
    #expect(Set(counts).count == 1)
  }
}
