// SPDX-License-Identifier: Apache-2.0
//
// Names of hosts become addresses: the C library's way, which blocks its thread.

import Glibc
public import SystemPackage

/// Who knows the addresses of names. Called on threads of a pool, several at a time.
package protocol NameLookup: Sendable {
  /// The addresses of a name, the best first. It blocks.
  ///
  /// - Parameters:
  ///   - host: A name that has been checked: ``HostName``.
  ///   - family: `nil` for any.
  func addresses(of host: HostName, _ family: SocketAddress.Family?) throws(NameLookupError) -> [SocketAddress]
}

/// A text that can be asked for: no address, and nothing that the C library would cut short or misread.
///
/// Invariant: 1 to 253 bytes, and one dot more at most; each of printable ASCII, no space among them.
package struct HostName: Hashable, Sendable {
  package let text: String

  /// - Throws: ``InvalidArgumentError`` for a name that is empty, too long, or has bytes that no host's name has. Names
  ///   beyond ASCII are to be given in their own encoding (`xn--…`).
  package init(_ text: String) throws(InvalidArgumentError) {
    guard !text.isEmpty else { throw InvalidArgumentError("the name of the host is empty") }
    let length = text.utf8.count
    guard length <= (text.utf8.last == UInt8(ascii: ".") ? 254 : 253) else {
      throw InvalidArgumentError("the name of the host has \(length) bytes; names have at most 253")
    }
    guard text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
      throw InvalidArgumentError(
        "\(text.debugDescription) is no name of a host: names have letters, digits, dots and hyphens of ASCII; "
          + "give others as xn--…")
    }
    self.text = text
  }
}

/// The look-up of a name failed.
public struct NameLookupError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Why.
  public enum Reason: Hashable, Sendable {
    /// There is no such name (`EAI_NONAME`).
    case notFound
    /// The name has no addresses, or none of the family that was asked for (`EAI_NODATA`, `EAI_ADDRFAMILY`).
    case noAddress
    /// No answer now; a later look-up may have one (`EAI_AGAIN`).
    case temporary
    /// The server refused, or answered what nobody understands (`EAI_FAIL`).
    case refused
    /// The process has run out of memory or descriptors (`EAI_MEMORY`).
    case shortage
    /// A system call failed (`EAI_SYSTEM`).
    case system(Errno)
    /// Another number of `getaddrinfo(3)`.
    case other(Int32)
  }

  /// The name.
  public let host: String

  /// Why.
  public let reason: Reason

  package init(_ host: String, _ reason: Reason) {
    self.host = host
    self.reason = reason
  }

  /// The reason of a number that `getaddrinfo(3)` returns.
  package init(_ host: String, code: Int32, errno: Errno) {
    let reason: Reason =
      switch code {
      case EAI_NONAME: .notFound
      case Self.noData, Self.addressFamily, EAI_FAMILY: .noAddress
      case EAI_AGAIN: .temporary
      case EAI_FAIL: .refused
      case EAI_MEMORY: .shortage
      case EAI_SYSTEM: .system(errno)
      default: .other(code)
      }
    self.init(host, reason)
  }

  // Those of glibc that its header shows for _GNU_SOURCE only.
  private static let noData: Int32 = -5
  private static let addressFamily: Int32 = -9

  /// The name and the reason.
  public var description: String {
    let words =
      switch reason {
      case .notFound: "there is no such name"
      case .noAddress: "it has no address of the family"
      case .temporary: "no answer now; it may be there later"
      case .refused: "the name server refused to answer"
      case .shortage: "out of memory or descriptors"
      case .system(let errno): "\(errno)"
      case .other(let code): "getaddrinfo: \(code)"
      }
    return "cannot look up \(host.debugDescription): \(words)"
  }
}

/// `getaddrinfo(3)`.
package struct SystemNameLookup: NameLookup {
  package init() {}

  package func addresses(
    of host: HostName, _ family: SocketAddress.Family?
  ) throws(NameLookupError) -> [SocketAddress] {
    var hints = unsafe addrinfo()
    unsafe hints.ai_family = family?.rawValue ?? AF_UNSPEC
    // One entry an address, and not one for each kind of socket, too.
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var first: UnsafeMutablePointer<addrinfo>?
    // SAFETY: the name is a C string without a zero inside; the list is freed below, after it was copied.
    let code = unsafe getaddrinfo(host.text, nil, &hints, &first)
    guard code == 0 else { throw NameLookupError(host.text, code: code, errno: .last) }
    defer { unsafe freeaddrinfo(first) }
    var found: [SocketAddress] = []
    var next = unsafe first
    while let entry = unsafe next {
      if let address = unsafe entry.pointee.ai_addr,
        let copy = unsafe SocketAddress(copying: address, length: entry.pointee.ai_addrlen), !found.contains(copy)
      {
        found.append(copy)
      }
      unsafe next = entry.pointee.ai_next
    }
    if found.isEmpty { throw NameLookupError(host.text, .noAddress) }
    return found
  }
}
