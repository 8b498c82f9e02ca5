// SPDX-License-Identifier: Apache-2.0
//
// What can be said about a connection before it is made, and how making it fails.

import SystemPackage

/// How a connection is to be made.
public struct ConnectionOptions: Sendable {
  /// Whether small pieces are sent at once (`TCP_NODELAY`), and do not wait for more to fill a packet. At first they are.
  public var noDelay = true

  /// When the kernel asks a silent peer whether it is there still; `nil`, as at first: never.
  public var keepAlive: KeepAlive?

  /// Where the connection is to come from; `nil`, as at first: what the kernel chooses.
  ///
  /// Addresses of another family than this one are not tried.
  public var localAddress: SocketAddress?

  /// How long an attempt has before the next address is tried beside it (RFC 8305). At first 250 ms.
  public var attemptDelay: Duration = .milliseconds(250)

  /// How much the connection keeps in memory.
  public var stream = StreamOptions()

  /// The defaults.
  public init() {}
}

/// What went wrong with one address.
public struct AddressError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The address.
  public let address: SocketAddress

  /// What went wrong.
  public let error: SystemError

  package init(_ address: SocketAddress, _ error: SystemError) {
    self.address = address
    self.error = error
  }

  /// The address and the error: `127.0.0.1:7000: connect: Connection refused`.
  public var description: String { "\(address): \(error)" }
}

/// No address could be connected to.
public struct ConnectError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What went wrong with each address that was tried, in the order of the failures. There is at least one.
  public let failures: [AddressError]

  package init(_ failures: [AddressError]) {
    self.failures = failures
  }

  /// All addresses with their errors.
  public var description: String { "cannot connect: \(failures.map(\.description).joined(separator: "; "))" }
}
