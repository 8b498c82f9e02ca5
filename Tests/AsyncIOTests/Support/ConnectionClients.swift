// SPDX-License-Identifier: Apache-2.0
//
// Clients of servers, by our own connections.

import AsyncIO

/// What a server says to a client that says something, and then nothing more.
func exchange(_ text: String = "", with server: SocketAddress) async throws -> String {
  let connection = try await openConnection(to: server)
  defer { connection.abort() }
  if !text.isEmpty { try await connection.writer.write(text) }
  connection.writer.closeWriting()
  return String(decoding: try await connection.reader.read(), as: UTF8.self)
}

extension Server {
  /// Its only address.
  var address: SocketAddress {
    guard addresses.count == 1, let only = addresses.first else { preconditionFailure("it has \(addresses)") }
    return only
  }
}

/// Serves on a loopback port of the kernel's choice.
func serve(
  _ options: ServerOptions = ServerOptions(),
  @_inheritActorContext(always) _ handler: sending @escaping @isolated(any) (Connection) async throws -> Void
) async throws -> Server {
  try await startServer(host: "127.0.0.1", port: 0, options: options, handler)
}

/// A handler's body that sends back what comes.
func echo(_ connection: Connection) async throws {
  for try await chunk in connection.reader.chunks { try await connection.writer.write(chunk) }
}
