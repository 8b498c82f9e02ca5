// SPDX-License-Identifier: Apache-2.0
//
// A TCP service that sends back whatever its clients send: the command line, and the life of the process.

import ArgumentParser
import AsyncIO
import Glibc
import SystemPackage

@main
struct EchoServer: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "echo-server",
    abstract: "Sends back whatever its clients send, over TCP, until SIGTERM or SIGINT.")

  @Option(help: "The address to listen on: IPv4, IPv6 or localhost.")
  var host = "127.0.0.1"

  @Option(parsing: .unconditional, help: "The port to listen on; 0 for any that is free.")
  var port = 7000

  func run() throws {
    let address = try SocketAddress(host: host, port: port)
    try EventLoop.run { loop in
      let acceptor = try Acceptor(listeningOn: address)
      let service = loop.createTask(name: "accept") { try await acceptor.run(on: loop) }
      for signal in [SIGTERM, SIGINT] {
        try loop.addSignalHandler(signal) { service.cancel("signal \(signal)") }
      }
      // Not `print`, which would keep the line in a buffer when standard output is a pipe.
      try FileDescriptor.standardOutput.writeAll("listening on \(acceptor.address)\n".utf8)
      do {
        try await service.value
      } catch is CancellationError {
        // A signal. The connections that are left are tasks of the loop, which ends them now.
      }
    }
  }
}
