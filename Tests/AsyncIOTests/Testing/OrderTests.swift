// SPDX-License-Identifier: Apache-2.0
//
// What comes of many at once comes in the same order in each run: no order comes of a hash, which comes of addresses.

import AsyncIOTesting
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct OrderTests {
  private static let crowd = 24

  enum End: CaseIterable { case closeClients, abortClients, loop }

  /// Many clients of a server, all of which are ended at once.
  private static func ending(_ end: End, _ order: Notes<Int>) -> @Sendable (isolated EventLoop) async throws -> Void {
    { loop in
      loop.exceptionHandler = { _ in }
      var count = 0
      let server = try await serve { connection in
        let number = count
        count += 1
        do {
          _ = try await connection.reader.readLine()
        } catch {
          order.add(number)
          throw error
        }
      }
      defer { server.abortClients() }
      var clients: [Connection] = []
      for _ in 0..<crowd { clients.append(try await openConnection(to: server.address)) }
      try await loop.waitAllTasksBlocked()
      switch end {
      case .closeClients: try await server.closeClients(grace: .seconds(1))
      case .abortClients: server.abortClients()
      case .loop: loop.releaseDependents()
      }
      try await loop.waitAllTasksBlocked()
      for client in clients { client.abort() }
    }
  }

  @Test(arguments: End.allCases)
  func `the clients of a server end in the order of their coming, and each run of a seed is the same`(
    end: End
  ) throws {
    let order = Notes<Int>()
    try TestLoop.record(.network(), Self.ending(end, order)).result.get()
    #expect(order.value == Array(0..<Self.crowd))
    for seed in UInt64(0)..<5 {
      let configuration = TestLoop.Configuration.network { $0.order = .seeded(seed) }
      let first = try TestLoop.record(configuration, Self.ending(end, Notes()))
      try first.result.get()
      let second = try TestLoop.record(configuration, Self.ending(end, Notes()))
      #expect(first.trace.firstDifference(from: second.trace) == nil)
    }
  }

  @Test func `F-43: those who await from outside are told of the closing in the order of their coming`() async throws {
    let order = Notes<Int>()
    try await onThread {
      let loop = try EventLoop()
      try loop.runUntilComplete { loop in
        loop.exceptionHandler = { _ in }
        for number in 0..<Self.crowd {
          let future = loop.createFuture(of: Int.self)
          _ = loop.foreignTask {
            _ = await outcome(of: future)
            order.add(number)
          }
        }
        while loop.executor.outsiders.count < Self.crowd { try await turns() }
      }
      loop.close()
    }
    #expect(order.value == Array(0..<Self.crowd))
  }

  @Test func `readers that are left are let go of in the order of their descriptors`() async throws {
    let order = Notes<Int>()
    try await onThread {
      let loop = try EventLoop()
      try loop.runUntilComplete { loop in
        let pairs = try (0..<8).map { _ in try DescriptorPair.sockets() }
        for (number, pair) in pairs.enumerated().reversed() {
          let sentinel = Sentinel { order.add(number) }
          try loop.addReader(pair.near) { _ = (sentinel, pair) }
        }
      }
      loop.close()
    }
    #expect(order.value == order.value.sorted())
    #expect(order.count == 8)
  }
}
