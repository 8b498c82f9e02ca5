// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 15: datagrams.

import AsyncIOTesting
import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct DatagramTests {
  private static func loopback() throws -> SocketAddress { try SocketAddress(host: "127.0.0.1", port: 0) }

  private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test func `DG-01: what is sent comes whole, also nothing, and the most that UDP carries`() throws {
    let body: @Sendable (isolated EventLoop) async throws -> Void = { loop in
      let near = try openDatagramEndpoint(local: Self.loopback())
      let far = try openDatagramEndpoint(local: Self.loopback())
      let longest = [UInt8](repeating: 7, count: 65_507)
      for content in [Array("abc".utf8), [], longest] {
        try await far.send(content, to: near.localAddress)
        let datagram = try await near.receive()
        #expect(datagram == Datagram(bytes: content, sender: far.localAddress))
      }
      await #expect(throws: SystemError(.messageTooLong, in: "sendto")) {
        try await far.send([UInt8](repeating: 7, count: 65_508), to: near.localAddress)
      }
      try await far.send(Array("still there".utf8), to: near.localAddress)
      #expect(try await near.receive().bytes == Array("still there".utf8))
      near.close()
      far.close()
    }
    try runInMemory(body)
    // What the most is, the kernel says.
    try EventLoop.run { loop in try await body(loop) }
  }

  @Test func `DG-02, DG-07: a closed port is told once to a connected endpoint, which works on`() throws {
    try EventLoop.run { loop in
      let gone = try openDatagramEndpoint(local: Self.loopback())
      let address = gone.localAddress
      gone.close()
      let endpoint = try openDatagramEndpoint(remote: address)
      try await endpoint.send(bytes("x"))
      await #expect(throws: SystemError(.connectionRefused, in: "recvmsg")) { _ = try await endpoint.receive() }
      let back = try openDatagramEndpoint(local: address)
      try await endpoint.send(bytes("y"))
      #expect(try await back.receive().bytes == bytes("y"))
      try await back.send(bytes("z"), to: endpoint.localAddress)
      #expect(try await endpoint.receive().bytes == bytes("z"))
      endpoint.close()
      back.close()
    }
  }

  @Test func `DG-03: without room, senders wait, and go in their order, each datagram whole`() throws {
    try EventLoop.run { loop in
      let name = try SocketAddress(abstractName: "asyncio-datagrams-\(getpid())")
      let near = try openDatagramEndpoint(local: name)
      for far in [try openDatagramEndpoint(remote: name), try openDatagramEndpoint(local: Self.other)] {
        let target = far.remoteAddress == nil ? name : nil
        let count = 200
        let senders = (0..<count).map { number in
          loop.createTask { try await far.send(number == 7 ? [] : Array("\(number)".utf8), to: target) }
        }
        try await turns(2)
        #expect(senders.contains { !$0.isDone })
        for number in 0..<count {
          #expect(try await near.receive().bytes == (number == 7 ? [] : bytes("\(number)")))
        }
        for sender in senders { try await sender.value }
        far.close()
      }
      near.close()
    }
  }

  private static var other: SocketAddress {
    get throws { try SocketAddress(abstractName: "asyncio-datagrams-\(getpid())-other") }
  }

  @Test(.inOrder) func `DG-03: a sender that is cancelled sends nothing, and those behind it go on`() throws {
    // Of the kernel: in memory there is room for all.
    try runVirtually(graceForDescriptors: .zero) { loop in
      let name = try SocketAddress(abstractName: "asyncio-datagrams-\(getpid())")
      let near = try openDatagramEndpoint(local: name)
      let far = try openDatagramEndpoint(remote: name)
      let senders = (0..<100).map { number in loop.createTask { try await far.send(Array("\(number)".utf8)) } }
      try await turns(2)
      let waiting = senders.filter { !$0.isDone }
      #expect(waiting.count > 3)
      for sender in [waiting[0], waiting[2]] { sender.cancel() }
      let expected = (0..<100).filter { senders[$0] !== waiting[0] && senders[$0] !== waiting[2] }
      for number in expected { #expect(try await near.receive().bytes == bytes("\(number)")) }
      await #expect(throws: TimeoutError.self) { try await near.receive(timeout: .seconds(5)) }
      near.close()
      far.close()
    }
  }

  @Test func `DG-05: a datagram that is longer than the most is flagged, and the next one is not`() throws {
    try runInMemory { loop in
      var options = DatagramOptions()
      options.maximumSize = 4
      let near = try openDatagramEndpoint(local: Self.loopback(), options: options)
      let far = try openDatagramEndpoint(remote: near.localAddress)
      try await far.send(bytes("abcdef"))
      try await far.send(bytes("abcd"))
      #expect(try await near.receive() == Datagram(bytes: bytes("abcd"), sender: far.localAddress, isTruncated: true))
      #expect(try await near.receive() == Datagram(bytes: bytes("abcd"), sender: far.localAddress))
      near.close()
      far.close()
    }
  }

  @Test func `DG-06: one that cannot be sent is an error of its own, and those around it go out`() throws {
    try runInMemory { loop in
      let near = try openDatagramEndpoint(local: Self.loopback())
      let far = try openDatagramEndpoint(remote: near.localAddress)
      let sends = (0..<10).map { number in
        loop.createTask { try await far.send([UInt8](repeating: UInt8(number), count: number == 4 ? 65_508 : 1)) }
      }
      for (number, send) in sends.enumerated() {
        #expect(await outcome(of: send) == (number == 4 ? "\(SystemError(.messageTooLong, in: "sendto"))" : "()"))
      }
      var received: [UInt8] = []
      for _ in 0..<9 { received += try await near.receive().bytes }
      #expect((loop.testSeed == nil ? received : received.sorted()) == [0, 1, 2, 3, 5, 6, 7, 8, 9])
      await #expect(throws: TimeoutError.self) { try await near.receive(timeout: .seconds(5)) }
      near.close()
      far.close()
    }
  }

  @Test func `DG-06: also in the queue of those who wait for room`() throws {
    try EventLoop.run { loop in
      let name = try SocketAddress(abstractName: "asyncio-datagrams-\(getpid())")
      let near = try openDatagramEndpoint(local: name)
      let far = try openDatagramEndpoint(remote: name)
      let sends = (0..<100).map { number in
        loop.createTask { try await far.send([UInt8](repeating: UInt8(number), count: number == 50 ? 10_000_000 : 1)) }
      }
      try await turns(2)
      #expect(!sends[50].isDone)
      for number in 0..<100 where number != 50 { #expect(try await near.receive().bytes == [UInt8(number)]) }
      #expect(await outcome(of: sends[50]) == "\(SystemError(.messageTooLong, in: "sendto"))")
      for (number, send) in sends.enumerated() where number != 50 { try await send.value }
      near.close()
      far.close()
    }
  }

  @Test func `DG-07: an error of the kernel is thrown, once for each call`() throws {
    let errors = [Errno.connectionRefused, .noMemory, .badAddress]
    let faults = errors.enumerated().map { TestLoop.Fault(.receiveDatagram, number: $0.offset + 1, error: $0.element) }
    try runInMemory(faults: faults) { loop in
      let endpoint = try openDatagramEndpoint(local: Self.loopback())
      for errno in errors {
        await #expect(throws: SystemError(errno, in: "recvmsg")) { _ = try await endpoint.receive() }
      }
      await #expect(throws: TimeoutError.self) { try await endpoint.receive(timeout: .seconds(5)) }
      endpoint.close()
    }
  }

  @Test func `DG-08: who has a peer takes no other address, and who has none needs one`() throws {
    try runInMemory { loop in
      let near = try openDatagramEndpoint(local: Self.loopback())
      let far = try openDatagramEndpoint(remote: near.localAddress)
      await #expect(throws: InvalidArgumentError.self) { try await near.send(bytes("x")) }
      await #expect(throws: InvalidArgumentError.self) { try await far.send(bytes("x"), to: far.localAddress) }
      try await far.send(bytes("x"), to: near.localAddress)
      #expect(try await near.receive().bytes == bytes("x"))
      #expect(throws: InvalidArgumentError.self) { try openDatagramEndpoint() }
      #expect(throws: InvalidArgumentError.self) {
        try openDatagramEndpoint(local: Self.loopback(), remote: SocketAddress(host: "::1", port: 1))
      }
      #expect(throws: AddressError(near.localAddress, SystemError(.addressInUse, in: "bind"))) {
        try openDatagramEndpoint(local: near.localAddress)
      }
      near.close()
      far.close()
    }
  }

  @Test func `DG-04, DG-09: a close ends the waits and the iteration, also from inside of it`() throws {
    let before = ProcessFacts.descriptors.count
    try runInMemory { loop in
      let near = try openDatagramEndpoint(local: Self.loopback())
      let far = try openDatagramEndpoint(remote: near.localAddress)
      for text in ["a", "b", "c", "d"] { try await far.send(bytes(text)) }
      var seen: [String] = []
      for try await datagram in near.datagrams {
        seen.append(String(decoding: datagram.bytes, as: UTF8.self))
        if seen.count == 2 { near.close() }
      }
      #expect(seen == ["a", "b"])
      let waits = (0..<3).map { _ in loop.createTask { _ = try await far.receive() } }
      try await turns(2)
      far.close()
      far.close()
      for wait in waits { await #expect(throws: DescriptorClosedError.self) { try await wait.value } }
      await #expect(throws: DescriptorClosedError.self) { try await far.send(bytes("x")) }
      #expect(far.isClosed && near.isClosed)
    }
    #expect(ProcessFacts.descriptors.count == before)
  }

  @Test func `receivers get their datagrams in the order of their calls`() throws {
    try runInMemory { loop in
      let near = try openDatagramEndpoint(local: Self.loopback())
      let far = try openDatagramEndpoint(remote: near.localAddress)
      var receivers: [LoopTask<[UInt8]>] = []
      for _ in 0..<5 {
        receivers.append(loop.createTask { try await near.receive().bytes })
        try await loop.waitAllTasksBlocked()
      }
      receivers[1].cancel()
      receivers[0].cancel()
      for text in ["a", "b", "c"] { try await far.send(bytes(text)) }
      for (receiver, text) in zip(receivers[2...], ["a", "b", "c"]) { #expect(try await receiver.value == bytes(text)) }
      near.close()
      far.close()
    }
  }

  @Test func `who always finds a datagram leaves the others their turns`() throws {
    try runInMemory { loop in
      let near = try openDatagramEndpoint(local: Self.loopback())
      let far = try openDatagramEndpoint(remote: near.localAddress)
      let other = Counter()
      loop.callSoon { other.value += 1 }
      for _ in 0..<200 where other.value == 0 {
        try await far.send(bytes("x"))
        _ = try await near.receive()
      }
      #expect(other.value == 1)
      near.close()
      far.close()
    }
  }

  @Test func `UX-01, UX-03, UX-04: endpoints of Unix sockets, on paths and without a name`() throws {
    let folder = TemporaryFolder()
    try EventLoop.run { loop in
      let address = try SocketAddress(unixPath: folder.path("a.sock"))
      for _ in 0..<2 {
        let near = try openDatagramEndpoint(local: address)
        let far = try openDatagramEndpoint(remote: address)
        try await far.send(bytes("x"))
        #expect(try await near.receive() == Datagram(bytes: bytes("x"), sender: nil))
        near.close()
        far.close()
        #expect(folder.names == [])
        let stale = try OwnedSocket.open(.unix, Int32(SOCK_DGRAM.rawValue), calls: LinuxSystemCalls())
        try stale.bind(to: address)
      }
    }
  }
}
