// SPDX-License-Identifier: Apache-2.0
//
// A byte stream in both directions, as one thing.

/// A connected byte stream: what comes from the peer, and what goes to it.
///
/// ```swift
/// while let line = try await connection.reader.readLine() {
///   try await connection.writer.write("you said \(line)\n")
/// }
/// connection.close()
/// ```
///
/// It belongs to the code of its loop, as all that is not `Sendable` does, and needs no lock. One task may read while
/// others write. It has to be ended with ``close()`` or ``abort()``: one that is released before is reported, and
/// closed at once: what is queued is lost.
///
/// The peer may end its side and go on reading: the reader is at its end then, and the writer works on.
public final class Connection {
  /// What comes from the peer.
  public let reader: StreamReader

  /// What goes to the peer.
  public let writer: StreamWriter

  let stream: ByteStream

  /// Takes over a connected, non-blocking socket.
  ///
  /// - Throws: ``InvalidArgumentError`` for options that cannot be; ``LoopClosedError``. The socket is closed then.
  package init(
    owning socket: consuming OwnedSocket, options: StreamOptions = StreamOptions(),
    site: CreationSite = CreationSite(#fileID, #line), on loop: isolated EventLoop
  ) throws {
    stream = try ByteStream(owning: socket, .socket, halves: 2, options, site, on: loop)
    reader = StreamReader(over: stream, limit: options.limit)
    writer = StreamWriter(over: stream)
  }

  // MARK: The end

  /// Sends what is queued, then closes. Returns at once; idempotent.
  ///
  /// A task that waits to read gets ``DescriptorClosedError``, and writing throws from now on. While the peer does not
  /// read, what is queued waits: see ``abort()``, and the timeout of ``waitClosed(timeout:)``.
  ///
  /// Where the peer's bytes have come and were not read, the kernel resets the connection, and the peer may lose what it
  /// was sent last. Where that matters, end the writing side by ``StreamWriter/closeWriting()``, and read to the end of
  /// the stream before you close.
  public func close() { stream.close() }

  /// Closes now, and drops what is queued, and what the kernel has taken and not delivered. Idempotent.
  ///
  /// Over TCP the peer gets a reset (`ECONNRESET`), so that it cannot take what has come for all there was; over a Unix
  /// socket the kernel knows no reset, and the peer finds the end of the stream.
  public func abort() { stream.abort() }

  /// Waits until the connection is closed, however that came; any number of tasks may.
  ///
  /// - Parameter timeout: How long; `nil` for as long as it takes.
  /// - Cancellation: Ends the wait alone; the closing goes on.
  /// - Throws: The error that the connection was lost by, if it was; ``TimeoutError``.
  public func waitClosed(timeout: Duration? = nil) async throws {
    try await stream.untilClosed(by: stream.deadline(after: timeout))
  }

  /// Whether ``close()`` or ``abort()`` was called, or the connection is lost.
  public var isClosing: Bool { stream.life != .open }

  // MARK: Addresses

  /// The address on this side; `nil` if it was not asked for before the end, and for a Unix socket without a name, as a
  /// client's.
  public var localAddress: SocketAddress? { stream.address(.local) }

  /// The address of the peer, asyncio's `get_extra_info('peername')`; `nil` if it was not asked for before the end, and
  /// for a Unix socket without a name, as a client's.
  public var peerAddress: SocketAddress? { stream.address(.peer) }
}
