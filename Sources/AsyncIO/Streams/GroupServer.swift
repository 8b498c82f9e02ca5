// SPDX-License-Identifier: Apache-2.0
//
// A server on all loops of a group.

/// A server whose clients are spread over the loops of an ``EventLoopGroup``.
///
/// - Threading: Any thread, in any Swift task.
public final class GroupServer: Sendable {
  /// A loop's share.
  struct Share: Sendable {
    let thread: LoopThread
    let server: ServerCore
  }
  private let shares: [Share]

  init(_ shares: [Share]) { self.shares = shares }

  /// Where it listens, with the ports that the kernel chose.
  public var addresses: [SocketAddress] { shares.first?.server.addresses ?? [] }

  /// Stops listening on all loops, in their next turns. The clients go on. Idempotent.
  public func close() {
    for share in shares { share.server.closeFromOutside() }
  }

  /// Ends the clients of all loops as ``Server/closeClients(grace:)`` does.
  ///
  /// - Cancellation: Throws `CancellationError`; the clients that are left go on, as after ``close()``.
  public func closeClients(grace: Duration) async throws {
    try await onEach { server in try await server.closeClients(grace: grace) }
  }

  /// Waits until it was closed and the last client is gone; after the group's shutdown they are.
  ///
  /// - Parameter timeout: How long; `nil` for as long as it takes.
  /// - Cancellation: Ends the wait alone.
  /// - Throws: ``TimeoutError``.
  public func waitClosed(timeout: Duration? = nil) async throws {
    try await onEach { server in try await server.waitClosed(timeout) }
  }

  /// How many clients each loop has; after the group's shutdown, none.
  public func connectionCounts() async throws -> [Int] {
    var counts: [Int] = []
    for share in shares { counts.append(try await Self.on(share) { server in server.clients.count } ?? 0) }
    return counts
  }

  private func onEach(_ body: @escaping @Sendable (ServerCore) async throws -> Void) async throws {
    try await withThrowingTaskGroup { group in
      for share in shares {
        group.addTask { try await Self.on(share, body) }
      }
      try await group.waitForAll()
    }
  }

  /// Runs a body on a share's loop; `nil` when that is over, and with it its server and the clients.
  @discardableResult
  private static func on<Success: Sendable>(
    _ share: Share, _ body: @escaping @Sendable (ServerCore) async throws -> Success
  ) async throws -> Success? {
    do {
      return try await share.thread.run { _ in try await body(share.server) }
    } catch is LoopClosedError {
      return nil
    } catch is CancellationError where !Task.isCancelled {
      await share.thread.waitUntilEnded()
      return nil
    }
  }
}

extension ServerCore {
  /// Stops listening in the loop's next turn. Any thread.
  func closeFromOutside() {
    // A loop that is closed has closed it.
    try? loop.callSoonThreadsafe { loop in self.close(on: loop) }
  }

  /// The same, and ends the clients, too. Any thread.
  func abortFromOutside() {
    // A loop that is closed has ended them.
    try? loop.callSoonThreadsafe { loop in self.abortClients(on: loop) }
  }
}
