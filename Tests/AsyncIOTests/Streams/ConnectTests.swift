// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 14, the side of the client: SV-01 to SV-04, T-64.

import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ConnectTests {
  private static func address(_ text: String) -> SocketAddress {
    guard let address = try? SocketAddress(parsing: text) else { preconditionFailure("no address: \(text)") }
    return address
  }

  private static let a = address("127.0.0.1:1")
  private static let b = address("127.0.0.2:1")
  private static let c = address("127.0.0.3:1")

  /// Runs on virtual time, in FIFO order and over seeds, with a network of scripts that knows of nothing at first.
  private func run(
    _ network: ScriptedNetwork, _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void
  ) throws {
    var configuration = EventLoop.Configuration()
    configuration.seams.systemCalls = network
    // The other ends of its sockets are with nobody.
    try runVirtually(configuration, graceForDescriptors: .zero) { loop in
      network.forget()
      try await body(loop)
      #expect(network.openCount == 0, "sockets are left open")
    }
  }

  @Test func `the families take turns, and each address stands once`() throws {
    let four = ["1.1.1.1:1", "1.1.1.2:1", "1.1.1.3:1"].map(Self.address)
    let six = ["[::1]:1", "[::2]:1"].map(Self.address)
    #expect(ConnectRace.interleaved(six + four) == [six[0], four[0], six[1], four[1], four[2]])
    #expect(ConnectRace.interleaved(four + six) == [four[0], six[0], four[1], six[1], four[2]])
    #expect(ConnectRace.interleaved([four[0], four[0], six[0], four[0]]) == [four[0], six[0]])
    #expect(ConnectRace.interleaved([]) == [])
  }

  @Test(arguments: [Errno.connectionRefused, .networkUnreachable, .noRouteToHost, .timedOut, .permissionDenied])
  func `SV-01: what goes wrong is the error, at once or later, and the socket is closed`(errno: Errno) throws {
    for answer in [ScriptedNetwork.Answer.fails(errno), .failsLater(errno)] {
      try run(ScriptedNetwork([Self.a: answer])) { loop in
        let error = await #expect(throws: ConnectError.self) { try await openConnection(to: Self.a) }
        #expect(error?.failures == [AddressError(Self.a, SystemError(errno, in: "connect"))])
        #expect(error?.description.contains("127.0.0.1:1: connect: ") == true)
      }
    }
  }

  @Test func `SV-02: when all addresses fail, one error has all of theirs`() throws {
    let network = ScriptedNetwork([
      Self.a: .fails(.networkUnreachable), Self.b: .failsLater(.connectionRefused), Self.c: .fails(.noRouteToHost),
    ])
    try run(network) { loop in
      let error = await #expect(throws: ConnectError.self) {
        _ = try await loop.connect([Self.a, Self.b, Self.c], ConnectionOptions(), until: nil)
      }
      #expect(error?.failures.map(\.address) == [Self.a, Self.b, Self.c])
      #expect(error?.failures.map(\.error.errno) == [.networkUnreachable, .connectionRefused, .noRouteToHost])
    }
  }

  @Test func `SV-02: the first that answers wins, and no further one is tried`() throws {
    let network = ScriptedNetwork([Self.a: .connects, Self.b: .connects])
    try run(network) { loop in
      _ = try await loop.connect([Self.a, Self.b], ConnectionOptions(), until: nil)
      #expect(network.tried == [Self.a])
    }
  }

  @Test func `SV-02: after a failure the next one is tried without a wait`() throws {
    let network = ScriptedNetwork([Self.a: .fails(.connectionRefused), Self.b: .connects])
    try run(network) { loop in
      let start = loop.now
      _ = try await loop.connect([Self.a, Self.b], ConnectionOptions(), until: nil)
      #expect(start.duration(to: loop.now) == .zero)
      #expect(network.tried == [Self.a, Self.b])
    }
  }

  @Test func `SV-03: an attempt has its delay, then the next is begun beside it, and the losers are closed`() throws {
    let network = ScriptedNetwork([Self.a: .hangs, Self.b: .hangs, Self.c: .connects])
    try run(network) { loop in
      let start = loop.now
      let socket = try await loop.connect([Self.a, Self.b, Self.c], ConnectionOptions(), until: nil)
      #expect(start.duration(to: loop.now) == .milliseconds(500))
      #expect(network.openCount == 1)
      _ = consume socket
      var options = ConnectionOptions()
      options.attemptDelay = .seconds(3)
      let second = loop.now
      _ = try await loop.connect([Self.a, Self.b, Self.c], options, until: nil)
      #expect(second.duration(to: loop.now) == .seconds(6))
    }
  }

  @Test(arguments: [0, 1, 100, 249, 250, 251, 499, 500, 501, 10_000])
  func `SV-03, T-64: a cancel at any time closes all sockets`(milliseconds: Int) throws {
    let network = ScriptedNetwork([Self.a: .hangs, Self.b: .hangs, Self.c: .hangs])
    try run(network) { loop in
      let task = loop.createTask {
        _ = try await loop.connect([Self.a, Self.b, Self.c], ConnectionOptions(), until: nil)
      }
      try await sleep(for: .milliseconds(milliseconds))
      task.cancel()
      #expect(await outcome(of: task) == "cancelled")
      #expect(network.openCount == 0)
    }
  }

  @Test func `T-64: a cancel in the turn in which the connection is made closes it, in either order`() throws {
    for delay in 0..<6 {
      let network = ScriptedNetwork([Self.a: .connectsLater])
      try run(network) { loop in
        let task = loop.createTask { try await openConnection(to: Self.a).abort() }
        try await turns(delay)
        task.cancel()
        _ = await outcome(of: task)
        #expect(network.openCount == 0)
      }
    }
  }

  @Test func `SV-01: a timeout ends all attempts`() throws {
    let network = ScriptedNetwork([Self.a: .hangs, Self.b: .hangs])
    try run(network) { loop in
      let start = loop.now
      await #expect(throws: TimeoutError.self) { try await openConnection(to: Self.a, timeout: .seconds(5)) }
      #expect(start.duration(to: loop.now) == .seconds(5))
      #expect(network.openCount == 0)
    }
  }

  @Test func `SV-04: a local address of another family fails that address alone`() throws {
    let network = ScriptedNetwork([Self.a: .connects])
    try run(network) { loop in
      var options = ConnectionOptions()
      options.localAddress = Self.address("127.0.0.1:0")
      let six = Self.address("[::1]:1")
      _ = try await loop.connect([six, Self.a], options, until: nil)
      let error = await #expect(throws: ConnectError.self) { try await openConnection(to: six, options: options) }
      #expect(error?.failures == [AddressError(six, SystemError(.addressFamilyNotSupported, in: "bind"))])
    }
  }

  @Test func `SV-04: a local address that is taken, or another machine's, is an error of bind`() throws {
    try EventLoop.run { loop in
      let listener = try ListeningSocket(bindingTo: SocketAddress(host: "127.0.0.1", port: 0))
      for (local, errno) in [
        (try listener.localAddress, Errno.addressInUse), (Self.address("192.0.2.1:0"), .addressNotAvailable),
      ] {
        var options = ConnectionOptions()
        options.localAddress = local
        let target = try listener.localAddress
        let error = await #expect(throws: ConnectError.self) { try await openConnection(to: target, options: options) }
        #expect(error?.failures.map(\.error) == [SystemError(errno, in: "bind")])
      }
    }
  }

  @Test func `SV-01, SW-28: on the kernel, a connection has no delay, and comes from where it was told to`() throws {
    try EventLoop.run { loop in
      let listener = try ListeningSocket(bindingTo: SocketAddress(host: "127.0.0.1", port: 0))
      let target = try listener.localAddress
      var options = ConnectionOptions()
      options.localAddress = Self.address("127.0.0.9:0")
      options.keepAlive = KeepAlive()
      let socket = try await loop.connect([target], options, until: nil)
      #expect(try socket.option(TCP_NODELAY, of: Int32(IPPROTO_TCP)) == 1)
      #expect(try socket.option(SO_KEEPALIVE, of: SOL_SOCKET) == 1)
      #expect(try socket.localAddress.host == "127.0.0.9")
      options.noDelay = false
      let slow = try await loop.connect([target], options, until: nil)
      #expect(try slow.option(TCP_NODELAY, of: Int32(IPPROTO_TCP)) == 0)
    }
  }

  @Test func `UX-01: a Unix server whose queue is full is asked again, until the deadline`() throws {
    try runVirtually(graceForDescriptors: .zero) { loop in
      let address = try SocketAddress(abstractName: "asyncio-full-\(getpid())")
      var options = ListeningOptions()
      options.backlog = 0
      let listener = try ListeningSocket(bindingTo: address, options: options)
      let first = try await openConnection(to: address)
      let begin = loop.now
      await #expect(throws: TimeoutError.self) { try await openConnection(to: address, timeout: .seconds(20)) }
      #expect(begin.duration(to: loop.now) == .seconds(20))
      let second = loop.createTask { try await openConnection(to: address).abort() }
      try await sleep(for: .seconds(5))
      #expect(!second.isDone)
      _ = try listener.accept()
      try await second.value
      first.abort()
    }
  }
}

/// Calls of which the test says how connecting ends. A socket is one end of a Unix pair that the kernel holds.
final class ScriptedNetwork: PartialCalls, Sendable {
  enum Answer: Sendable {
    case connects, connectsLater, hangs
    case fails(Errno), failsLater(Errno)
  }

  private struct State {
    var peers: [Int32: Int32] = [:]
    var errors: [Int32: Errno] = [:]
    var tried: [SocketAddress] = []
  }

  private let answers: [SocketAddress: Answer]
  private let state = Shared(State())

  init(_ answers: [SocketAddress: Answer]) { self.answers = answers }

  var openCount: Int { state.value.peers.count }
  var tried: [SocketAddress] { state.value.tried }

  /// Begins anew: which addresses were tried is forgotten.
  func forget() { state.change { $0.tried = [] } }

  func socket(_ family: Int32, _ type: Int32) throws(Errno) -> Int32 {
    var ends: [Int32] = [-1, -1]
    let flags = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    guard unsafe socketpair(AF_UNIX, flags, 0, &ends) == 0 else { throw .last }
    let (near, far) = (ends[0], ends[1])
    state.change { $0.peers[near] = far }
    return near
  }

  func setOption(_ descriptor: Int32, _ level: Int32, _ option: Int32, to value: Int32) throws(Errno) {}
  func bind(_ descriptor: Int32, to address: SocketAddress) throws(Errno) {}
  func localAddress(_ descriptor: Int32) throws(Errno) -> SocketAddress {
    do { return try SocketAddress(host: "127.0.0.1", port: 60_000) } catch { throw .invalidArgument }
  }

  func connect(_ descriptor: Int32, to address: SocketAddress) throws(Errno) {
    state.change { $0.tried.append(address) }
    switch answers[address] ?? .hangs {
    case .connects: return
    case .fails(let errno): throw errno
    case .failsLater(let errno): state.change { $0.errors[descriptor] = errno }
    case .connectsLater: break
    case .hangs:
      // Not writable.
      fill(descriptor)
    }
    throw .nowInProgress
  }

  private func fill(_ descriptor: Int32) {
    let block = [UInt8](repeating: 0, count: 65_536)
    while unsafe Glibc.send(descriptor, block, block.count, Int32(MSG_NOSIGNAL)) > 0 {}
  }

  func option(_ descriptor: Int32, _ level: Int32, _ option: Int32) throws(Errno) -> Int32 {
    state.value.errors[descriptor]?.rawValue ?? 0
  }

  func close(_ descriptor: Int32) {
    LinuxSystemCalls().close(descriptor)
    if let far = state.value.peers[descriptor] { LinuxSystemCalls().close(far) }
    state.change { state in
      state.peers[descriptor] = nil
      state.errors[descriptor] = nil
    }
  }
}
