// SPDX-License-Identifier: Apache-2.0

import AsyncIO
import Glibc
import SystemPackage
import Testing

@Suite(.oneAtATime) struct SocketTests {
  static let anyPort = Result { try SocketAddress(host: "127.0.0.1", port: 0) }

  @Test func `a listener tells the port that the kernel chose`() throws {
    let listener = try ListeningSocket(bindingTo: Self.anyPort.get())
    #expect(try listener.localAddress.port > 0)
  }

  @Test func `a listener with nobody at the door accepts nothing, and does not wait`() throws {
    let listener = try ListeningSocket(bindingTo: Self.anyPort.get())
    if try listener.accept() != nil { Issue.record("there is a client") }
  }

  @Test func `a port is free for IPv4 though a listener has it on IPv6's any address`() throws {
    let six = try ListeningSocket(bindingTo: SocketAddress(host: "::", port: 0))
    let port = try six.localAddress.port
    _ = try ListeningSocket(bindingTo: SocketAddress(host: "0.0.0.0", port: port))
  }

  @Test func `a port in use is an error of bind`() throws {
    let listener = try ListeningSocket(bindingTo: Self.anyPort.get())
    let address = try listener.localAddress
    #expect(throws: SystemError(.addressInUse, in: "bind")) { _ = try ListeningSocket(bindingTo: address) }
  }

  @Test func `all sockets are non-blocking and closed on exec`() throws {
    let listener = try ListeningSocket(bindingTo: Self.anyPort.get())
    let peer = try Peer(of: listener)
    guard let socket = try listener.accept() else { throw Missing() }
    for descriptor in [listener.descriptor.rawValue, socket.descriptor.rawValue] {
      #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0)
      #expect(fcntl(descriptor, F_GETFL) & O_NONBLOCK != 0)
    }
    _ = consume peer
  }

  @Test(arguments: [Errno.connectionAbort, .protocolError, .notPermitted])
  func `an error of one client is told from that of the listener`(errno: Errno) throws {
    let listener = try ListeningSocket(bindingTo: Self.anyPort.get(), calls: FailingCalls(errno: errno))
    let error = #expect(throws: SystemError(errno, in: "accept4")) { _ = try listener.accept() }
    #expect(error?.isOfOneClient == true)
  }

  @Test(arguments: [Errno.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noBufferSpace, .noMemory])
  func `a shortage is told from other errors`(errno: Errno) throws {
    let listener = try ListeningSocket(bindingTo: Self.anyPort.get(), calls: FailingCalls(errno: errno))
    let error = #expect(throws: SystemError(errno, in: "accept4")) { _ = try listener.accept() }
    #expect(error?.isOfOneClient == false)
  }
}

private struct Missing: Error {}

/// Calls of which `accept` fails.
private struct FailingCalls: PartialCalls {
  let errno: Errno

  func accept(_ descriptor: Int32) throws(Errno) -> Int32 { throw errno }
}

/// A client on the other side, with plain blocking calls.
private struct Peer: ~Copyable {
  private let owned: OwnedDescriptor

  init(of listener: borrowing ListeningSocket) throws {
    let owned = OwnedDescriptor(owning: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    // SAFETY: the address is lent for the length of the call.
    let result = unsafe try listener.localAddress.withSockaddr { unsafe connect(owned.rawValue, $0, $1) }
    guard result == 0 else { throw SystemError(.last, in: "connect") }
    self.owned = owned
  }
}
