// SPDX-License-Identifier: Apache-2.0
//
// The network in memory, and the script before the kernel: by the calls and the waits that streams are made of.

import AsyncIOTesting
import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct NetworkTests {
  /// A socket by the calls of a loop, in the plainest way.
  ///
  /// `@unchecked Sendable`: it is used on its loop only.
  final class Plain: @unchecked Sendable {
    let socket: OwnedSocket
    private let loop: EventLoop
    private let readable: ReadinessWait
    private let writable: ReadinessWait

    init(owning descriptor: Int32, on loop: EventLoop) {
      socket = OwnedSocket(owning: descriptor, calls: loop.systemCalls)
      self.loop = loop
      readable = ReadinessWait(socket.descriptor, .readable, isOwned: true, on: loop)
      writable = ReadinessWait(socket.descriptor, .writable, isOwned: true, on: loop)
    }

    convenience init(on loop: EventLoop) throws {
      self.init(owning: try loop.systemCalls.socket(AF_INET, Int32(SOCK_STREAM.rawValue)), on: loop)
    }

    static func listener(on loop: EventLoop) throws -> Plain {
      let plain = try Plain(on: loop)
      try loop.systemCalls.bind(plain.socket.rawValue, to: SocketAddress(host: "127.0.0.1", port: 0))
      try loop.systemCalls.listen(plain.socket.rawValue, backlog: 16)
      return plain
    }

    var port: Int { get throws { try loop.systemCalls.localAddress(socket.rawValue).port } }

    private func repeating<T>(_ wait: ReadinessWait, _ call: () throws(Errno) -> T) async throws -> T {
      while true {
        do throws(Errno) {
          return try call()
        } catch {
          guard error.isWouldBlock else { throw error }
        }
        try await wait.untilReady()
      }
    }

    func accept() async throws -> Plain {
      Plain(
        owning: try await repeating(readable) { () throws(Errno) in try loop.systemCalls.accept(socket.rawValue) },
        on: loop)
    }

    func connect(to port: Int) async throws {
      do {
        try loop.systemCalls.connect(socket.rawValue, to: SocketAddress(host: "127.0.0.1", port: port))
      } catch let error as Errno where error == .nowInProgress {
        try await writable.untilReady()
        let result = try loop.systemCalls.option(socket.rawValue, SOL_SOCKET, SO_ERROR)
        if result != 0 { throw Errno(rawValue: result) }
      }
    }

    func receive(_ count: Int) async throws -> [UInt8] {
      try await repeating(readable) { () throws(Errno) in
        var bytes = [UInt8](repeating: 0, count: count)
        var failure: Errno?
        let received = unsafe bytes.withUnsafeMutableBytes { buffer -> Int in
          do throws(Errno) {
            return try unsafe loop.systemCalls.receive(socket.rawValue, into: buffer)
          } catch {
            failure = error
            return 0
          }
        }
        if let failure { throw failure }
        return Array(bytes[..<received])
      }
    }

    func receiveAll() async throws -> [UInt8] {
      var all: [UInt8] = []
      while true {
        let part = try await receive(1_000)
        if part.isEmpty { return all }
        all += part
      }
    }

    func send(_ bytes: [UInt8]) async throws {
      var rest = bytes[...]
      while !rest.isEmpty {
        let sent = try await repeating(writable) { () throws(Errno) in
          var result: Result<Int, Errno> = .success(0)
          unsafe rest.withUnsafeBytes { buffer in
            do throws(Errno) {
              result = .success(try unsafe loop.systemCalls.send(socket.rawValue, buffer))
            } catch {
              result = .failure(error)
            }
          }
          return try result.get()
        }
        rest = rest.dropFirst(sent)
      }
    }

    func endWriting() throws { try loop.systemCalls.shutdown(socket.rawValue, Int32(SHUT_WR)) }

    deinit {
      readable.end()
      writable.end()
    }
  }

  /// A server that sends back what it gets, and a client that gets all of it back.
  private static func echo(_ bytes: [UInt8]) -> @Sendable (isolated EventLoop) async throws -> Void {
    { loop in
      let listener = try Plain.listener(on: loop)
      let server = loop.createTask(name: "server") {
        let peer = try await listener.accept()
        while true {
          let part = try await peer.receive(777)
          if part.isEmpty { return }
          try await peer.send(part)
        }
      }
      let client = loop.createTask(name: "client") {
        let socket = try Plain(on: loop)
        try await socket.connect(to: listener.port)
        let reader = loop.createTask(name: "reader") { try await socket.receiveAll() }
        try await socket.send(bytes)
        try socket.endWriting()
        return try await reader.value
      }
      do {
        let echoed = try await client.value
        #expect(echoed == bytes)
        try await server.value
      } catch {
        server.cancel()
        client.cancel()
        _ = try await wait([server, client as AnyFuture])
        throw error
      }
    }
  }

  private static let text = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

  @Test func `client and server run in one world, and time is what the network takes`() throws {
    try TestLoop.run(.network()) { loop in
      let listener = try Plain.listener(on: loop)
      let begin = loop.now
      let server = loop.createTask { try await listener.accept().receiveAll() }
      let client = try Plain(on: loop)
      try await client.connect(to: listener.port)
      #expect(begin.duration(to: loop.now) == .milliseconds(2))
      try await client.send(Array("hello".utf8))
      try client.endWriting()
      #expect(try await server.value == Array("hello".utf8))
      #expect(begin.duration(to: loop.now) == .milliseconds(3))
    }
  }

  @Test func `IO-27, SR-20: short reads and writes, and calls that would block, lose and double no byte`() throws {
    let configuration = TestLoop.Configuration.network {
      $0.system.isSplitting = true
      $0.system.percentOfWouldBlock = 20
      $0.network?.latency = .zero ... .milliseconds(5)
      $0.network?.capacity = 5_000
    }
    try TestLoop.run(seeds: 0..<50, configuration, Self.echo(Array(Self.text.prefix(20_000))))
  }

  @Test func `IO-27: the same by the sockets of the kernel`() throws {
    var configuration = TestLoop.Configuration()
    configuration.system.isSplitting = true
    configuration.system.percentOfWouldBlock = 20
    try TestLoop.run(seeds: 0..<20, configuration, Self.echo(Self.text))
  }

  @Test func `the same seed gives the same trace, network and splits included`() throws {
    for seed in UInt64(0)..<10 {
      let configuration = TestLoop.Configuration.network {
        $0.order = .seeded(seed)
        $0.system.isSplitting = true
        $0.network?.latency = .zero ... .milliseconds(5)
      }
      let body = Self.echo(Array(Self.text.prefix(5_000)))
      let (first, second) = try (TestLoop.record(configuration, body), TestLoop.record(configuration, body))
      try first.result.get()
      #expect(first.trace == second.trace)
    }
  }

  @Test func `DG-01: a datagram is answered, though its sender was bound to nothing`() throws {
    try TestLoop.run(seeds: 0..<10, .network()) { _ in
      let server = try openDatagramEndpoint(local: SocketAddress(host: "127.0.0.1", port: 7_000))
      let client = try openDatagramEndpoint(remote: server.localAddress)
      defer {
        server.close()
        client.close()
      }
      try await client.send([1, 2])
      let question = try await server.receive()
      #expect(question.sender == client.localAddress)
      try await server.send(question.bytes + [3], to: question.sender)
      #expect(try await client.receive() == Datagram(bytes: [1, 2, 3], sender: server.localAddress))
    }
  }

  @Test func `DG-01: one that is connected takes nothing of others; one that is bound to all addresses sends from one`()
    throws
  {
    try TestLoop.run(seeds: 0..<10, .network()) { _ in
      let server = try openDatagramEndpoint(local: SocketAddress(host: "0.0.0.0", port: 7_000))
      let client = try openDatagramEndpoint(remote: SocketAddress(host: "127.0.0.1", port: 7_000))
      let other = try openDatagramEndpoint(local: SocketAddress(host: "127.0.0.1", port: 7_001))
      defer { for endpoint in [server, client, other] { endpoint.close() } }
      let address = client.localAddress
      try await other.send([1], to: address)
      try await other.send([2], to: address)
      try await sleep(for: .seconds(1))
      try await server.send([3], to: address)
      #expect(
        try await client.receive() == Datagram(bytes: [3], sender: SocketAddress(host: "127.0.0.1", port: 7_000)))
    }
  }

  @Test func `DG-01: who is bound to all addresses is reached by each, and answers from that`() throws {
    try TestLoop.run(.network()) { _ in
      let server = try openDatagramEndpoint(local: SocketAddress(host: "0.0.0.0", port: 7_000))
      defer { server.close() }
      for address in [server.localAddress, try SocketAddress(host: "10.0.0.1", port: 7_000)] {
        let client = try openDatagramEndpoint(remote: address)
        try await client.send([1])
        let question = try await server.receive()
        try await server.send([2], to: question.sender)
        let answer = try await client.receive()
        #expect(answer.bytes == [2])
        #expect(
          answer.sender == (address.host == "10.0.0.1" ? address : try SocketAddress(host: "127.0.0.1", port: 7_000)))
        client.close()
      }
    }
  }

  @Test func `UX-01: a datagram of one without a name has no sender`() throws {
    try TestLoop.run(.network()) { _ in
      let address = try SocketAddress(unixPath: "/run/a.sock")
      let near = try openDatagramEndpoint(local: address)
      let far = try openDatagramEndpoint(remote: address)
      defer { for endpoint in [near, far] { endpoint.close() } }
      try await far.send([1])
      #expect(try await near.receive() == Datagram(bytes: [1], sender: nil))
    }
  }

  @Test func `where nobody listens, connecting is refused; and a port is taken once`() throws {
    try TestLoop.run(.network()) { loop in
      let client = try Plain(on: loop)
      await #expect(throws: Errno.connectionRefused) { try await client.connect(to: 7_000) }
      let listener = try Plain.listener(on: loop)
      let other = try Plain(on: loop)
      let port = try listener.port
      #expect(throws: Errno.addressInUse) {
        try loop.systemCalls.bind(other.socket.rawValue, to: SocketAddress(host: "127.0.0.1", port: port))
      }
    }
  }

  @Test func `UX-01, UX-03: a path is a name in memory: the file that is there is neither needed, changed nor removed`()
    throws
  {
    let folder = TemporaryFolder()
    let (path, other) = (folder.path("a.sock"), folder.path("b.sock"))
    try folder.write("precious", to: "a.sock")
    // The file of a socket that nobody listens on, which the kernel's servers would replace.
    let stale = try OwnedSocket.open(.unix, Int32(SOCK_STREAM.rawValue), calls: LinuxSystemCalls())
    try stale.bind(to: SocketAddress(unixPath: other))
    for configuration in [TestLoop.Configuration.network(), .network { $0.system.isSplitting = true }] {
      try TestLoop.run(configuration) { _ in
        let server = try await startServer(unixPath: path) { connection in
          try await connection.writer.write(try await connection.reader.read())
        }
        // The name is taken, in memory.
        await #expect(throws: AddressError.self) { _ = try await startServer(unixPath: path) { _ in } }
        let answer = try await exchange("hello", with: SocketAddress(unixPath: path))
        #expect(answer == "hello")
        server.abortClients()
        // And is free again.
        let next = try await startServer(unixPath: path) { _ in }
        next.close()
        try await startServer(unixPath: other) { _ in }.close()
        let endpoint = try openDatagramEndpoint(local: SocketAddress(unixPath: other))
        endpoint.close()
      }
    }
    #expect(folder.names == ["a.sock", "b.sock"])
    #expect(try folder.read("a.sock") == "precious")
    _ = consume stale
  }
}
