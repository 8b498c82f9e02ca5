// SPDX-License-Identifier: Apache-2.0
//
// One client, without its connection: bytes in, bytes out. So all that the service does can be tested without a socket,
// and the network around it is thin.

import AsyncIO

/// A client: what it asks for, and the replies that it has not been given.
///
/// ```swift
/// try reader.consume { session.receive($0, on: loop) }     // carries out what is whole
/// try await writer.write(session.output.take())
/// ```
///
/// Invariant: requests are carried out in order, and only while there is no `waiter`, the session has not ended, and the
/// replies that wait are few. What a command does to another session carries none of that session's own requests out.
final class Session {
  let service: Service
  let number: Int
  /// What the client calls itself.
  var name: ByteString = ""
  let output: ReplyBuffer
  var subscriptions = Roll<ByteString>()
  /// Called when another client's command has added something to the replies; or has ended the session, which does not take
  /// them.
  var onPush: () -> Void = {}
  /// How many bytes of replies that were taken have not been sent.
  var unsentCount: () -> Int = { 0 }

  /// What the client waits for, with all its requests; `nil` when it does not.
  private(set) var waiter: BlockedClient?
  /// Whether the connection is to be closed, once the replies have been sent.
  var hasEnded: Bool { isOver || output.isOverfull }
  private var isOver = false
  /// Whether requests that were received wait until the replies to those before them have been sent.
  private(set) var isHeldBack = false
  private var parser: RequestParser
  private var isClosed = false

  init(of service: Service) {
    self.service = service
    output = ReplyBuffer(limit: service.settings.limits.reply)
    parser = RequestParser(limits: service.settings.limits.request)
    let isRefused = service.isFull
    number = service.enter()
    if isRefused {
      service.statistics.rejected += 1
      output.error(CommandError.tooManyClients.description)
      end()
    }
  }

  /// Carries out the requests that are whole, and may be carried out now.
  ///
  /// - Returns: How many bytes are used up, from the front. The others are to be given again, with those that come after
  ///   them: when there are more; at once, if it ``isHeldBack``, when the replies were sent; or when ``waiter`` is served.
  func receive(_ bytes: Span<UInt8>, on loop: isolated EventLoop) -> Int {
    isHeldBack = false
    while waiter == nil && !hasEnded {
      guard output.count < Self.enoughOutput else {
        isHeldBack = true
        break
      }
      switch parser.next(in: bytes) {
      case .request: carryOut(Request(bytes, parser.arguments, parser.count), on: loop)
      case .inline: carryOutInline(on: loop)
      case .incomplete: return parser.discard()
      case .failed(let error): end(with: error)
      }
    }
    return hasEnded ? bytes.count : parser.discard()
  }

  private func carryOutInline(on loop: isolated EventLoop) {
    let line = parser.line
    carryOut(Request(line.span, parser.arguments, parser.count), on: loop)
  }

  private func carryOut(_ request: borrowing Request, on loop: isolated EventLoop) {
    service.statistics.commands += 1
    do throws(CommandError) {
      guard let command = service.commands.find(request[0]) else { throw .unknownCommand(request) }
      guard command.accepts(request.count) else { throw .wrongNumberOfArguments(command.name) }
      if !subscriptions.isEmpty && !command.isAllowedWhileSubscribed { throw .notWhileSubscribed(command.name) }
      try command.body(request, self, loop)
    } catch {
      output.error(error.description)
    }
  }

  /// With so much to send, the next request waits: a client that does not read costs no more than this, and one reply.
  private static let enoughOutput = 256 << 10

  /// Lets the requests of the client wait, until ``unblock()``.
  func block(_ waiter: BlockedClient) { self.waiter = waiter }

  /// Lets them go on, after a reply that was added.
  func unblock() { waiter = nil }

  /// Adds a message of a channel to the replies. A client that does not take them is ended instead, before they take more
  /// memory than they may.
  func push(_ message: ByteString, of channel: ByteString) {
    if output.count + unsentCount() + channel.count + message.count > service.settings.limits.push {
      end()
    } else {
      output.array(3)
      output.bulk("message" as ByteString)
      output.bulk(channel)
      output.bulk(message)
    }
    onPush()
  }

  // MARK: The end

  /// Ends the session after its last reply.
  func end() { isOver = true }

  /// The same, for bytes that are no request.
  func end(with error: ProtocolError) {
    output.error("ERR \(error)")
    end()
  }

  /// The client is gone.
  func close(on loop: isolated EventLoop) {
    guard !isClosed else { return }
    isClosed = true
    if let waiter { service.blocked.leave(waiter, on: loop) }
    service.channels.unsubscribeFromAll(self)
    isOver = true
    onPush = {}
    unsentCount = { 0 }
    service.leave()
  }
}

extension Session: Hashable {
  static func == (a: Session, b: Session) -> Bool { a === b }

  func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
