// SPDX-License-Identifier: Apache-2.0
//
// Several loops, each on a thread of its own, for services that one core is too slow for.

import Synchronization

/// Loops on threads of their own, which share nothing but what is `Sendable`.
///
/// ```swift
/// let group = try EventLoopGroup.start(loops: 4)
/// let server = try await group.startServer(host: "0.0.0.0", port: 7000) { connection, loop in
///   for try await chunk in connection.reader.chunks { try await connection.writer.write(chunk) }
/// }
/// try await server.waitClosed()
/// await group.shutdown()
/// ```
///
/// A client stays on the loop that took it. Its handler runs there, isolated to that loop, and is `@Sendable`, since the
/// loops run at the same time: what it captures is shared between threads.
///
/// - Threading: Any thread, in any Swift task.
public final class EventLoopGroup: Sendable {
  /// The threads, each with its loop.
  public let threads: [LoopThread]

  private let turn = Atomic<Int>(0)

  private init(threads: [LoopThread]) { self.threads = threads }

  /// Starts loops, each on a thread of its own.
  ///
  /// - Parameters:
  ///   - count: How many, 1 or more; `nil`: one for each processor that this thread may run on (`taskset`, cpusets).
  ///   - name: That of the threads, with a number behind it; of all that Linux keeps 15 bytes.
  ///   - configuration: How each loop is to be.
  /// - Throws: ``SystemError`` when there are no descriptors or threads left; ``InvalidArgumentError`` for a count below
  ///   1. Loops that had been started are ending then.
  public static func start(
    loops count: Int? = nil, name: String = "asyncio", configuration: EventLoop.Configuration = .init()
  ) throws -> EventLoopGroup {
    let count = count ?? Processors.usable
    guard count > 0 else { throw InvalidArgumentError("EventLoopGroup.start: \(count) loops; give 1 or more") }
    var threads: [LoopThread] = []
    do {
      for number in 0..<count {
        threads.append(try LoopThread.start(name: "\(name)-\(number)", configuration: configuration))
      }
    } catch {
      for thread in threads { thread.loop.stop() }
      throw error
    }
    return EventLoopGroup(threads: threads)
  }

  /// The loops.
  public var loops: [EventLoop] { threads.map(\.loop) }

  /// The loops in turn: the next one that is to get work.
  public func next() -> LoopThread {
    let number = turn.add(1, ordering: .relaxed).oldValue
    return threads[Int(UInt(bitPattern: number) % UInt(threads.count))]
  }

  /// The thread of the loop that this code runs on, if it is one of the group, or else the next one.
  public var any: LoopThread {
    if let loop = EventLoop.current, let thread = threads.first(where: { $0.loop === loop }) { return thread }
    return next()
  }

  /// Ends all loops: their tasks are cancelled and awaited, and their threads end.
  ///
  /// - Parameter grace: How long the tasks of each may take to end; `nil`: as long as they do.
  /// - Cancellation: Not heard: the threads' end is near.
  public func shutdown(grace: Duration? = nil) async {
    await withTaskGroup { group in
      for thread in threads { group.addTask { await thread.shutdown(grace: grace) } }
    }
  }

  // MARK: Serving

  /// Serves clients over TCP on all loops, between which the kernel spreads them (`SO_REUSEPORT`).
  ///
  /// - Parameters:
  ///   - host: An address or a name, all of whose addresses are listened on; `nil`: all addresses of the machine.
  ///   - port: 0 to 65535; 0: one that the kernel chooses, the same for all.
  ///   - options: How each loop listens; a limit on connections is one for each loop.
  ///   - fileID: With `line`, where it was started, for reports and tests that name what is left; leave it to its default.
  ///   - line: As `fileID`.
  ///   - handler: Runs as a task of a loop for each client, isolated to it. When it ends the connection is flushed and
  ///     closed.
  /// - Cancellation: Nothing listens then, and clients that have come already are reset.
  /// - Throws: As `startServer(host:port:options:fileID:line:_:)`; ``LoopClosedError`` after the shutdown.
  public func startServer(
    host: String?, port: Int, options: ServerOptions = ServerOptions(),
    fileID: StaticString = #fileID, line: UInt = #line,
    _ handler: @escaping @Sendable (Connection, isolated EventLoop) async throws -> Void
  ) async throws -> GroupServer {
    var options = options
    options.reusePort = true
    try options.requireValid()
    var shares: [GroupServer.Share] = []
    do {
      for thread in threads {
        let addresses = shares.first?.server.addresses
        let server = try await thread.run { [options] loop in
          let sockets =
            if let addresses {
              try loop.listen(addresses, options)
            } else {
              try await loop.listen(host: host, port: port, options)
            }
          return try ServerCore(sockets, options, CreationSite(fileID, line), on: loop, handler)
        }
        shares.append(GroupServer.Share(thread: thread, server: server))
      }
    } catch {
      // By callbacks, since this task may have been cancelled. Clients that have come already have nobody else to end them.
      for share in shares { share.server.abortFromOutside() }
      throw error
    }
    return GroupServer(shares)
  }
}
