// SPDX-License-Identifier: Apache-2.0
//
// Where a socket is: an IP address and a port, in the form that the kernel takes.

package import Glibc

/// An IPv4 or IPv6 address with a port.
///
/// Invariant: the first `length` bytes of `storage` are a `sockaddr_in` or a `sockaddr_in6`, as its family says.
package struct SocketAddress: Sendable {
  private var storage: sockaddr_storage
  private var length: socklen_t

  /// Makes an address of what somebody wrote, without looking anything up.
  ///
  /// - Parameters:
  ///   - host: A literal address, `127.0.0.1`, `::1` or `fe80::1%eth0`; or `localhost`, which is `127.0.0.1`.
  ///   - port: 0 to 65535; 0 lets the kernel choose one.
  package init(host: String, port: Int) throws(InvalidArgumentError) {
    guard let portNumber = UInt16(exactly: port) else {
      throw InvalidArgumentError("port \(port) is out of range; give a number from 0 to 65535")
    }
    let literal = host == "localhost" ? "127.0.0.1" : host
    // C would end the text at a zero byte, and so take for an address what is none.
    let isText = !literal.utf8.contains(0)
    if isText, let address = Self.ipv4(literal, portNumber) ?? Self.ipv6(literal, portNumber) {
      self = address
    } else {
      throw InvalidArgumentError(
        "host \(host.debugDescription) is no IP address; give one (127.0.0.1, ::1) or localhost, "
          + "since names are not looked up")
    }
  }

  private static func ipv4(_ host: String, _ port: UInt16) -> SocketAddress? {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    // SAFETY: the structure of the family.
    guard unsafe parse(host, AF_INET, into: &address.sin_addr) else { return nil }
    return SocketAddress(copying: address)
  }

  private static func ipv6(_ host: String, _ port: UInt16) -> SocketAddress? {
    // A link-local address needs the interface that it is meant for: its name or number, behind a percent sign.
    let parts = host.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = port.bigEndian
    // SAFETY: the structure of the family.
    guard unsafe parse(parts[0], AF_INET6, into: &address.sin6_addr) else { return nil }
    if parts.count == 2 {
      // SAFETY: the name is a C string for the length of the call.
      address.sin6_scope_id = unsafe UInt32(parts[1]) ?? if_nametoindex(parts[1])
      guard address.sin6_scope_id != 0 else { return nil }
    }
    return SocketAddress(copying: address)
  }

  /// `inet_pton(3)`; the address is an `in_addr` or an `in6_addr`, as the family says.
  private static func parse(_ host: String, _ family: Int32, into address: UnsafeMutableRawPointer) -> Bool {
    // SAFETY: the host is a C string, and the address the caller's, for the length of the call.
    unsafe inet_pton(family, host, address) == 1
  }

  private init<Concrete>(copying address: Concrete) {
    var storage = sockaddr_storage()
    // SAFETY: sockaddr_storage has the size and alignment for the address of any family; these are plain structures.
    unsafe withUnsafeMutableBytes(of: &storage) { storage in
      unsafe withUnsafeBytes(of: address) { unsafe storage.copyMemory(from: $0) }
    }
    self.storage = storage
    length = socklen_t(MemoryLayout<Concrete>.size)
  }

  // MARK: The kernel's side

  /// Makes an address of what a call like `getsockname(2)` writes, or throws the `errno` that it leaves.
  init(
    filledBy call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32,
    named name: String
  ) throws(SystemError) {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    // SAFETY: a sockaddr_storage may be written through a sockaddr, up to the length that goes with it.
    let result = unsafe withUnsafeMutablePointer(to: &storage) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe call($0, &length) }
    }
    guard result == 0 else { throw SystemError(.last, in: name) }
    self.storage = storage
    self.length = length
  }

  /// Lends the address to a call like `bind(2)`.
  package func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    // SAFETY: a sockaddr_storage may be read through a sockaddr, up to the length that goes with it.
    unsafe withUnsafePointer(to: storage) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, length) }
    }
  }

  /// `AF_INET` or `AF_INET6`.
  var family: Int32 { Int32(storage.ss_family) }

  /// The port; 0 before the kernel has chosen one.
  package var port: Int {
    // The port stands in the same place in both forms.
    // SAFETY: the invariant; a sockaddr_in is within the storage.
    let port = unsafe withUnsafeBytes(of: storage) { unsafe $0.load(as: sockaddr_in.self).sin_port }
    return Int(UInt16(bigEndian: port))
  }
}

extension SocketAddress: CustomStringConvertible {
  /// `127.0.0.1:7000`, or `[::1]:7000`.
  package var description: String {
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    // SAFETY: the call writes no more than the count, with a zero at the end, and keeps nothing.
    let result = unsafe withSockaddr { address, length in
      unsafe getnameinfo(address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
    }
    guard result == 0 else { return "an address of family \(family)" }
    let host = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return family == AF_INET6 ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}
