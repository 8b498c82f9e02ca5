// SPDX-License-Identifier: Apache-2.0
//
// The socket of an endpoint of datagrams, and those who wait for it.

import Glibc
import SystemPackage

/// A socket for datagrams.
///
/// Invariant, and the reason for `@unchecked Sendable`: all of it belongs to the thread that holds the loop, which holds
/// it until `close`. One task at a time sends, and one receives: those that hold the locks. The socket is there until
/// `close`, before which both interests end.
final class DatagramCore: LoopDependent, @unchecked Sendable {
  let loop: EventLoop
  let localAddress: SocketAddress
  let remoteAddress: SocketAddress?
  private let site: CreationSite
  private var socket: OwnedSocket?
  private var file: UnixSocketFile?
  private let readable: ReadinessWait
  private let writable: ReadinessWait
  private let sending = AsyncLock()
  private let receiving = AsyncLock()
  private var buffer: [UInt8]
  /// The calls since a task was suspended last.
  private var streak = 0
  private static let longestStreak = 64

  init(
    _ family: SocketAddress.Family, _ local: SocketAddress?, _ remote: SocketAddress?, _ options: DatagramOptions,
    _ site: CreationSite, on loop: isolated EventLoop
  ) throws {
    guard !loop.isClosing else { throw LoopClosedError() }
    let type = Int32(SOCK_DGRAM.rawValue)
    let socket = try OwnedSocket.open(family, type, calls: loop.systemCalls)
    if options.reuseAddress { try socket.setOption(SO_REUSEADDR, of: SOL_SOCKET) }
    if options.reusePort { try socket.setOption(SO_REUSEPORT, of: SOL_SOCKET) }
    if options.broadcast { try socket.setOption(SO_BROADCAST, of: SOL_SOCKET) }
    var file: UnixSocketFile?
    if let local {
      file = try naming(local) { () throws(SystemError) in try socket.bindReplacingStaleFile(to: local, type) }
    }
    do {
      if let remote { _ = try naming(remote) { () throws(SystemError) in try socket.connect(to: remote) } }
      localAddress = try socket.localAddress
    } catch {
      file?.remove()
      throw error
    }
    self.loop = loop
    self.site = site
    remoteAddress = remote
    readable = ReadinessWait(socket.descriptor, .readable, isOwned: true, on: loop)
    writable = ReadinessWait(socket.descriptor, .writable, isOwned: true, on: loop)
    buffer = [UInt8](repeating: 0, count: options.maximumSize)
    self.file = file
    self.socket = consume socket
    loop.hold(self)
  }

  // MARK: Sending

  func send(_ bytes: Span<UInt8>, to address: SocketAddress?, _ timeout: Duration?) async throws {
    try check(address)
    // The turn is given up after the call: one that asks later must not overtake.
    var hasAsked = false
    if !sending.isLocked {
      if try sendNow(bytes, to: address) { return await giveUpTurnIfLong() }
      hasAsked = true
    }
    let deadline = timeout.map { loop.timeSource.now.advanced(by: $0) }
    try await sending.acquire(timeout: timeout)
    defer { try? sending.release() }
    var pause = Duration.milliseconds(1)
    // What the kernel has just said is not asked again.
    while try hasAsked || !sendNow(bytes, to: address) {
      hasAsked = false
      if remoteAddress == nil && localAddress.family == .unix {
        // Such a socket is always writable; that the receiver has no room is told by the call alone.
        let now = loop.timeSource.now
        if let deadline, deadline <= now { throw TimeoutError() }
        try await loop.sleep(until: EventLoop.Instant(min(now.advanced(by: pause), deadline ?? .never)))
        pause = min(pause * 2, .milliseconds(64))
      } else {
        try await writable.untilReady(by: deadline)
      }
    }
  }

  private func check(_ address: SocketAddress?) throws(InvalidArgumentError) {
    if remoteAddress == nil && address == nil {
      throw InvalidArgumentError("DatagramEndpoint.send: there is no peer; give the address to send to")
    }
    if let remoteAddress, let address, address != remoteAddress {
      throw InvalidArgumentError(
        "DatagramEndpoint.send: the endpoint sends to \(remoteAddress) only, not to \(address)")
    }
  }

  /// - Returns: `false` when there is no room.
  private func sendNow(_ bytes: Span<UInt8>, to address: SocketAddress?) throws -> Bool {
    do throws(Errno) {
      let address = remoteAddress == nil ? address : nil
      // SAFETY: the bytes are the caller's for the length of the call.
      let isOpen = try unsafe bytes.withUnsafeBytes { (bytes) throws(Errno) in
        try unsafe sendNow(bytes, to: address)
      }
      if !isOpen { throw Errno.badFileDescriptor }
      return true
    } catch {
      guard !isClosed else { throw DescriptorClosedError() }
      if error.isWouldBlock { return false }
      throw SystemError(error, in: "sendto")
    }
  }

  private func sendNow(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress?) throws(Errno) -> Bool {
    guard let socket = socket?.rawValue else { return false }
    try unsafe loop.systemCalls.sendDatagram(socket, bytes, to: address)
    return true
  }

  // MARK: Receiving

  func receive(_ timeout: Duration?) async throws -> Datagram {
    var hasAsked = false
    if !receiving.isLocked {
      if let datagram = try receiveNow() {
        await giveUpTurnIfLong()
        return datagram
      }
      hasAsked = true
    }
    let deadline = timeout.map { loop.timeSource.now.advanced(by: $0) }
    try await receiving.acquire(timeout: timeout)
    defer { try? receiving.release() }
    while true {
      if !hasAsked, let datagram = try receiveNow() { return datagram }
      hasAsked = false
      try await readable.untilReady(by: deadline)
    }
  }

  /// - Returns: `nil` when there is none.
  private func receiveNow() throws -> Datagram? {
    guard let raw = socket?.rawValue else { throw DescriptorClosedError() }
    let calls = loop.systemCalls
    do {
      // SAFETY: the buffer is the array's for the length of the call.
      let received = try unsafe buffer.withUnsafeMutableBytes { try unsafe calls.receiveDatagram(raw, into: $0) }
      return Datagram(
        bytes: Array(buffer[..<received.count]), sender: received.sender, isTruncated: received.isTruncated)
    } catch let error as Errno {
      if error.isWouldBlock { return nil }
      throw SystemError(error, in: "recvmsg")
    }
  }

  /// Who always finds a datagram, or room for one, gives the turn to the others now and then.
  private func giveUpTurnIfLong() async {
    streak += 1
    guard streak >= Self.longestStreak else { return }
    streak = 0
    await Task.yield()
  }

  // MARK: The end

  var isClosed: Bool { socket == nil }

  func close() {
    guard !isClosed else { return }
    readable.end()
    writable.end()
    file?.remove()
    socket = nil
    buffer = []
    loop.assumeIsolated { $0.release(self) }
  }

  func loopIsClosing() { close() }

  var openThing: OpenThing? {
    OpenThing(
      .endpoint, "an endpoint of datagrams at \(localAddress)", site: "\(site)",
      descriptors: [socket?.rawValue].compactMap(\.self))
  }

  /// Its user has let go of it. Any thread.
  func endpointIsGone() {
    // On a closed loop there is nothing left to do.
    if loop.executor.isHeldByThisThread { return noteEndpointIsGone() }
    _ = loop.executor.onLoop { [self] in noteEndpointIsGone() }
  }

  private func noteEndpointIsGone() {
    guard !isClosed else { return }
    close()
    if loop.isClosing { return }
    loop.assumeIsolated {
      $0.reportException(
        ExceptionContext(
          .endpointNotClosed, "the endpoint at \(localAddress) was released without close(); it is closed now",
          creationSite: $0.debug ? "\(site)" : nil))
    }
  }
}

/// Makes a call whose error tells the address.
private func naming<Result>(
  _ address: SocketAddress, _ body: () throws(SystemError) -> Result
) throws(AddressError) -> Result {
  do throws(SystemError) { return try body() } catch { throw AddressError(address, error) }
}
