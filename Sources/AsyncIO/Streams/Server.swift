// SPDX-License-Identifier: Apache-2.0
//
// A server as its user has it.

/// Listening sockets, and the clients that came by them: asyncio's `Server`.
///
/// ```swift
/// try EventLoop.run { loop in
///   var served = 0                                        // plain state, shared by all clients
///   let server = try await startServer(host: "127.0.0.1", port: 7000) { connection in
///     served += 1
///     try await connection.writer.write("hello\n")
///   }
///   print("listening on", server.addresses)
///   try await server.serveForever()
/// }
/// ```
///
/// Each client has a task of the loop, which runs the handler with its connection. When the handler returns, or throws,
/// what it wrote is flushed, and the connection is closed; a client that does not read it within
/// ``ServerOptions/flushLimit`` gets a reset. An error that the handler throws is reported, once; except for the loss of
/// the connection that it was given, told by a call on that (`ECONNRESET`, `EPIPE`, …): a handler that leaves such a
/// client to itself needs no `catch`.
///
/// The server takes clients from the start until ``close()``, or until its loop is closed; dropping this object does not
/// end it. A failure to take a client never does: out of descriptors or memory, it reports that once, lets the clients
/// wait, and goes on when there is room.
///
/// - Threading: It belongs to its loop, as its connections do.
public final class Server {
  let core: ServerCore

  init(_ core: ServerCore) { self.core = core }

  /// Where it listens, with the ports that the kernel chose.
  public var addresses: [SocketAddress] { core.addresses }

  /// How many clients it has: those whose handlers run, or whose connections are not closed yet.
  public var connectionCount: Int { core.clients.count }

  /// Whether it takes clients, or lets them wait; not after ``close()``.
  public var isServing: Bool { !core.isClosed }

  /// Suspends until somebody calls ``close()``, from a signal handler for example.
  ///
  /// - Cancellation: Closes the server, and throws `CancellationError`. The clients that it has go on.
  /// - Throws: ``ServerClosedError`` when it was closed before.
  public func serveForever() async throws { try await core.serveForever() }

  /// Stops listening, at once: new clients are refused. Those that it has go on. Idempotent.
  ///
  /// The file of a Unix socket is removed, if it is still the one that was made here.
  public func close() { core.close() }

  /// Ends the server and its clients, as gently as the time allows.
  ///
  /// It stops listening, and lets the handlers finish. Those that have not after the grace are cancelled, so their
  /// awaits throw `CancellationError`; a client whose handler has ended goes on reading what was written. Those that have
  /// not ended after as long again have their connections aborted.
  ///
  /// - Parameter grace: Zero: cancels at once, and aborts what has not ended in the next turns.
  /// - Cancellation: Throws `CancellationError`; the clients that are left go on, as after ``close()``.
  public func closeClients(grace: Duration) async throws { try await core.closeClients(grace: grace) }

  /// Stops listening, and aborts the connections of all clients, who get a reset: what was not sent is dropped. Their
  /// handlers are cancelled.
  public func abortClients() { core.loop.assumeIsolated { [core] in core.abortClients(on: $0) } }

  /// Waits until the server was closed and its last client is gone.
  ///
  /// - Parameter timeout: How long; `nil` for as long as it takes.
  /// - Cancellation: Ends the wait alone.
  /// - Throws: ``TimeoutError``.
  public func waitClosed(timeout: Duration? = nil) async throws { try await core.waitClosed(timeout) }
}
