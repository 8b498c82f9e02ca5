// SPDX-License-Identifier: Apache-2.0
//
// Addresses of IPv4 and IPv6: as somebody wrote them, and as they are read.

import Glibc

extension SocketAddress {
  /// Makes an address of what somebody wrote, without looking anything up.
  ///
  /// - Parameters:
  ///   - host: A literal address, `127.0.0.1`, `::1` or `fe80::1%eth0`; or `localhost`, which is `127.0.0.1`.
  ///   - port: 0 to 65535; 0 lets the kernel choose one.
  /// - Throws: ``InvalidArgumentError`` for all else.
  public init(host: String, port: Int) throws(InvalidArgumentError) {
    let number = try Self.checked(port: port)
    let literal = host == "localhost" ? "127.0.0.1" : host
    guard let address = Self.literal(literal, number) else {
      throw InvalidArgumentError(
        "host \(host.debugDescription) is no IP address; give one (127.0.0.1, ::1) or localhost, "
          + "since names are not looked up")
    }
    self = address
  }

  /// A port that came as a number of any size.
  package static func checked(port: Int) throws(InvalidArgumentError) -> UInt16 {
    guard let number = UInt16(exactly: port) else {
      throw InvalidArgumentError("port \(port) is out of range; give a number from 0 to 65535")
    }
    return number
  }

  /// The address that a text is, literally; `nil` when it may be a name.
  package static func literal(_ host: String, _ port: UInt16) -> SocketAddress? {
    // C would end the text at a zero byte, and so take for an address what is none.
    guard !host.utf8.contains(0) else { return nil }
    return ipv4(host, port) ?? ipv6(host, port)
  }

  private static func ipv4(_ host: String, _ port: UInt16) -> SocketAddress? {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    // SAFETY: the structure of the family.
    guard unsafe parse(host, AF_INET, into: &address.sin_addr) else { return nil }
    return .copy(of: address)
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
      // Digits alone: the standard library would take a sign, too.
      let isNumber = parts[1].utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      // SAFETY: the name is a C string for the length of the call.
      address.sin6_scope_id = unsafe isNumber ? UInt32(parts[1]) ?? 0 : if_nametoindex(parts[1])
      guard address.sin6_scope_id != 0 else { return nil }
    }
    return .copy(of: address)
  }

  /// `inet_pton(3)`; the address is an `in_addr` or an `in6_addr`, as the family says.
  private static func parse(_ host: String, _ family: Int32, into address: UnsafeMutableRawPointer) -> Bool {
    // SAFETY: the host is a C string, and the address the caller's, for the length of the call.
    unsafe inet_pton(family, host, address) == 1
  }

  // MARK: Reading

  /// The port, of IPv4 and IPv6; 0 before the kernel has chosen one, and for what has no ports.
  public var port: Int {
    switch family {
    case .ipv4: withStructure(sockaddr_in.self) { Int(UInt16(bigEndian: $0.sin_port)) }
    case .ipv6: withStructure(sockaddr_in6.self) { Int(UInt16(bigEndian: $0.sin6_port)) }
    default: 0
    }
  }

  /// The address without its port, of IPv4 and IPv6, in its short form: `127.0.0.1`, `::1`, `fe80::1%eth0`.
  public var host: String? {
    guard family == .ipv4 || family == .ipv6 else { return nil }
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    // SAFETY: the call writes no more than the count, with a zero at the end, and keeps nothing.
    let result = unsafe withSockaddr { address, length in
      unsafe getnameinfo(address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
    }
    guard result == 0 else { return nil }
    return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// The number of the interface that an address of IPv6 is meant for; 0 for any.
  public var scope: UInt32 { family == .ipv6 ? withStructure(sockaddr_in6.self) { $0.sin6_scope_id } : 0 }
}
