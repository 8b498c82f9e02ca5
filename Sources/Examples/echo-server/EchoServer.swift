// SPDX-License-Identifier: Apache-2.0
//
// A TCP service that sends back whatever its clients send: the command line, the service, and the life of the process.

import ArgumentParser
import AsyncIO
import Glibc
import SystemPackage

@main
struct EchoServer: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "echo-server",
    abstract: "Sends back whatever its clients send, over TCP, until SIGTERM or SIGINT.")

  @Option(help: "The address to listen on: a name, IPv4 or IPv6.")
  var host = "127.0.0.1"

  @Option(parsing: .unconditional, help: "The port to listen on; 0 for any that is free.")
  var port = 7000

  /// How long clients may go on after a signal; and once more, when they were cancelled.
  private static let grace = Duration.milliseconds(250)

  func run() throws {
    try EventLoop.run { loop in
      let server = try await startServer(host: host, port: port) { try await echo($0) }
      for signal in [SIGTERM, SIGINT] {
        try loop.addSignalHandler(signal) { server.close() }
      }
      // Not `print`, which would keep the line in a buffer when standard output is a pipe.
      let addresses = server.addresses.map(\.description).joined(separator: ", ")
      try FileDescriptor.standardOutput.writeAll("listening on \(addresses)\n".utf8)
      try await server.serveForever()
      try await server.closeClients(grace: Self.grace)
    }
  }
}

/// Serves a client until it ends its side, or is lost. A client that sends and never reads is held back by its own bytes:
/// nothing more is read while much of it is not sent.
private func echo(_ client: Connection) async throws {
  do {
    while try await client.reader.fill() {
      var hasRoom = true
      try client.reader.consume { bytes in
        hasRoom = try client.writer.writeNow(bytes)
        return bytes.count
      }
      if !hasRoom { try await client.writer.drain() }
    }
  } catch is SystemError {
    // A client that is lost is its own business.
  }
}
