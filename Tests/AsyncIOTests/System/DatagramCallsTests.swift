// SPDX-License-Identifier: Apache-2.0
//
// The calls for datagrams, several buffers, pipes and connecting, on the running kernel.

import AsyncIO
import Glibc
import SystemPackage
import Testing

@Suite(.oneAtATime) struct DatagramCallsTests {
  private let calls = LinuxSystemCalls()
  private static let datagram = Int32(SOCK_DGRAM.rawValue)
  private static let stream = Int32(SOCK_STREAM.rawValue)

  /// A datagram socket, bound.
  private func bound(to text: String = "127.0.0.1:0") throws -> OwnedSocket {
    let address = try SocketAddress(parsing: text)
    let socket = try OwnedSocket.open(address.family, Self.datagram, calls: calls)
    try socket.bind(to: address)
    return socket
  }

  private func send(_ socket: borrowing OwnedSocket, _ text: String, to address: SocketAddress?) throws {
    let raw = socket.rawValue
    unsafe try Array(text.utf8).withUnsafeBytes { unsafe try calls.sendDatagram(raw, $0, to: address) }
  }

  private func receive(_ socket: borrowing OwnedSocket, _ limit: Int = 16) throws -> (String, ReceivedDatagram) {
    let raw = socket.rawValue
    var bytes = [UInt8](repeating: 0, count: limit)
    let received = unsafe try bytes.withUnsafeMutableBytes { unsafe try calls.receiveDatagram(raw, into: $0) }
    return (String(decoding: bytes[..<received.count], as: UTF8.self), received)
  }

  @Test func `a datagram comes whole, with its sender, also an empty one`() throws {
    let near = try bound()
    let far = try bound()
    #expect(throws: Errno.wouldBlock) { _ = try receive(near) }
    try send(far, "abc", to: near.localAddress)
    try send(far, "", to: near.localAddress)
    let (text, first) = try receive(near)
    #expect(text == "abc" && !first.isTruncated)
    #expect(first.sender == (try far.localAddress))
    let (empty, second) = try receive(near)
    #expect(empty == "" && second.count == 0 && second.sender != nil)
  }

  @Test func `DG-05: a datagram that is longer than the buffer is flagged, and its rest is gone`() throws {
    let near = try bound()
    let far = try bound()
    try send(far, "abcdef", to: near.localAddress)
    try send(far, "x", to: near.localAddress)
    let (text, received) = try receive(near, 4)
    #expect(text == "abcd" && received.count == 4 && received.isTruncated)
    let (next, whole) = try receive(near, 4)
    #expect(next == "x" && !whole.isTruncated)
  }

  @Test func `a datagram that is too long is EMSGSIZE`() throws {
    let near = try bound()
    let far = try bound()
    let address = try near.localAddress
    #expect(throws: Errno.messageTooLong) { try send(far, String(repeating: "x", count: 70_000), to: address) }
  }

  @Test func `without an address it goes to the peer, and needs one`() throws {
    let near = try bound()
    let far = try bound()
    #expect(throws: Errno(rawValue: EDESTADDRREQ)) { try send(far, "abc", to: nil) }
    #expect(try far.connect(to: near.localAddress))
    try send(far, "abc", to: nil)
    #expect(try receive(near).0 == "abc")
    #expect(try calls.peerAddress(far.rawValue) == near.localAddress)
  }

  @Test func `UX-01: datagrams of Unix sockets have a sender, if it has a name`() throws {
    let name = "asyncio-test-\(getpid())-calls"
    let near = try bound(to: "@\(name)")
    let unnamed = try OwnedSocket.open(.unix, Self.datagram, calls: calls)
    try send(unnamed, "abc", to: near.localAddress)
    let (text, received) = try receive(near)
    #expect(text == "abc" && received.sender == nil)
    #expect(try unnamed.localAddress.isUnnamed && "\(unnamed.localAddress)" == "unnamed")
    let named = try bound(to: "@\(name)-b")
    try send(named, "d", to: near.localAddress)
    #expect(try receive(near).1.sender?.abstractName == "\(name)-b")
    #expect(try near.localAddress == SocketAddress(abstractName: name))
  }

  @Test func `connecting tells at once, or when the socket is writable`() throws {
    let listener = try ListeningSocket(bindingTo: SocketAddress(host: "127.0.0.1", port: 0))
    let socket = try OwnedSocket.open(.ipv4, Self.stream, calls: calls)
    if try !socket.connect(to: listener.localAddress) { waitWritable(socket.rawValue) }
    #expect(try socket.pendingError() == nil)
    #expect(try calls.peerAddress(socket.rawValue) == listener.localAddress)
  }

  @Test func `a connection that is refused leaves its error on the socket, once`() throws {
    let port = try ListeningSocket(bindingTo: SocketAddress(host: "127.0.0.1", port: 0)).localAddress.port
    let socket = try OwnedSocket.open(.ipv4, Self.stream, calls: calls)
    if try !socket.connect(to: SocketAddress(host: "127.0.0.1", port: port)) { waitWritable(socket.rawValue) }
    #expect(try socket.pendingError() == .connectionRefused)
    #expect(try socket.pendingError() == nil)
  }

  @Test func `an option that was set reads back, and a wrong one is an error`() throws {
    let socket = try OwnedSocket.open(.ipv4, Self.stream, calls: calls)
    #expect(try socket.type == Self.stream)
    #expect(try socket.option(TCP_NODELAY, of: Int32(IPPROTO_TCP)) == 0)
    try socket.setUpTCP(
      noDelay: true, keepAlive: KeepAlive(idle: .milliseconds(1_500), interval: .seconds(7), count: 3))
    let tcp = Int32(IPPROTO_TCP)
    #expect(try socket.option(TCP_NODELAY, of: tcp) == 1)
    #expect(try socket.option(SO_KEEPALIVE, of: SOL_SOCKET) == 1)
    #expect(try socket.option(TCP_KEEPIDLE, of: tcp) == 2)
    #expect(try socket.option(TCP_KEEPINTVL, of: tcp) == 7)
    #expect(try socket.option(TCP_KEEPCNT, of: tcp) == 3)
    #expect(throws: SystemError(.protocolNotAvailable, in: "setsockopt")) { try socket.setOption(4_711, of: tcp) }
  }

  @Test func `SW-28: what a listener has, its clients have from their birth`() throws {
    var options = ListeningOptions()
    options.noDelay = true
    options.keepAlive = KeepAlive(idle: .seconds(9))
    let listener = try ListeningSocket(bindingTo: SocketAddress(host: "127.0.0.1", port: 0), options: options)
    let client = try OwnedSocket.open(.ipv4, Self.stream, calls: calls)
    if try !client.connect(to: listener.localAddress) { waitWritable(client.rawValue) }
    guard let accepted = try listener.accept() else { throw NeverSettled() }
    #expect(try accepted.option(TCP_NODELAY, of: Int32(IPPROTO_TCP)) == 1)
    #expect(try accepted.option(SO_KEEPALIVE, of: SOL_SOCKET) == 1)
    #expect(try accepted.option(TCP_KEEPIDLE, of: Int32(IPPROTO_TCP)) == 9)
  }

  @Test func `several buffers go out as one, in order, empty ones too`() throws {
    let pair = try DescriptorPair.sockets()
    let pieces = ["ab", "", "c", "def"].map { Array($0.utf8) }
    let sent = try unsafe withBuffers(of: pieces) { unsafe try calls.send(pair.near.rawValue, $0) }
    #expect(sent == 6)
    #expect(try DescriptorPair.read(pair.far) == "abcdef")
    try pair.closeFar()
    #expect(throws: Errno.brokenPipe) {
      try unsafe withBuffers(of: pieces) { unsafe try calls.send(pair.near.rawValue, $0) }
    }
  }

  @Test func `SW-16: a write to a pipe without a reader is EPIPE, and no signal ends the process`() throws {
    let old = signal(SIGPIPE, nil)
    defer { signal(SIGPIPE, old) }
    let pipe = try DescriptorPair.pipe()
    #expect(try write(pipe.far, "abc") == 3)
    var bytes = [UInt8](repeating: 0, count: 8)
    let count = unsafe try bytes.withUnsafeMutableBytes { unsafe try calls.read(pipe.near.rawValue, into: $0) }
    #expect(count == 3)
    try pipe.closeNear()
    for _ in 0..<3 { #expect(throws: Errno.brokenPipe) { try write(pipe.far, "abc") } }
    // None is left for later, and the mask is as it was.
    var pending = sigset_t()
    unsafe sigpending(&pending)
    #expect(unsafe sigismember(&pending, SIGPIPE) == 0)
  }

  private func write(_ descriptor: FileDescriptor, _ text: String) throws -> Int {
    unsafe try Array(text.utf8).withUnsafeBytes { unsafe try calls.write(descriptor.rawValue, $0) }
  }

  private func withBuffers<R>(
    of pieces: [[UInt8]], _ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) throws -> R
  ) rethrows -> R {
    let all = pieces.flatMap { $0 }
    return try unsafe all.withUnsafeBytes { all in
      var start = 0
      let buffers = unsafe pieces.map { piece in
        defer { start += piece.count }
        return unsafe UnsafeRawBufferPointer(rebasing: all[start..<start + piece.count])
      }
      return try unsafe buffers.withUnsafeBufferPointer(body)
    }
  }

  private func waitWritable(_ descriptor: Int32) {
    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    _ = unsafe poll(&entry, 1, 10_000)
  }
}
