// SPDX-License-Identifier: Apache-2.0
//
// Clients of the service, without connections and with them: what they send, and what they get, as text.

import AsyncIO
import AsyncIOTesting
import Testing

@testable import mini_redis

/// A client of a service, in a test.
final class TestClient {
  let session: Session
  /// How often it was said that there is something to send.
  private(set) var notices = 0
  /// What was sent and not used up.
  private var unread: [UInt8] = []

  init(of service: Service) {
    session = Session(of: service)
    session.onPush = { [weak self] in self?.notices += 1 }
  }

  /// Sends a request, and returns all that has come by then, with `|` in the place of line ends.
  @discardableResult
  func call(_ command: String, on loop: isolated EventLoop) -> String {
    send(Self.request(command), on: loop)
  }

  /// Sends bytes.
  @discardableResult
  func send(_ text: String, on loop: isolated EventLoop) -> String {
    send(Array(text.utf8)[...], on: loop)
  }

  @discardableResult
  func send(_ bytes: ArraySlice<UInt8>, on loop: isolated EventLoop) -> String {
    unread += bytes
    return received(on: loop)
  }

  /// What has come since it was last asked.
  func received(on loop: isolated EventLoop) -> String {
    var text = ""
    repeat {
      unread.removeFirst(session.receive(unread.span, on: loop))
      let bytes = session.output.take()
      text += String(decoding: bytes, as: UTF8.self)
      session.output.recycle(bytes)
    } while session.isHeldBack
    return String(text.replacing("\r\n", with: "|"))
  }

  /// Words as a request; what stands in single quotes is one word.
  static func request(_ command: String) -> String {
    var words: [Substring] = []
    for (number, part) in command.split(separator: "'", omittingEmptySubsequences: false).enumerated() {
      if number.isMultiple(of: 2) {
        words += part.split(separator: " ")
      } else {
        words.append(part)
      }
    }
    return "*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
  }
}

extension Service {
  /// Sends requests of one client, one after the other, and returns the replies.
  func replies(to commands: [String], on loop: isolated EventLoop) -> [String] {
    let client = TestClient(of: self)
    defer { client.session.close(on: loop) }
    return commands.map { client.call($0, on: loop) }
  }
}

/// Runs a service on sockets in memory, and clients of it: in FIFO order, and in many others of what is ready together. At
/// the end no client may be left.
func withService(
  _ settings: Settings = Settings(), capacity: Int? = nil,
  _ body: @escaping @Sendable (isolated EventLoop, Service, Server) async throws -> Void
) throws {
  var configuration = TestLoop.Configuration.network()
  if let capacity { configuration.network?.capacity = capacity }
  try TestLoop.runInEachOrder(configuration, seeds: Schedules.seeds(of: 200, usually: 5)) { loop in
    try await serve(settings, on: loop, body)
  }
}

/// The same, once, on a loop that is there.
func serve(
  _ settings: Settings = Settings(), on loop: isolated EventLoop,
  _ body: @escaping @Sendable (isolated EventLoop, Service, Server) async throws -> Void
) async throws {
  var settings = settings
  settings.port = 0
  let service = Service(settings, on: loop)
  let server = try await service.listen(on: loop)
  defer { server.abortClients() }
  try await body(loop, service, server)
  try await server.closeClients(grace: .seconds(1))
  try await server.waitClosed()
  #expect(service.statistics.clients == 0 && service.blocked.count == 0 && service.channels.count == 0)
}

extension Settings {
  /// The standard, with some of it changed.
  init(with change: (inout Settings) -> Void) {
    self.init()
    change(&self)
  }
}

extension Connection {
  /// What has come, as text.
  func text() async throws -> String {
    String(decoding: try await reader.read(upTo: .max, timeout: .seconds(10)), as: UTF8.self)
  }

  /// All up to the end, as text.
  func rest() async throws -> String {
    String(decoding: try await reader.read(timeout: .seconds(10)), as: UTF8.self)
  }
}
