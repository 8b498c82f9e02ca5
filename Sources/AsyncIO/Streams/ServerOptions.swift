// SPDX-License-Identifier: Apache-2.0
//
// What can be said about a server before it is made, and how using it fails.

/// How a server listens, and how the connections of its clients are.
public struct ServerOptions: Sendable {
  /// How many clients may wait in the kernel's queue, 1 or more; of which it takes as many as `net.core.somaxconn`, at
  /// most. At first 1,024.
  public var backlog = 1_024

  /// How many clients are served at once; the next ones wait in the kernel's queue. `nil`, as at first: no limit.
  public var maximumConnections: Int?

  /// Whether a port that a process has just left can be listened on (`SO_REUSEADDR`). At first it can.
  public var reuseAddress = true

  /// Whether others may listen on the same port, which then share its clients (`SO_REUSEPORT`). At first not.
  public var reusePort = false

  /// Whether a listener of IPv6 takes clients of IPv4, too. At first not, so that the port is free for a listener of
  /// IPv4.
  public var dualStack = false

  /// Whether small pieces are sent at once (`TCP_NODELAY`). At first they are.
  public var noDelay = true

  /// When the kernel asks a silent client whether it is there still; `nil`, as at first: never.
  public var keepAlive: KeepAlive?

  /// How long a client may take nothing of what was written to it, after its handler has ended. Then its connection is
  /// aborted, so it gets a reset, and its place is free; one that goes on reading gets all. It is looked at once in that
  /// time, so it may be up to twice as long. Zero: no longer than until the next turn. At first 30 seconds; `nil`: as
  /// long as it takes, which a client that never reads makes for ever.
  public var flushLimit: Duration? = .seconds(30)

  /// How much the connections keep in memory.
  public var stream = StreamOptions()

  /// The defaults.
  public init() {}

  func requireValid() throws(InvalidArgumentError) {
    try stream.requireValid()
    if backlog < 1 { throw InvalidArgumentError("ServerOptions: a backlog of \(backlog); give 1 or more") }
    if let maximumConnections, maximumConnections < 1 {
      throw InvalidArgumentError("ServerOptions: at most \(maximumConnections) connections; give 1 or more")
    }
    if let flushLimit, flushLimit < .zero {
      throw InvalidArgumentError("ServerOptions.flushLimit is \(flushLimit); give zero or more, or nil for no limit")
    }
  }

  var listening: ListeningOptions {
    var options = ListeningOptions()
    options.backlog = Int32(clamping: backlog)
    options.reusesAddress = reuseAddress
    options.reusesPort = reusePort
    options.takesIPv4 = dualStack
    options.noDelay = noDelay
    options.keepAlive = keepAlive
    return options
  }
}

/// The server was closed before.
public struct ServerClosedError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The fact.
  public var description: String { "the server was closed" }

  init() {}
}
