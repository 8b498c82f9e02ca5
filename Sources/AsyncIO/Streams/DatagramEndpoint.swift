// SPDX-License-Identifier: Apache-2.0
//
// An endpoint of datagrams as its user has it.

/// A socket that sends and receives datagrams: UDP, or a Unix socket.
///
/// ```swift
/// let endpoint = try openDatagramEndpoint(local: SocketAddress(host: "127.0.0.1", port: 0))
/// for try await datagram in endpoint.datagrams {
///   try await endpoint.send(datagram.bytes, to: datagram.sender)
/// }
/// ```
///
/// Nothing is queued here: a datagram has been given to the kernel, whole, when ``send(_:to:timeout:)-([UInt8],_,_)`` returns, and
/// one that nobody receives waits in the kernel, which drops what it has no room for. Senders go in the order of their
/// calls, and so do receivers.
///
/// An error, also one that the network reports of an earlier datagram (a closed port: `ECONNREFUSED`), is thrown once,
/// and the endpoint works on. It has to be ended with ``close()``: one that is released before is reported, and closed.
///
/// - Threading: It belongs to its loop.
public final class DatagramEndpoint {
  private let core: DatagramCore

  init(_ core: DatagramCore) { self.core = core }

  deinit { core.endpointIsGone() }

  /// Where it is, with the port that the kernel chose; the any-address of one that was made without, and is not
  /// connected.
  public var localAddress: SocketAddress { core.localAddress }

  /// Its one peer, if it was made with one.
  public var remoteAddress: SocketAddress? { core.remoteAddress }

  /// Whether it was closed.
  public var isClosed: Bool { core.isClosed }

  /// Sends a datagram, and waits while the kernel has no room.
  ///
  /// - Parameters:
  ///   - bytes: All of the datagram; it may be empty.
  ///   - address: To whom; `nil` for the peer of an endpoint that has one, which takes no other address.
  ///   - timeout: How long it may wait; `nil` for as long as it takes.
  /// - Cancellation: It is not sent, then.
  /// - Throws: ``SystemError``: `EMSGSIZE` for one that is too long; what the network reports of earlier ones.
  ///   ``InvalidArgumentError`` for an address too many, or none; ``DescriptorClosedError``; ``TimeoutError``, and it is
  ///   not sent.
  public func send(_ bytes: [UInt8], to address: SocketAddress? = nil, timeout: Duration? = nil) async throws {
    try await core.send(bytes.span, to: address, timeout)
  }

  /// Sends a datagram of bytes that the caller owns; as ``send(_:to:timeout:)-([UInt8],_,_)`` in all else.
  public func send(_ bytes: Span<UInt8>, to address: SocketAddress? = nil, timeout: Duration? = nil) async throws {
    try await core.send(bytes, to: address, timeout)
  }

  /// Waits for a datagram, and takes it.
  ///
  /// - Parameter timeout: How long; `nil` for as long as it takes.
  /// - Cancellation: Nothing is taken, then.
  /// - Throws: ``SystemError`` with what the network reports, once; ``TimeoutError``; ``DescriptorClosedError``.
  public func receive(timeout: Duration? = nil) async throws -> Datagram { try await core.receive(timeout) }

  /// Closes it, at once: who waits gets ``DescriptorClosedError``. Idempotent.
  ///
  /// The file of a Unix socket is removed, if it is still the one that was made here.
  public func close() { core.close() }

  /// What comes, one datagram after the other, until the endpoint is closed.
  ///
  /// It holds nothing: an error ends the iteration, and another one goes on from there.
  public var datagrams: Datagrams { Datagrams(endpoint: self) }

  /// See ``DatagramEndpoint/datagrams``.
  public struct Datagrams: AsyncSequence {
    fileprivate let endpoint: DatagramEndpoint

    /// Begins an iteration.
    public func makeAsyncIterator() -> Iterator { Iterator(endpoint: endpoint) }

    /// An iteration.
    public struct Iterator: AsyncIteratorProtocol {
      fileprivate let endpoint: DatagramEndpoint

      /// The next datagram; `nil` when the endpoint was closed.
      public mutating func next() async throws -> Datagram? { try await next(isolation: #isolation) }

      /// The next datagram; `nil` when the endpoint was closed.
      public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Datagram? {
        do {
          return try await endpoint.receive()
        } catch is DescriptorClosedError {
          return nil
        }
      }
    }
  }
}
