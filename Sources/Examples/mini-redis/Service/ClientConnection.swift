// SPDX-License-Identifier: Apache-2.0
//
// What carries the bytes of a session: from the reader of its connection in, and out by the writer.

import AsyncIO

extension Service {
  /// Serves clients over TCP, each in a task of its own.
  func listen(on loop: isolated EventLoop) async throws -> Server {
    var options = ServerOptions()
    // What a client has sent of a request waits in its reader.
    options.stream.limit = settings.limits.request.request
    return try await startServer(host: settings.host, port: settings.port, options: options) { connection in
      try await ClientConnection(connection, of: self).run(on: loop)
    }
  }
}

/// A client's connection.
///
/// Its task carries out all requests that it has read, sends their replies by one write, and reads on when there is room
/// for more: so a client that does not take its replies is held back by TCP. What others publish is sent in the turn
/// after that. Nobody waits for it to be taken; so a client that lets too much of it wait is sent away.
final class ClientConnection {
  private let connection: Connection
  private let session: Session
  private let limits: ServiceLimits
  private var isPushDue = false

  /// With so many bytes of requests carried out, the other clients have their turn.
  private static let longBatch = 16 << 10

  init(_ connection: Connection, of service: Service) {
    self.connection = connection
    session = Session(of: service)
    limits = service.settings.limits
  }

  /// Serves the client until it ends its side, or is sent away, or lost.
  func run(on loop: isolated EventLoop) async throws {
    defer { session.close(on: loop) }
    do {
      try await answer(on: loop)
      if session.hasEnded { await sayGoodbye(on: loop) }
    } catch is SystemError {
      // A client that is lost is its own business.
    } catch is DescriptorClosedError {
      // It did not take what was published.
    } catch is TimeoutError {
      // It was idle for too long. What it has not taken, it will not.
      if connection.writer.queuedCount > 0 { connection.abort() }
    }
  }

  /// Answers until the client ends its side, or the session ends.
  private func answer(on loop: isolated EventLoop) async throws {
    session.onPush = { [unowned self] in pushSoon(on: loop) }
    session.unsentCount = { [unowned self] in connection.writer.queuedCount }
    // Also what came in the turn in which it was cancelled.
    defer { _ = try? send() }
    do {
      while true {
        try await carryOut(on: loop)
        if session.hasEnded { return }
        guard try await hasMore(on: loop) else { return }
      }
    } catch is LimitOverrunError {
      session.end(with: .tooBigRequest)
    }
  }

  /// Lets a client that is sent away take its last reply. To close at once, with bytes of it unread, would be a reset, by
  /// which it may lose that.
  private func sayGoodbye(on loop: isolated EventLoop) async {
    session.close(on: loop)
    connection.writer.closeWriting()
    _ = try? await withTimeout(.seconds(1)) { [connection] in
      while try await connection.reader.read(upTo: .max).count > 0 {}
    }
  }

  /// Carries out the requests that were read, and sends the replies.
  private func carryOut(on loop: isolated EventLoop) async throws {
    repeat {
      let isLong = connection.reader.bufferedCount > Self.longBatch
      try connection.reader.consume { session.receive($0, on: loop) }
      if try !send() { try await whileItTakes { try await connection.writer.drain(timeout: $0) } }
      if isLong { try await sleep(for: .zero) }
    } while session.isHeldBack
  }

  /// Those who listen may be silent, and take what they hear at their leisure; how much may wait for them has a limit.
  private var idleLimit: Duration? { session.subscriptions.isEmpty ? limits.idle : nil }

  /// Waits for the client, which is not idle as long as it takes some of its replies.
  private func whileItTakes<Result>(_ wait: (_ limit: Duration?) async throws -> Result) async throws -> Result {
    while true {
      let queued = connection.writer.queuedCount
      do {
        return try await wait(idleLimit)
      } catch is TimeoutError where connection.writer.queuedCount < queued {
        continue
      }
    }
  }

  /// Waits until there may be requests to carry out.
  ///
  /// - Returns: `false` when the client has ended its side.
  private func hasMore(on loop: isolated EventLoop) async throws -> Bool {
    guard let waiter = session.waiter else {
      return try await whileItTakes { try await connection.reader.fill(timeout: $0) }
    }
    // The client may go before it is served, or send on: its reader keeps that. How this ends, the next read tells.
    let reading = loop.createTask { [connection] in while (try? await connection.reader.fill()) == true {} }
    defer { reading.cancel() }
    _ = try await wait([waiter.isServed, reading] as [AnyFuture], returnWhen: .firstCompleted)
    guard waiter.isServed.isDone else { return try await connection.reader.fill() }
    // One task at a time reads.
    reading.cancel()
    _ = try await wait([reading])
    return true
  }

  /// Sends the replies.
  ///
  /// - Returns: Whether there is room for more.
  private func send() throws -> Bool {
    if session.output.isEmpty { return true }
    let replies = session.output.take()
    let hasRoom = try connection.writer.writeNow(replies)
    session.output.recycle(replies)
    return hasRoom
  }

  /// Sends in the next turn, by one write, whatever is published until then.
  private func pushSoon(on loop: isolated EventLoop) {
    if session.hasEnded { return connection.abort() }
    guard !isPushDue else { return }
    isPushDue = true
    loop.callSoon { [self] in
      isPushDue = false
      // An error has ended the connection, which its task finds.
      _ = try? send()
    }
  }
}
