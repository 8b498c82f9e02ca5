// SPDX-License-Identifier: Apache-2.0
//
// Stream sockets that listen: non-blocking, close-on-exec, and owned, as those are that they accept.

import Glibc
package import SystemPackage

/// A socket that clients connect to. It ends with its owner, and so does the file of a Unix socket that was bound here.
package struct ListeningSocket: ~Copyable, Sendable {
  private let owned: OwnedSocket
  private let file: UnixSocketFile?

  /// Opens a socket, binds it to an address, and listens.
  ///
  /// - Parameters:
  ///   - address: Of any family. One of IPv6 takes IPv6 clients only, also `::`, as in asyncio, so the same port is free
  ///     for a listener of IPv4; unless the options say that it takes both.
  ///   - calls: What the socket, and those that it accepts, call the kernel by.
  /// - Throws: `EADDRINUSE` for a port or path that is taken, `EADDRNOTAVAIL` for an address of another machine, `EACCES`
  ///   for a port that needs a privilege.
  package init(
    bindingTo address: SocketAddress, options: ListeningOptions = .init(), calls: any SystemCalls = LinuxSystemCalls()
  ) throws(SystemError) {
    let owned = try OwnedSocket.open(address.family, Int32(SOCK_STREAM.rawValue), calls: calls)
    if address.family != .unix {
      // So that the address of a process that has just gone is free.
      if options.reusesAddress { try owned.setOption(SO_REUSEADDR, of: SOL_SOCKET) }
      if options.reusesPort { try owned.setOption(SO_REUSEPORT, of: SOL_SOCKET) }
      if address.family == .ipv6 {
        try owned.setOption(IPV6_V6ONLY, of: Int32(IPPROTO_IPV6), to: options.takesIPv4 ? 0 : 1)
      }
      try owned.setUpTCP(noDelay: options.noDelay, keepAlive: options.keepAlive)
    }
    let file = try owned.bindReplacingStaleFile(to: address, Int32(SOCK_STREAM.rawValue))
    do throws(Errno) {
      // The kernel takes its own limit, net.core.somaxconn, for any number beyond it.
      try calls.listen(owned.rawValue, backlog: options.backlog)
    } catch {
      file?.remove()
      throw SystemError(error, in: "listen")
    }
    self.owned = owned
    self.file = file
  }

  /// Takes over a socket that listens already.
  package init(owning owned: consuming OwnedSocket) {
    self.owned = owned
    file = nil
  }

  /// Takes over a socket of somebody else's that listens already, and makes it non-blocking and close-on-exec.
  ///
  /// - Throws: ``InvalidArgumentError`` for what is no such socket, which stays its owner's then. ``SystemError`` when an
  ///   option cannot be set, and it is closed.
  package init(
    takingOver descriptor: FileDescriptor, options: ListeningOptions, calls: any SystemCalls
  ) throws {
    let raw = descriptor.rawValue
    guard (try? calls.option(raw, SOL_SOCKET, SO_TYPE)) == Int32(SOCK_STREAM.rawValue),
      (try? calls.option(raw, SOL_SOCKET, SO_ACCEPTCONN)) == 1
    else {
      throw InvalidArgumentError("descriptor \(raw) is no stream socket that listens; bind it, and call listen, first")
    }
    let owned = OwnedSocket(owning: raw, calls: calls)
    _ = fcntl(raw, F_SETFL, fcntl(raw, F_GETFL) | O_NONBLOCK)
    _ = fcntl(raw, F_SETFD, FD_CLOEXEC)
    if try owned.localAddress.family != .unix {
      try owned.setUpTCP(noDelay: options.noDelay, keepAlive: options.keepAlive)
    }
    self.init(owning: owned)
  }

  deinit { file?.remove() }

  /// For waiting until somebody connects.
  package var descriptor: FileDescriptor { owned.descriptor }

  /// Where it listens, with the port that the kernel chose if it was asked for any.
  package var localAddress: SocketAddress {
    get throws(SystemError) { try owned.localAddress }
  }

  /// Takes a client that has connected.
  ///
  /// - Returns: `nil` when there is none.
  /// - Throws: See ``SystemError/isOfOneClient``. After that, and after a shortage, the socket can go on.
  package func accept() throws(SystemError) -> OwnedSocket? {
    do throws(Errno) {
      return OwnedSocket(owning: try owned.calls.accept(owned.rawValue), calls: owned.calls)
    } catch {
      if error.isWouldBlock { return nil }
      throw SystemError(error, in: "accept4")
    }
  }
}

/// How a socket listens.
package struct ListeningOptions: Sendable {
  package var backlog = SOMAXCONN
  package var reusesAddress = true
  package var reusesPort = false
  /// Whether one of IPv6 takes clients of IPv4, too.
  package var takesIPv4 = false
  package var noDelay = false
  package var keepAlive: KeepAlive?

  package init() {}
}

/// Makes a call whose error tells its name.
package func naming<Result: ~Copyable>(
  _ call: String, _ body: () throws(Errno) -> Result
) throws(SystemError) -> Result {
  do throws(Errno) { return try body() } catch { throw SystemError(error, in: call) }
}

extension SystemError {
  /// Of `accept`: whether it tells of one client that is gone before it was accepted, or cannot be. The next one may be
  /// there already. (Linux hands on what the network said of the new connection: accept(2), "Error handling".)
  package var isOfOneClient: Bool {
    switch errno {
    case .connectionAbort, .notPermitted, .protocolError, .networkDown, .networkUnreachable, .hostIsDown,
      .noRouteToHost, .protocolNotAvailable, .timedOut, .notSupportedOnSocket:
      true
    default: Errno(rawValue: ENONET) == errno
    }
  }
}
