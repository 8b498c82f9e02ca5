// SPDX-License-Identifier: Apache-2.0
//
// Descriptors to watch: both ends of a pipe or of a connection, closed with the object.

import Glibc
import SystemPackage

/// Two descriptors, of which what is written to one can be read from the other. Non-blocking, close-on-exec.
final class DescriptorPair {
  private(set) var near: FileDescriptor
  private(set) var far: FileDescriptor
  private var isNearOpen = true
  private var isFarOpen = true

  init(near: FileDescriptor, far: FileDescriptor) {
    self.near = near
    self.far = far
    for descriptor in [near, far] {
      _ = fcntl(descriptor.rawValue, F_SETFL, fcntl(descriptor.rawValue, F_GETFL) | O_NONBLOCK)
      _ = fcntl(descriptor.rawValue, F_SETFD, FD_CLOEXEC)
    }
  }

  /// A pair of unix stream sockets.
  static func sockets() throws -> DescriptorPair {
    var ends: [Int32] = [-1, -1]
    guard unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else { throw lastErrno }
    return DescriptorPair(near: FileDescriptor(rawValue: ends[0]), far: FileDescriptor(rawValue: ends[1]))
  }

  /// A pipe: `near` is the end to read from.
  static func pipe() throws -> DescriptorPair {
    let (readEnd, writeEnd) = try FileDescriptor.pipe()
    return DescriptorPair(near: readEnd, far: writeEnd)
  }

  /// The two ends of a TCP connection on the loopback interface.
  static func tcp() throws -> DescriptorPair {
    let listener = try Self.listener()
    defer { try? listener.close() }
    let client = try client(of: listener)
    let server = accept(listener.rawValue, nil, nil)
    guard server >= 0 else { throw lastErrno }
    return DescriptorPair(near: FileDescriptor(rawValue: server), far: client)
  }

  /// A listening TCP socket on a port of the kernel's choice.
  static func listener() throws -> FileDescriptor {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard listener >= 0 else { throw lastErrno }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
    let result = unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(listener, $0, Self.length) }
    }
    guard result == 0, listen(listener, 16) == 0 else { throw lastErrno }
    return FileDescriptor(rawValue: listener)
  }

  /// A TCP socket that is connected to a listener.
  static func client(of listener: FileDescriptor) throws -> FileDescriptor {
    let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard client >= 0 else { throw lastErrno }
    var address = try localAddress(of: listener)
    let result = unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(client, $0, Self.length) }
    }
    guard result == 0 else { throw lastErrno }
    return FileDescriptor(rawValue: client)
  }

  private static let length = socklen_t(MemoryLayout<sockaddr_in>.size)

  private static func localAddress(of socket: FileDescriptor) throws -> sockaddr_in {
    var address = sockaddr_in()
    var length = Self.length
    let result = unsafe withUnsafeMutablePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getsockname(socket.rawValue, $0, &length)
      }
    }
    guard result == 0 else { throw lastErrno }
    return address
  }

  private static var lastErrno: Errno { Errno(rawValue: Glibc.errno) }

  /// Writes to the far end, what the near end can then read.
  func send(_ text: String = "x") throws { try far.writeAll(text.utf8) }

  /// Reads at most so many bytes from the near end; the empty string at the end of the stream.
  @discardableResult
  func receive(_ limit: Int = 4_096) throws -> String { try Self.read(near, limit) }

  static func read(_ descriptor: FileDescriptor, _ limit: Int = 4_096) throws -> String {
    let bytes = unsafe try [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      count = unsafe try descriptor.read(into: UnsafeMutableRawBufferPointer(buffer))
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Fills the near end's way out, until the kernel takes no more.
  func fillNear() throws {
    let block = [UInt8](repeating: 0, count: 65_536)
    do {
      while true { _ = unsafe try block.withUnsafeBytes { unsafe try near.write($0) } }
    } catch Errno.wouldBlock {}
  }

  /// Empties the far end.
  func drainFar() throws {
    do {
      while try !Self.read(far, 65_536).isEmpty {}
    } catch Errno.wouldBlock {}
  }

  /// Gives the near end away: somebody else closes it.
  func giveNear() -> Int32 {
    isNearOpen = false
    return near.rawValue
  }

  func closeNear() throws {
    guard isNearOpen else { return }
    isNearOpen = false
    try near.close()
  }

  func closeFar() throws {
    guard isFarOpen else { return }
    isFarOpen = false
    try far.close()
  }

  /// Ends the far end's direction, and leaves the other one open.
  func shutDownFar() { _ = shutdown(far.rawValue, Int32(SHUT_WR)) }

  /// Closes the far end so that TCP sends a reset.
  func resetFar() throws {
    var option = linger(l_onoff: 1, l_linger: 0)
    _ = unsafe setsockopt(far.rawValue, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    try closeFar()
  }

  deinit {
    try? closeNear()
    try? closeFar()
  }
}
