// SPDX-License-Identifier: Apache-2.0
//
// Where a socket is, in the form that the kernel takes.

package import Glibc
import SystemPackage

/// Where a socket is: an IPv4 or IPv6 address with a port, a path, or a name of Linux's abstract name space.
///
/// ```swift
/// let loopback = try SocketAddress(host: "127.0.0.1", port: 7000)
/// let file = try SocketAddress(unixPath: "/run/service.sock")
/// let hidden = try SocketAddress(abstractName: "service")
/// let same = try SocketAddress(parsing: "127.0.0.1:7000")   // == loopback
/// ```
///
/// Making one looks nothing up, and asks nobody. Two are equal when the kernel would take them for the same.
public struct SocketAddress: Sendable {
  // Invariant: the first `length` bytes of `storage` are what the kernel takes for an address of its family, of which
  // there is one form only; the others are zero.
  private var storage: sockaddr_storage
  private var length: socklen_t

  /// Of which kind an address is.
  public struct Family: RawRepresentable, Hashable, Sendable {
    /// The kernel's number: `AF_INET`, …
    public let rawValue: Int32

    /// The family of a number of the kernel's.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// IPv4.
    public static let ipv4 = Family(rawValue: AF_INET)
    /// IPv6.
    public static let ipv6 = Family(rawValue: AF_INET6)
    /// Sockets within a machine: a path, an abstract name, or no name.
    public static let unix = Family(rawValue: AF_UNIX)
  }

  /// Of which kind it is.
  public var family: Family { Family(rawValue: Int32(storage.ss_family)) }

  // MARK: The kernel's side

  /// Takes over a structure of a family: a `sockaddr_in`, a `sockaddr_in6`.
  static func copy<Concrete>(of address: Concrete) -> SocketAddress {
    unsafe SocketAddress(length: MemoryLayout<Concrete>.size) { storage in
      // SAFETY: plain structures, of which the storage holds any.
      unsafe withUnsafeBytes(of: address) { unsafe storage.copyMemory(from: $0) }
    }
  }

  /// Makes an address of so many bytes, which a function writes.
  init(length: Int, _ write: (UnsafeMutableRawBufferPointer) -> Void) {
    var storage = sockaddr_storage()
    // SAFETY: a sockaddr_storage has the size and the alignment for an address of any family.
    unsafe withUnsafeMutableBytes(of: &storage) { unsafe write($0) }
    self.storage = storage
    self.length = socklen_t(length)
  }

  /// Makes an address of what a call like `getsockname(2)` writes, or throws the `errno` that it leaves. An interrupted
  /// call is repeated.
  init(
    filledBy call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) throws(Errno) {
    var storage = sockaddr_storage()
    var length = socklen_t(0)
    _ = try retrying {
      length = socklen_t(MemoryLayout<sockaddr_storage>.size)
      // SAFETY: a sockaddr_storage may be written through a sockaddr, up to the length that goes with it.
      return unsafe withUnsafeMutablePointer(to: &storage) {
        unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe call($0, &length) }
      }
    }
    self.storage = storage
    self.length = length
    if family == .unix { self.length = socklen_t(unixLength) }
  }

  /// Makes an address of what a library has, of a family that is known here; `nil` for others.
  init?(copying address: UnsafePointer<sockaddr>, length: socklen_t) {
    // SAFETY: the caller's pointer is to so many bytes, and the copy is bounded by the storage.
    let family = unsafe Int32(address.pointee.sa_family)
    guard family == AF_INET || family == AF_INET6, Int(length) <= MemoryLayout<sockaddr_storage>.size else {
      return nil
    }
    unsafe self.init(length: Int(length)) { storage in
      unsafe storage.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(length)))
    }
  }

  /// Whether the kernel named nobody: a Unix socket that was not bound.
  package var isUnnamed: Bool { length <= socklen_t(MemoryLayout<sa_family_t>.size) }

  /// Lends the address to a call like `bind(2)`.
  package func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    // SAFETY: a sockaddr_storage may be read through a sockaddr, up to the length that goes with it.
    unsafe withUnsafePointer(to: storage) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, length) }
    }
  }

  /// The bytes of the address, the family's number first.
  var bytes: [UInt8] {
    // SAFETY: the invariant; the bytes are copied.
    unsafe withUnsafeBytes(of: storage) { unsafe Array($0.prefix(Int(length))) }
  }

  /// Lends the address as a structure of its family.
  func withStructure<Concrete, Result>(_ type: Concrete.Type, _ body: (Concrete) -> Result) -> Result {
    // SAFETY: a sockaddr_in and a sockaddr_in6 are plain, and within the storage.
    unsafe withUnsafeBytes(of: storage) { unsafe body($0.load(as: Concrete.self)) }
  }

  /// The same address with another port; an address without ports as it is.
  package func with(port: Int) -> SocketAddress {
    guard family == .ipv4 || family == .ipv6 else { return self }
    var copy = self
    // The port stands in the same place in both forms.
    let number = UInt16(truncatingIfNeeded: port).bigEndian
    // SAFETY: within the storage.
    unsafe withUnsafeMutableBytes(of: &copy.storage) {
      unsafe $0.storeBytes(of: number, toByteOffset: 2, as: UInt16.self)
    }
    return copy
  }
}

extension SocketAddress: Hashable {
  /// Whether they are the same address, port and scope, or the same path or name.
  public static func == (a: SocketAddress, b: SocketAddress) -> Bool { a.length == b.length && a.bytes == b.bytes }

  /// Feeds what tells addresses apart to a hasher.
  public func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
}
