// SPDX-License-Identifier: Apache-2.0
//
// Making connections: by name, by address, by path.

import Glibc
import SystemPackage

/// Connects to a host over TCP. asyncio's `open_connection`.
///
/// ```swift
/// let connection = try await openConnection(host: "example.org", port: 80, timeout: .seconds(10))
/// ```
///
/// Of a name with several addresses those of IPv6 and IPv4 are tried in turn, each begun when the one before has had
/// 250 ms, or has failed; the first that answers wins (RFC 8305).
///
/// - Parameters:
///   - host: An address or a name.
///   - port: 0 to 65535.
///   - options: How the connection is to be made.
///   - timeout: How long the look-up and all attempts may take together; `nil`: as long as they do.
///   - fileID: With `line`, where it was opened, for reports of what was not closed; leave it to its default.
///   - line: As `fileID`.
/// - Cancellation: Closes all sockets of the attempts, and throws `CancellationError`.
/// - Threading: In a task on a loop, whose the connection is.
/// - Throws: ``ConnectError`` with the errors of all addresses; ``NameLookupError``; ``InvalidArgumentError``;
///   ``TimeoutError``; ``NoRunningLoopError``.
public func openConnection(
  host: String, port: Int, options: ConnectionOptions = ConnectionOptions(), timeout: Duration? = nil,
  fileID: StaticString = #fileID, line: UInt = #line
) async throws -> Connection {
  let loop = try EventLoop.running
  let deadline = timeout.map { loop.timeSource.now.advanced(by: $0) }
  let addresses = try await loop.lookUp(host: host, port: port, until: deadline)
  try options.stream.requireValid()
  return try Connection.confined(
    await loop.connect(addresses, options, until: deadline), options.stream, CreationSite(fileID, line), to: loop)
}

/// Connects to an address of any family; as `openConnection(host:port:options:timeout:fileID:line:)` in all else.
public func openConnection(
  to address: SocketAddress, options: ConnectionOptions = ConnectionOptions(), timeout: Duration? = nil,
  fileID: StaticString = #fileID, line: UInt = #line
) async throws -> Connection {
  let loop = try EventLoop.running
  let deadline = timeout.map { loop.timeSource.now.advanced(by: $0) }
  try options.stream.requireValid()
  return try Connection.confined(
    await loop.connect([address], options, until: deadline), options.stream, CreationSite(fileID, line), to: loop)
}

/// Connects to a Unix socket that is a file. asyncio's `open_unix_connection`.
///
/// As `openConnection(host:port:options:timeout:fileID:line:)` in all else. A server whose queue is full is asked again until it has
/// room. For an abstract name, give its ``SocketAddress``.
public func openConnection(
  unixPath path: String, options: ConnectionOptions = ConnectionOptions(), timeout: Duration? = nil,
  fileID: StaticString = #fileID, line: UInt = #line
) async throws -> Connection {
  try await openConnection(
    to: SocketAddress(unixPath: path), options: options, timeout: timeout, fileID: fileID, line: line)
}

extension EventLoop {
  /// Connects a socket to the first of some addresses that answers.
  func connect(
    _ addresses: [SocketAddress], _ options: ConnectionOptions, until deadline: Deadline?
  ) async throws -> OwnedSocket {
    var pause = Duration.milliseconds(1)
    while true {
      do {
        return try await ConnectRace(addresses, options, on: self).winner(on: self, until: deadline)
      } catch let error as ConnectError where error.isOfFullQueue {
        // Nothing tells when there is room.
        let now = timeSource.now
        if let deadline, deadline <= now { throw TimeoutError() }
        try await sleep(until: Instant(min(now.advanced(by: pause), deadline ?? .never)))
        pause = min(pause * 2, .milliseconds(64))
      }
    }
  }
}

extension ConnectError {
  /// Of a Unix socket whose server is slower than its clients.
  fileprivate var isOfFullQueue: Bool {
    failures.allSatisfy { $0.address.family == .unix && $0.error.errno.isWouldBlock }
  }
}

extension Connection {
  /// Makes a connection, on the thread that holds its loop.
  package static func confined(
    _ socket: consuming OwnedSocket, _ options: StreamOptions, _ site: CreationSite, to loop: EventLoop
  ) throws -> Connection {
    var socket = Optional(consume socket)
    // SAFETY: this is the loop's thread, as is checked; so the caller may have what belongs there.
    nonisolated(unsafe) var made: Connection?
    try loop.assumeIsolated { loop in
      guard let socket = socket.take() else { return }
      unsafe made = try Connection(owning: socket, options: options, site: site, on: loop)
    }
    guard let made = unsafe made else { preconditionFailure("Connection: made above") }
    return made
  }
}
