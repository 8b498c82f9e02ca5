// SPDX-License-Identifier: Apache-2.0
//
// A key-value service that Redis clients can use: the command line, and the life of the process.

import ArgumentParser
import AsyncIO
import Glibc
import SystemPackage

@main
struct MiniRedis: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mini-redis",
    abstract: "Keeps keys and values in memory for Redis clients, until SIGTERM or SIGINT.")

  @Option(help: "The address to listen on: a name, IPv4 or IPv6.")
  var host = "127.0.0.1"

  @Option(parsing: .unconditional, help: "The port to listen on; 0 for any that is free.")
  var port = 6379

  @Option(parsing: .unconditional, help: "How many clients are served at once; others are told, and sent away.")
  var maxclients = 10_000

  @Option(
    parsing: .unconditional,
    help: "After so many seconds in which it sends nothing, a client that hears no channel is sent away; 0 for never.")
  var timeout = 0

  @Option(
    parsing: .unconditional,
    help: "The most bytes that wait for a client that does not read what is published; one with more is sent away.")
  var pubsubLimit = ServiceLimits().push

  /// How long clients may go on after a signal; and once more, when they were cancelled.
  private static let grace = Duration.milliseconds(250)

  func validate() throws {
    guard maxclients > 0 else { throw ValidationError("--maxclients is \(maxclients); give 1 or more") }
    guard (0...Int(Int32.max)).contains(timeout) else {
      throw ValidationError("--timeout is \(timeout); give the seconds, or 0")
    }
    guard pubsubLimit > 0 else { throw ValidationError("--pubsub-limit is \(pubsubLimit); give 1 or more") }
  }

  func run() throws {
    raiseDescriptorLimit()
    try EventLoop.run { loop in
      var settings = Settings(host: host, port: port, maximumClients: maxclients)
      settings.limits.idleSeconds = timeout
      settings.limits.push = pubsubLimit
      let service = Service(settings, on: loop)
      let signals = try loop.signals([SIGTERM, SIGINT])
      let server = try await service.listen(on: loop)
      // Not `print`, which would keep the line in a buffer when standard output is a pipe.
      let addresses = server.addresses.map(\.description).joined(separator: ", ")
      try FileDescriptor.standardOutput.writeAll("listening on \(addresses)\n".utf8)
      for try await _ in signals { break }
      try await server.closeClients(grace: Self.grace)
    }
  }
}

/// Lets the process have as many descriptors as it may: each client takes one.
private func raiseDescriptorLimit() {
  var limit = rlimit()
  // SAFETY: both calls are lent a local. A failure leaves the limit as it is.
  guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
  limit.rlim_cur = limit.rlim_max
  unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}
