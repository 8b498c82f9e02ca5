// SPDX-License-Identifier: Apache-2.0
//
// The end of something, at any moment of all that is done with it: of a queue, a connection, a server, the body that all
// belongs to, and the loop itself.

import AsyncIOTesting
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct CloseRaceTests {
  private static let network = TestLoop.Configuration.network {
    $0.network?.latency = .zero ... .seconds(1)
    $0.network?.capacity = 100
    $0.system.isSplitting = true
    $0.system.percentOfWouldBlock = 10
  }

  /// How a wait ends when that which it waits for is closed.
  private static let fair: Set<String> = [
    "()", "cancelled", "timeout", "closed", "the descriptor was closed on this side",
  ]

  // MARK: Streams and servers

  @Test func `SW-11, SW-12, SW-17: a connection is closed or aborted while it reads, writes, drains and waits`() throws
  {
    try EventLoop.race(Self.network) { loop, random in
      let reports = Reports(of: loop)
      let server = try await serve { try await echo($0) }
      defer { server.abortClients() }
      let connection = try await openConnection(to: server.address)
      let (reader, writer) = (connection.reader, connection.writer)
      let happenings = Happenings()
      let text = [UInt8](repeating: 7, count: Int.random(in: 1...70_000, using: &random))
      let tasks = [
        loop.createTask { while !(try await reader.read(upTo: 1_000)).isEmpty {} },
        loop.createTask { try await writer.write(text) },
        loop.createTask { try await writer.drain() },
        loop.createTask { try await connection.waitClosed() },
      ]
      for task in tasks where Int.random(in: 0..<4, using: &random) == 0 {
        happenings.plan("cancel", at: Int.random(in: 0...3, using: &random)) { task.cancel() }
      }
      for _ in 0..<Int.random(in: 1...2, using: &random) {
        let at = Int.random(in: 0...3, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: happenings.plan("close", at: at) { connection.close() }
        case 1: happenings.plan("abort", at: at) { connection.abort() }
        case 2: happenings.plan("close writing", at: at) { writer.closeWriting() }
        default: happenings.plan("reset", at: at) { try? loop.resetConnections() }
        }
      }
      happenings.arm(&random, on: loop)
      try await sleep(for: .seconds(20))
      connection.abort()
      for task in tasks {
        let end = await ending { try await task.value }
        // Or the error of a connection that was lost.
        try require(
          Self.fair.contains(end) || end.contains("onnection reset") || end.contains("roken pipe")
            || end.contains("the writing side"), "\(end) after \(happenings.past)")
      }
      try require(
        reports.kinds.allSatisfy { $0 == .connectionHandlerFailed }, "\(reports.value) after \(happenings.past)")
    }
  }

  @Test func `SV-12 to SV-15: a server is closed in each way while clients come, speak and go`() throws {
    try EventLoop.race(Self.network) { loop, random in
      let reports = Reports(of: loop)
      var served = 0
      let server = try await serve { connection in
        served += 1
        defer { served -= 1 }
        try await echo(connection)
      }
      let address = server.address
      let happenings = Happenings()
      let clients = (0..<Int.random(in: 1...4, using: &random)).map { number in
        let start = Int.random(in: 0...3, using: &random)
        return loop.createTask {
          try await sleep(for: .seconds(start))
          let text = String(repeating: "x", count: number * 100)
          let answer = try await exchange(text, with: address)
          try require(text.hasPrefix(answer), "something else came back")
        }
      }
      let waiting = [
        loop.createTask { try await server.waitClosed() }, loop.createTask { try await server.serveForever() },
      ]
      for task in clients + waiting where Int.random(in: 0..<4, using: &random) == 0 {
        happenings.plan("cancel", at: Int.random(in: 0...3, using: &random)) { task.cancel() }
      }
      var closers: [LoopTask<Void>] = []
      for _ in 0..<Int.random(in: 1...2, using: &random) {
        let at = Int.random(in: 0...3, using: &random)
        let way = Int.random(in: 0..<3, using: &random)
        closers.append(
          loop.createTask {
            try await sleep(for: .seconds(at))
            switch way {
            case 0: server.close()
            case 1: server.abortClients()
            default: try await server.closeClients(grace: .seconds(1))
            }
          })
      }
      happenings.arm(&random, on: loop)
      try await gather(closers)
      try await withTimeout(.seconds(60)) { try await server.waitClosed() }
      try require(served == 0 && server.connectionCount == 0 && !server.isServing, "\(served) are served")
      for task in clients {
        let end = await ending { try await task.value }
        try require(
          Self.fair.contains(end) || end.contains("onnection re") || end.contains("roken pipe"), "client: \(end)")
      }
      for task in waiting {
        let end = await ending { try await task.value }
        try require(Self.fair.contains(end) || end == "the server was closed", "waiting: \(end)")
      }
      try require(reports.kinds.allSatisfy { $0 == .connectionHandlerFailed }, "\(reports.value)")
    }
  }

  // MARK: Queues

  @Test func `QU-16, QU-20: a queue is shut down while elements are put, taken, awaited and done`() throws {
    try EventLoop.race { loop, random in
      let queue = try AsyncQueue<Int>(capacity: Int.random(in: 1...2, using: &random))
      let happenings = Happenings()
      var (entered, taken): ([Int], [Int]) = ([], [])
      let isAtOnce = Bool.random(using: &random)
      var tasks = (0..<4).map { number in
        let start = Int.random(in: 0...3, using: &random)
        return loop.createTask {
          try await sleep(for: .seconds(start))
          try await queue.put(number)
          entered.append(number)
        }
      }
      tasks += (0..<3).map { _ in
        loop.createTask { for try await number in queue { taken.append(number); try queue.taskDone() } }
      }
      tasks.append(loop.createTask { try await queue.join() })
      for task in tasks where Int.random(in: 0..<4, using: &random) == 0 {
        happenings.plan("cancel", at: Int.random(in: 0...3, using: &random)) { task.cancel() }
      }
      happenings.plan("shutdown", at: Int.random(in: 0...4, using: &random)) { queue.shutdown(immediately: isAtOnce) }
      happenings.arm(&random, on: loop)
      try await sleep(for: .seconds(9))
      if tasks[4..<7].contains(where: { !$0.isCancelled }) {
        // Somebody took what was there, and so all came to their end.
        try require(tasks.allSatisfy(\.isDone), "\(queue): somebody waits")
        if !isAtOnce { try require(taken.sorted() == entered.sorted(), "entered \(entered), taken \(taken)") }
      }
      try require(Set(taken).isSubset(of: entered), "entered \(entered), taken \(taken)")
      for task in tasks { task.cancel() }
      for task in tasks {
        let end = await ending { try await task.value }
        try require(Self.fair.contains(end) || end.contains("shut down") || end.contains("taskDone"), end)
      }
    }
  }

  // MARK: The body, and the loop

  /// Tasks that wait for one of everything.
  private static func waiting(
    _ random: inout SplitMix64, on loop: isolated EventLoop
  ) async throws -> (server: Server, tasks: [LoopTask<Void>]) {
    let lock = AsyncLock()
    let semaphore = try AsyncSemaphore(value: 0)
    let condition = AsyncCondition()
    let event = AsyncEvent()
    let barrier = try AsyncBarrier(parties: 9)
    let queue = try AsyncQueue<Int>(capacity: 1)
    let future = loop.createFuture(of: Void.self)
    let server = try await serve { try await echo($0) }
    let address = server.address
    let cleanup = Int.random(in: 0...2, using: &random)
    let tasks: [LoopTask<Void>] = [
      loop.createTask { try await lock.withLock { try await sleep(for: .seconds(2)) } },
      loop.createTask { try await lock.withLock { try await sleep(for: .seconds(2)) } },
      loop.createTask { try await semaphore.acquire(timeout: .seconds(9)) },
      loop.createTask { try await condition.withLock { try await condition.waitUntilNotified() } },
      loop.createTask { try await event.waitUntilSet() },
      loop.createTask { _ = try await barrier.waitForAll() },
      loop.createTask { _ = try await queue.get() },
      loop.createTask { try await waitFor(future, timeout: .seconds(1)) },
      loop.createTask { try await gather([future, future]) },
      loop.createTask { try await shield { try await sleep(for: .seconds(cleanup)) } },
      loop.createTask { try await withLoopTaskGroup { $0.createTask { try await sleep(for: .seconds(3)) } }.value },
      loop.createTask { _ = try await exchange("hello", with: address) },
      loop.createTask { try await server.serveForever() },
      loop.createTask {
        do { try await sleep(for: .seconds(3_600)) } catch { try await sleep(for: .seconds(cleanup)) }
      },
      loop.createTask { try await withTimeout(.seconds(cleanup)) { try await sleep(for: .seconds(1)) } },
    ]
    return (server, tasks)
  }

  @Test func `T-55, SV-14: the body ends while tasks wait for everything that there is: all end, nothing is left`()
    throws
  {
    var configuration = Self.network
    configuration.leaks = .afterShutdown
    try EventLoop.race(configuration) { loop, random in
      // A task that nobody awaits any more may fail.
      _ = Reports(of: loop)
      let (server, tasks) = try await Self.waiting(&random, on: loop)
      // What a body leaves open is a leak, and no business of its tasks, of which each may be cancelled before its start.
      defer { server.close() }
      let happenings = Happenings()
      for task in tasks where Int.random(in: 0..<4, using: &random) == 0 {
        happenings.plan("cancel", at: Int.random(in: 0...3, using: &random)) { task.cancel() }
      }
      happenings.arm(&random, on: loop)
      let turns = Int.random(in: 0...5, using: &random)
      for _ in 0..<turns { try await sleep(for: .zero) }
      try await sleep(for: .seconds(Int.random(in: 0...3, using: &random)))
    }
  }

  @Test func `T-11: a loop is closed, turns after its stop, while tasks wait for everything that there is`() throws {
    // What waits then stays for ever; so there are not too many of them.
    let seeds = Schedules.seeds(of: 2_000, usually: 40)
    for (seed, isInOrder) in seeds.flatMap({ [($0, true), ($0, false)] }) {
      let configuration = isInOrder ? EventLoop.Configuration.virtual() : .shuffled(seed)
      let loop = try EventLoop(configuration: configuration.with(log: RecordingLog()))
      var random = SplitMix64(state: seed)
      let turns = Int.random(in: 0...30, using: &random)
      let left = Shared(0)
      try loop.runUntilComplete { loop in
        var random = SplitMix64(state: seed)
        var tasks: [LoopTask<Void>] = []
        tasks = try await Self.waitingWithoutNetwork(&random, on: loop)
        for task in tasks where Int.random(in: 0..<4, using: &random) == 0 { task.cancel() }
        for _ in 0..<turns { try await sleep(for: .zero) }
        left.change { $0 = tasks.count { !$0.isDone } }
      }
      loop.close()
      #expect(loop.isClosed)
      #expect(loop.executor.unfinishedTasks.isEmpty || left.value > 0, "seed \(seed), in order: \(isInOrder)")
    }
  }

  private static func waitingWithoutNetwork(
    _ random: inout SplitMix64, on loop: isolated EventLoop
  ) async throws -> [LoopTask<Void>] {
    let lock = AsyncLock()
    let queue = try AsyncQueue<Int>(capacity: 1)
    let event = AsyncEvent()
    let future = loop.createFuture(of: Void.self)
    return [
      loop.createTask { try await lock.withLock { try await event.waitUntilSet() } },
      loop.createTask { try await lock.withLock { try await event.waitUntilSet() } },
      loop.createTask { while true { _ = try await queue.get() } },
      loop.createTask { while true { try await queue.put(1) } },
      loop.createTask { try await waitFor(future, timeout: .seconds(1)) },
      loop.createTask { try await gather([future, future]) },
      loop.createTask { try await shield { try await event.waitUntilSet() } },
      loop.createTask { do { try await event.waitUntilSet() } catch { try await sleep(for: .seconds(1)) } },
      loop.createTask { while true { try await sleep(for: .zero) } },
    ]
  }
}
