// SPDX-License-Identifier: Apache-2.0
//
// Datagrams, and how their endpoints are made.

import Glibc

/// A datagram that came: whole, or flagged.
public struct Datagram: Hashable, Sendable {
  /// What it carries; it may be nothing.
  public var bytes: [UInt8]

  /// Who sent it; `nil` for a Unix socket without a name.
  public var sender: SocketAddress?

  /// Whether it was longer than the endpoint's ``DatagramOptions/maximumSize``; its rest is lost.
  public var isTruncated: Bool

  /// A datagram of your own, for tests.
  public init(bytes: [UInt8], sender: SocketAddress?, isTruncated: Bool = false) {
    self.bytes = bytes
    self.sender = sender
    self.isTruncated = isTruncated
  }
}

/// How an endpoint of datagrams is made.
public struct DatagramOptions: Sendable {
  /// The most bytes of a datagram that are received; 1 or more. At first 65,536, more than UDP can carry.
  public var maximumSize = 65_536

  /// Whether others may bind the same address (`SO_REUSEADDR`). At first not.
  public var reuseAddress = false

  /// Whether others may bind the same port, which then share what comes (`SO_REUSEPORT`). At first not.
  public var reusePort = false

  /// Whether it may send to broadcast addresses (`SO_BROADCAST`). At first not.
  public var broadcast = false

  /// The defaults.
  public init() {}
}

/// Opens an endpoint for datagrams: UDP, or a Unix socket. asyncio's `create_datagram_endpoint`. See
/// ``DatagramEndpoint``.
///
/// - Parameters:
///   - local: Where it is; `nil`: where the kernel puts it when it sends. A file that an earlier Unix socket has left is
///     replaced; one that is in use, or is no socket, is kept, and an error.
///   - remote: The one peer with whom it exchanges datagrams; `nil`: any. One of the two is needed.
///   - options: How it is made.
///   - fileID: With `line`, where it was opened, for tests that name what is left; leave it to its default.
///   - line: As `fileID`.
/// - Threading: On a loop, whose the endpoint is.
/// - Throws: ``AddressError`` when an address cannot be had; ``InvalidArgumentError``; ``NoRunningLoopError``.
public func openDatagramEndpoint(
  local: SocketAddress? = nil, remote: SocketAddress? = nil, options: DatagramOptions = DatagramOptions(),
  fileID: StaticString = #fileID, line: UInt = #line
) throws -> DatagramEndpoint {
  let loop = try EventLoop.running
  guard let family = local?.family ?? remote?.family else {
    throw InvalidArgumentError("openDatagramEndpoint: give a local address, a remote one, or both")
  }
  guard remote == nil || remote?.family == family else {
    throw InvalidArgumentError("openDatagramEndpoint: the addresses are of different families")
  }
  guard options.maximumSize > 0 else {
    throw InvalidArgumentError("DatagramOptions.maximumSize is \(options.maximumSize); give 1 or more")
  }
  return DatagramEndpoint(
    try loop.assumeIsolated { try DatagramCore(family, local, remote, options, CreationSite(fileID, line), on: $0) })
}

/// Opens an endpoint for datagrams to a host and back; as `openDatagramEndpoint(local:remote:options:fileID:line:)` in all else.
///
/// - Parameters:
///   - host: An address or a name, whose first address that can be had is taken.
///   - port: 0 to 65535.
///   - options: How it is made.
///   - timeout: How long the look-up may take; `nil` for as long as it takes.
///   - fileID: With `line`, where it was opened, for tests that name what is left; leave it to its default.
///   - line: As `fileID`.
/// - Cancellation: Nothing is opened then.
/// - Throws: ``NameLookupError``, ``TimeoutError``, and as the other one.
public func openDatagramEndpoint(
  host: String, port: Int, options: DatagramOptions = DatagramOptions(), timeout: Duration? = nil,
  fileID: StaticString = #fileID, line: UInt = #line
) async throws -> DatagramEndpoint {
  let addresses = try await EventLoop.running.lookUp(host: host, port: port, timeout: timeout)
  var failure: (any Error)?
  for address in addresses {
    do {
      return try openDatagramEndpoint(remote: address, options: options, fileID: fileID, line: line)
    } catch {
      failure = failure ?? error
    }
  }
  throw failure ?? NameLookupError(host, .noAddress)
}
