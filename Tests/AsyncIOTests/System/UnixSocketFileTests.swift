// SPDX-License-Identifier: Apache-2.0

import AsyncIO
import Glibc
import SystemPackage
import Testing

@Suite(.oneAtATime) struct UnixSocketFileTests {
  private let folder = TemporaryFolder()

  @Test func `UX-01, UX-04: a listener makes a file, which goes with it`() throws {
    let path = folder.path("a.sock")
    do {
      let listener = try ListeningSocket(bindingTo: SocketAddress(unixPath: path))
      #expect(folder.names == ["a.sock"])
      #expect(try listener.localAddress.unixPath == path)
    }
    #expect(folder.names == [])
  }

  @Test func `UX-03: a file that nobody listens on is replaced`() throws {
    let address = try SocketAddress(unixPath: folder.path("a.sock"))
    try leave(SOCK_STREAM, at: address)
    #expect(folder.names == ["a.sock"])
    _ = try ListeningSocket(bindingTo: address)
    #expect(folder.names == [])
    try leave(SOCK_DGRAM, at: address)
    let datagram = try OwnedSocket.open(.unix, Int32(SOCK_DGRAM.rawValue), calls: LinuxSystemCalls())
    _ = try datagram.bindReplacingStaleFile(to: address, Int32(SOCK_DGRAM.rawValue))
  }

  @Test func `UX-03: a file that somebody listens on is kept, also one of another kind of socket`() throws {
    let path = folder.path("a.sock")
    let address = try SocketAddress(unixPath: path)
    let listener = try ListeningSocket(bindingTo: address)
    #expect(throws: SystemError(.addressInUse, in: "bind")) { _ = try ListeningSocket(bindingTo: address) }
    let datagram = try OwnedSocket.open(.unix, Int32(SOCK_DGRAM.rawValue), calls: LinuxSystemCalls())
    #expect(throws: SystemError(.addressInUse, in: "bind")) {
      _ = try datagram.bindReplacingStaleFile(to: address, Int32(SOCK_DGRAM.rawValue))
    }
    #expect(folder.names == ["a.sock"])
    _ = consume listener
  }

  @Test func `UX-03: a file that is no socket is refused, and kept`() throws {
    let path = folder.path("a.sock")
    try folder.write("precious", to: "a.sock")
    let address = try SocketAddress(unixPath: path)
    #expect(throws: SystemError(.addressInUse, in: "bind")) { _ = try ListeningSocket(bindingTo: address) }
    #expect(try folder.read("a.sock") == "precious")
    // A link to a socket is no socket, either.
    try leave(SOCK_STREAM, at: SocketAddress(unixPath: folder.path("b.sock")))
    #expect(unsafe symlink(folder.path("b.sock"), folder.path("c.sock")) == 0)
    let link = try SocketAddress(unixPath: folder.path("c.sock"))
    #expect(throws: SystemError(.addressInUse, in: "bind")) { _ = try ListeningSocket(bindingTo: link) }
    #expect(folder.names == ["a.sock", "b.sock", "c.sock"])
  }

  @Test func `UX-04: a file that is another one by now stays; one that is gone is no error`() throws {
    let path = folder.path("a.sock")
    do {
      let listener = try ListeningSocket(bindingTo: SocketAddress(unixPath: path))
      #expect(unsafe unlink(path) == 0)
      try folder.write("new", to: "a.sock")
      _ = consume listener
    }
    #expect(try folder.read("a.sock") == "new")
    #expect(unsafe unlink(path) == 0)
    do {
      let listener = try ListeningSocket(bindingTo: SocketAddress(unixPath: path))
      #expect(unsafe unlink(path) == 0)
      _ = consume listener
    }
    #expect(folder.names == [])
  }

  @Test func `a listener that fails after its bind leaves no file`() throws {
    let address = try SocketAddress(unixPath: folder.path("a.sock"))
    #expect(throws: SystemError(.addressInUse, in: "listen")) {
      _ = try ListeningSocket(bindingTo: address, calls: NoListening())
    }
    #expect(folder.names == [])
  }

  private struct NoListening: PartialCalls {
    func listen(_ descriptor: Int32, backlog: Int32) throws(Errno) { throw .addressInUse }
  }

  /// A socket that is bound, and gone.
  private func leave(_ type: __socket_type, at address: SocketAddress) throws {
    let socket = try OwnedSocket.open(.unix, Int32(type.rawValue), calls: LinuxSystemCalls())
    try socket.bind(to: address)
  }
}
