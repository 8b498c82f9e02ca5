// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 15, endpoints as their users hold them: their end, their calls of the kernel, their time limits.

import AsyncIOTesting
import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct DatagramEndpointTests {
  private static func loopback() throws -> SocketAddress { try SocketAddress(host: "127.0.0.1", port: 0) }

  @Test func `DB-03: an endpoint that is dropped is closed, with one report`() throws {
    try runInMemory { loop in
      let reports = Reports(of: loop)
      try { () throws in _ = try openDatagramEndpoint(local: Self.loopback()) }()
      #expect(loop.openThings.isEmpty)
      #expect(reports.kinds == [.endpointNotClosed])
      // One that was closed is not reported.
      try { () throws in try openDatagramEndpoint(local: Self.loopback()).close() }()
      // Who iterates holds it.
      var iterator: DatagramEndpoint.Datagrams.Iterator?
      let address = try { () throws in
        let endpoint = try openDatagramEndpoint(local: Self.loopback())
        iterator = endpoint.datagrams.makeAsyncIterator()
        return endpoint.localAddress
      }()
      let far = try openDatagramEndpoint(remote: address)
      try await far.send([1])
      #expect(try await iterator?.next()?.bytes == [1])
      #expect(reports.count == 1)
      iterator = nil
      #expect(reports.count == 2)
      #expect(loop.openThings.count == 1)
      far.close()
    }
  }

  @Test func `DB-03: one that is open when its loop is closed is closed without a report`() throws {
    let log = RecordingLog()
    let before = ProcessFacts.descriptors.count
    nonisolated(unsafe) var kept: DatagramEndpoint?
    try EventLoop.run(configuration: EventLoop.Configuration().with(log: log)) { loop in
      unsafe kept = try openDatagramEndpoint(local: Self.loopback())
    }
    #expect(ProcessFacts.descriptors.count == before)
    unsafe #expect(kept?.isClosed == true)
    unsafe kept = nil
    #expect(log.kinds == [])
  }

  @Test func `DB-03: one that another thread lets go of is closed by its loop`() async throws {
    let loop = try LoopThread.start()
    nonisolated(unsafe) var kept: DatagramEndpoint?
    try await loop.run { loop in
      loop.exceptionHandler = { _ in }
      unsafe kept = try openDatagramEndpoint(local: Self.loopback())
    }
    let before = ProcessFacts.descriptors.count
    unsafe #expect(kept != nil)
    unsafe kept = nil
    try await loop.run { _ in try await turns(2) }
    #expect(ProcessFacts.descriptors.count == before - 1)
    await loop.shutdown()
  }

  @Test func `DG-03: the kernel is asked once before a wait, and once after it`() throws {
    let calls = CountedDatagrams()
    var configuration = EventLoop.Configuration()
    configuration.seams.systemCalls = calls
    try EventLoop.run(configuration: configuration) { loop in
      let near = try openDatagramEndpoint(local: Self.loopback())
      let far = try openDatagramEndpoint(remote: near.localAddress)
      for _ in 0..<3 {
        calls.received.change { $0 = 0 }
        let receiving = loop.createTask { try await near.receive().bytes }
        try await turns(2)
        try await far.send([1])
        #expect(try await receiving.value == [1])
        #expect(calls.received.value == 2)
      }
      // One who waits for another looks when it is his turn.
      calls.received.change { $0 = 0 }
      let both = (0..<2).map { _ in loop.createTask { try await near.receive().bytes } }
      try await turns(2)
      try await far.send([1])
      try await far.send([2])
      #expect(try await both[0].value == [1])
      #expect(try await both[1].value == [2])
      #expect(calls.received.value == 3)
      near.close()
      far.close()
    }
  }

  @Test func `DG-03: what finds no room in its time is not sent, and those behind it go on`() throws {
    try runVirtually(graceForDescriptors: .zero) { loop in
      let name = try SocketAddress(abstractName: "asyncio-datagram-timeouts-\(getpid())")
      let other = try SocketAddress(abstractName: "asyncio-datagram-timeouts-\(getpid())-far")
      let near = try openDatagramEndpoint(local: name)
      for far in [try openDatagramEndpoint(remote: name), try openDatagramEndpoint(local: other)] {
        let target = far.remoteAddress == nil ? name : nil
        var sent = 0
        await #expect(throws: TimeoutError.self) {
          while true {
            try await far.send([1], to: target, timeout: .seconds(5))
            sent += 1
          }
        }
        #expect(sent > 0)
        let waiting = loop.createTask { try await far.send([2], to: target) }
        try await loop.waitAllTasksBlocked()
        await #expect(throws: TimeoutError.self) { try await far.send([3], to: target, timeout: .seconds(5)) }
        for _ in 0..<sent { #expect(try await near.receive().bytes == [1]) }
        #expect(try await near.receive().bytes == [2])
        try await waiting.value
        await #expect(throws: TimeoutError.self) { try await near.receive(timeout: .seconds(5)) }
        try await far.send([4], to: target, timeout: .zero)
        #expect(try await near.receive(timeout: .zero).bytes == [4])
        far.close()
      }
      near.close()
    }
  }

  @Test func `DG-03: the same of sending`() throws {
    let calls = CountedDatagrams()
    var configuration = EventLoop.Configuration()
    configuration.seams.systemCalls = calls
    try EventLoop.run(configuration: configuration) { loop in
      let near = try openDatagramEndpoint(local: Self.loopback())
      let far = try openDatagramEndpoint(remote: near.localAddress)
      calls.refusals.change { $0 = 1 }
      try await far.send([1])
      #expect(calls.sent.value == 2)
      #expect(try await near.receive().bytes == [1])
      near.close()
      far.close()
    }
  }
}

/// Calls of which those for datagrams are counted, and sending finds no room for a while.
final class CountedDatagrams: PartialCalls, Sendable {
  let received = Shared(0)
  let sent = Shared(0)
  let refusals = Shared(0)

  func receiveDatagram(
    _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) -> ReceivedDatagram {
    received.change { $0 += 1 }
    return try unsafe LinuxSystemCalls().receiveDatagram(descriptor, into: buffer)
  }

  func sendDatagram(
    _ descriptor: Int32, _ buffer: UnsafeRawBufferPointer, to address: SocketAddress?
  ) throws(Errno) {
    sent.change { $0 += 1 }
    if refusals.value > 0 {
      refusals.change { $0 -= 1 }
      throw .wouldBlock
    }
    try unsafe LinuxSystemCalls().sendDatagram(descriptor, buffer, to: address)
  }
}
