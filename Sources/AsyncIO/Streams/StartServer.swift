// SPDX-License-Identifier: Apache-2.0
//
// Making servers: by host and port, by path, of a socket that listens already.

import Glibc
public import SystemPackage

/// Serves clients over TCP: asyncio's `start_server`. See ``Server``.
///
/// ```swift
/// let server = try await startServer(host: "::1", port: 0) { connection in
///   for try await line in connection.reader.lines { try await connection.writer.write(line + "\n") }
/// }
/// ```
///
/// - Parameters:
///   - host: An address or a name, all of whose addresses are listened on; `nil`: all addresses of the machine, of both
///     families. Where IPv6 is switched off, its addresses are left out, as long as there is another one.
///   - port: 0 to 65535; 0: one that the kernel chooses, the same for all addresses.
///   - options: How it listens.
///   - fileID: With `line`, where it was started, for reports and tests that name what is left; leave it to its default.
///   - line: As `fileID`.
///   - handler: Runs as a task of the loop for each client, in the isolation of the code that calls this, and shares
///     its state. When it ends the connection is flushed and closed.
/// - Cancellation: Nothing listens then.
/// - Threading: In a task on a loop, whose the server is.
/// - Throws: ``AddressError`` when an address cannot be listened on; ``NameLookupError``; ``InvalidArgumentError``, also
///   for a handler that is isolated to something else than the loop; ``NoRunningLoopError``.
public func startServer(
  host: String?, port: Int, options: ServerOptions = ServerOptions(),
  fileID: StaticString = #fileID, line: UInt = #line,
  @_inheritActorContext(always) _ handler: sending @escaping @isolated(any) (Connection) async throws -> Void
) async throws -> Server {
  let loop = try EventLoop.running
  try options.requireValid()
  let handler = try ServerCore.loopHandler(handler, on: loop)
  let sockets = try await loop.listen(host: host, port: port, options)
  return Server(try ServerCore.made(sockets, options, CreationSite(fileID, line), on: loop, handler))
}

/// Serves clients on an address of any family; as `startServer(host:port:options:fileID:line:_:)` in all else.
public func startServer(
  on address: SocketAddress, options: ServerOptions = ServerOptions(),
  fileID: StaticString = #fileID, line: UInt = #line,
  @_inheritActorContext(always) _ handler: sending @escaping @isolated(any) (Connection) async throws -> Void
) async throws -> Server {
  let loop = try EventLoop.running
  try options.requireValid()
  let handler = try ServerCore.loopHandler(handler, on: loop)
  let sockets = try await loop.listen([address], options)
  return Server(try ServerCore.made(sockets, options, CreationSite(fileID, line), on: loop, handler))
}

/// Serves clients of a Unix socket that is a file: asyncio's `start_unix_server`.
///
/// A file that an earlier server has left is replaced; one that is in use, or is no socket, is kept, and an error. For
/// an abstract name, give its ``SocketAddress``. As `startServer(host:port:options:fileID:line:_:)` in all else.
public func startServer(
  unixPath path: String, options: ServerOptions = ServerOptions(),
  fileID: StaticString = #fileID, line: UInt = #line,
  @_inheritActorContext(always) _ handler: sending @escaping @isolated(any) (Connection) async throws -> Void
) async throws -> Server {
  try await startServer(
    on: SocketAddress(unixPath: path), options: options, fileID: fileID, line: line, handler)
}

/// Serves clients of a socket that listens already, such as one that a service manager hands over: asyncio's
/// `start_server(sock=…)`. As `startServer(host:port:options:fileID:line:_:)` in all else.
///
/// - Parameters:
///   - descriptor: A stream socket of any family, bound and listening. It is the server's from here on, who makes it
///     non-blocking, and closes it.
///   - options: Those about listening (the backlog, the reuse of the address, both families) are as its maker has set
///     them. What ``ServerOptions/backlog`` says is not asked of the kernel again; it bounds how many clients are taken in
///     a turn, to one more, and to 256.
///   - fileID: As ever.
///   - line: As ever.
///   - handler: As ever.
/// - Throws: ``InvalidArgumentError`` for what is no such socket, which stays the caller's then.
public func startServer(
  listeningOn descriptor: FileDescriptor, options: ServerOptions = ServerOptions(),
  fileID: StaticString = #fileID, line: UInt = #line,
  @_inheritActorContext(always) _ handler: sending @escaping @isolated(any) (Connection) async throws -> Void
) async throws -> Server {
  let loop = try EventLoop.running
  try options.requireValid()
  let handler = try ServerCore.loopHandler(handler, on: loop)
  let socket = try ListeningSocket(takingOver: descriptor, options: options.listening, calls: loop.systemCalls)
  return Server(
    try ServerCore.made([ListeningSocketBox(socket)], options, CreationSite(fileID, line), on: loop, handler))
}

extension EventLoop {
  /// Listens on all addresses of a host.
  func listen(host: String?, port: Int, _ options: ServerOptions) async throws -> [ListeningSocketBox] {
    guard let host else { return try listenEverywhere(SocketAddress.checked(port: port), options) }
    return try listen(try await lookUp(host: host, port: port), options)
  }

  private func listenEverywhere(_ port: UInt16, _ options: ServerOptions) throws -> [ListeningSocketBox] {
    var addresses = ["::", "0.0.0.0"].compactMap { SocketAddress.literal($0, port) }
    // One socket for both.
    if options.dualStack { addresses.removeLast() }
    do {
      return try listen(addresses, options)
    } catch let error as AddressError where options.dualStack && isFamilyMissing(error) {
      return try listen([SocketAddress(host: "0.0.0.0", port: Int(port))], options)
    }
  }

  /// Listens on some addresses, or on none; without those of a family that the machine lacks, if there are others.
  func listen(_ addresses: [SocketAddress], _ options: ServerOptions) throws -> [ListeningSocketBox] {
    var tries = 0
    while true {
      do {
        return try listenOnSamePort(addresses, options)
      } catch let error as AddressError where error.error.errno == .addressInUse && addresses.count > 1 && tries < 16 {
        // The port that the kernel chose for the first address is taken on another: it shall choose again.
        if addresses.contains(where: { $0.port != 0 }) { throw error }
        tries += 1
      }
    }
  }

  private func listenOnSamePort(
    _ addresses: [SocketAddress], _ options: ServerOptions
  ) throws -> [ListeningSocketBox] {
    var sockets: [ListeningSocketBox] = []
    var missing: AddressError?
    var chosen = 0
    for address in addresses {
      let address = address.port == 0 ? address.with(port: chosen) : address
      do throws(SystemError) {
        let socket = try ListeningSocket(bindingTo: address, options: options.listening, calls: systemCalls)
        chosen = try socket.localAddress.port
        sockets.append(ListeningSocketBox(socket))
      } catch {
        let error = AddressError(address, error)
        guard isFamilyMissing(error) else { throw error }
        missing = missing ?? error
      }
    }
    if sockets.isEmpty, let missing { throw missing }
    return sockets
  }

  /// Whether an address could not be listened on since the machine lacks its family: where IPv6 is switched off, its
  /// sockets cannot be had, or all of its addresses are somebody else's, the loopback address, too.
  private func isFamilyMissing(_ error: AddressError) -> Bool {
    switch error.error.errno {
    case .addressFamilyNotSupported: return true
    case .addressNotAvailable where error.address.family == .ipv6: break
    default: return false
    }
    guard let loopback = SocketAddress.literal("::1", 0) else { return false }
    do throws(SystemError) {
      try OwnedSocket.open(.ipv6, Int32(SOCK_STREAM.rawValue), calls: systemCalls).bind(to: loopback)
      return false
    } catch {
      return error.errno == .addressFamilyNotSupported || error.errno == .addressNotAvailable
    }
  }
}

extension ServerCore {
  /// Makes a server, on the thread that holds its loop.
  static func made(
    _ sockets: [ListeningSocketBox], _ options: ServerOptions, _ site: CreationSite, on loop: EventLoop,
    _ handler: @escaping Handler
  ) throws -> ServerCore {
    // SAFETY: this is the loop's thread, as is checked.
    nonisolated(unsafe) let handler = handler
    return try loop.assumeIsolated { loop in
      unsafe try ServerCore(sockets, options, site, on: loop, handler)
    }
  }

  /// A handler of users, as the server calls it: on its loop.
  static func loopHandler(
    _ handler: @escaping @isolated(any) (Connection) async throws -> Void, on loop: EventLoop
  ) throws(InvalidArgumentError) -> Handler {
    guard handler.isolation == nil || handler.isolation === loop else {
      throw InvalidArgumentError("startServer: the handler is isolated to another actor than the loop")
    }
    // SAFETY: handler and connection stay on the loop, by the check above: a handler without isolation runs on the loop's
    // thread, too, since the tasks of a loop prefer it.
    nonisolated(unsafe) let handler = handler
    return { connection, _ in
      nonisolated(unsafe) let connection = connection
      unsafe try await handler(connection)
    }
  }
}
