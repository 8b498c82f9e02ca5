// SPDX-License-Identifier: Apache-2.0
//
// TCP sockets: one that listens, and those that it accepts. Non-blocking, close-on-exec, and owned.

import CLinux
import Glibc
package import SystemPackage

/// A TCP socket that clients connect to. It ends with its owner.
package struct ListeningSocket: ~Copyable, Sendable {
  private let owned: OwnedDescriptor
  private let calls: any SystemCalls

  /// Opens a socket, binds it to an address, and listens.
  ///
  /// The address may be one that a process has just left (`SO_REUSEADDR`). One of IPv6 takes IPv6 clients only, also
  /// `::`, as in asyncio, so the same port is free for a listener of IPv4.
  ///
  /// - Parameter calls: What the socket, and those that it accepts, call the kernel by.
  /// - Throws: `EADDRINUSE` for a port that is taken, `EADDRNOTAVAIL` for an address of another machine, `EACCES` for a
  ///   port that needs a privilege.
  package init(
    bindingTo address: SocketAddress, calls: any SystemCalls = LinuxSystemCalls()
  ) throws(SystemError) {
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(CLINUX_SOCK_NONBLOCK | CLINUX_SOCK_CLOEXEC)
    let raw = socket(address.family, kind, 0)
    guard raw >= 0 else { throw SystemError(.last, in: "socket") }
    let owned = OwnedDescriptor(owning: raw)
    try owned.setOption(SO_REUSEADDR, of: SOL_SOCKET)
    if address.family == AF_INET6 { try owned.setOption(IPV6_V6ONLY, of: Int32(IPPROTO_IPV6)) }
    // SAFETY: the address is lent for the length of the call.
    guard unsafe address.withSockaddr({ unsafe bind(raw, $0, $1) }) == 0 else {
      throw SystemError(.last, in: "bind")
    }
    // The kernel takes its own limit, net.core.somaxconn, for any number beyond it.
    guard listen(raw, SOMAXCONN) == 0 else { throw SystemError(.last, in: "listen") }
    self.owned = owned
    self.calls = calls
  }

  /// For waiting until somebody connects.
  package var descriptor: FileDescriptor { owned.descriptor }

  /// Where it listens, with the port that the kernel chose if it was asked for any.
  package var localAddress: SocketAddress {
    get throws(SystemError) { try owned.localAddress }
  }

  /// Takes a client that has connected.
  ///
  /// - Returns: `nil` when there is none.
  /// - Throws: See ``SystemError/isOfOneClient`` and ``SystemError/isShortage``: after both, the socket can go on.
  package func accept() throws(SystemError) -> StreamSocket? {
    do throws(Errno) {
      return StreamSocket(owning: OwnedDescriptor(owning: try calls.accept(owned.rawValue)), calls: calls)
    } catch {
      if error == .resourceTemporarilyUnavailable { return nil }
      throw SystemError(error, in: "accept4")
    }
  }
}

/// A TCP socket that is connected to a peer. It ends with its owner.
package struct StreamSocket: ~Copyable, Sendable {
  private let owned: OwnedDescriptor
  private let calls: any SystemCalls

  fileprivate init(owning owned: consuming OwnedDescriptor, calls: any SystemCalls) {
    self.owned = owned
    self.calls = calls
  }

  /// For waiting until there is something to receive, or room to send.
  package var descriptor: FileDescriptor { owned.descriptor }

  /// Receives what has come.
  ///
  /// - Parameter bytes: Where to; at least one byte, since 0 says the end.
  /// - Returns: The number of bytes, from the front; 0 when the peer has ended its side; `nil` when nothing has come.
  /// - Throws: See ``SystemError/isConnectionLoss``.
  package func receive(into bytes: inout MutableSpan<UInt8>) throws(SystemError) -> Int? {
    // SAFETY: the bytes are the caller's for the length of the call.
    try Self.unlessItBlocks("recv") { () throws(Errno) in
      try unsafe bytes.withUnsafeMutableBytes { (buffer) throws(Errno) in
        try unsafe calls.receive(owned.rawValue, into: buffer)
      }
    }
  }

  /// Sends as much as there is room for.
  ///
  /// - Returns: The number of bytes that were taken, from the front; `nil` when there is no room.
  /// - Throws: See ``SystemError/isConnectionLoss``. No signal is raised.
  package func send(_ bytes: Span<UInt8>) throws(SystemError) -> Int? {
    // SAFETY: the bytes are the caller's for the length of the call.
    try Self.unlessItBlocks("send") { () throws(Errno) in
      try unsafe bytes.withUnsafeBytes { (buffer) throws(Errno) in
        try unsafe calls.send(owned.rawValue, buffer)
      }
    }
  }

  /// Tells the peer that no more bytes will come; what it sends can still be received.
  package func shutdownSending() throws(SystemError) {
    guard shutdown(owned.rawValue, Int32(SHUT_WR)) == 0 else { throw SystemError(.last, in: "shutdown") }
  }

  /// Sends small pieces at once, and does not wait for more to fill a packet (`TCP_NODELAY`).
  package func sendWithoutDelay() throws(SystemError) {
    try owned.setOption(TCP_NODELAY, of: Int32(IPPROTO_TCP))
  }

  private static func unlessItBlocks(
    _ call: String, _ body: () throws(Errno) -> Int
  ) throws(SystemError) -> Int? {
    do throws(Errno) {
      return try body()
    } catch {
      if error == .resourceTemporarilyUnavailable { return nil }
      throw SystemError(error, in: call)
    }
  }
}

extension OwnedDescriptor {
  /// Switches an option of a socket on.
  fileprivate func setOption(_ option: Int32, of level: Int32) throws(SystemError) {
    var on: Int32 = 1
    // SAFETY: the kernel reads the four bytes of a local that outlives the call.
    guard unsafe setsockopt(rawValue, level, option, &on, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
      throw SystemError(.last, in: "setsockopt")
    }
  }

  fileprivate var localAddress: SocketAddress {
    get throws(SystemError) {
      // SAFETY: the address hands in pointers that are good for the length of the call.
      try unsafe SocketAddress(filledBy: { unsafe getsockname(rawValue, $0, $1) }, named: "getsockname")
    }
  }
}

extension SystemError {
  /// Of `accept`: whether it tells of one client that is gone before it was accepted, or cannot be. The next one may be
  /// there already. (Linux hands on what the network said of the new connection: accept(2), "Error handling".)
  package var isOfOneClient: Bool {
    switch errno {
    case .connectionAbort, .notPermitted, .protocolError, .networkDown, .networkUnreachable, .hostIsDown,
      .noRouteToHost, .protocolNotAvailable, .timedOut:
      true
    default: Errno(rawValue: ENONET) == errno
    }
  }

  /// Whether the process or the machine has run out of something, so that the same call may succeed later.
  package var isShortage: Bool {
    switch errno {
    case .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noBufferSpace, .noMemory: true
    default: false
    }
  }

  /// Of a connected socket: whether the peer is gone, or cannot be reached any more.
  package var isConnectionLoss: Bool {
    switch errno {
    case .connectionReset, .connectionAbort, .brokenPipe, .socketNotConnected, .timedOut, .noRouteToHost,
      .hostIsDown, .networkDown, .networkUnreachable, .networkReset:
      true
    default: false
    }
  }
}
