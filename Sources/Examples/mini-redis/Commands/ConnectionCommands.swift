// SPDX-License-Identifier: Apache-2.0
//
// Commands on the connection itself, and what client libraries say first of all.

import AsyncIO

enum ConnectionCommands {
  static let all = [
    Command("ping", -1, .connection, [.fast], "Ping the server", ping),
    Command(
      "echo", 2, .connection, [.fast], "Echo the given string",
      { (request, client, loop) throws(CommandError) in client.output.bulk(request[1]) }),
    Command(
      "quit", -1, .connection, [.noscript, .loading, .stale, .fast, .noAuth], "Close the connection",
      { (request, client, loop) throws(CommandError) in
        client.output.ok()
        client.end()
      }),
    Command("select", 2, .connection, [.loading, .stale, .fast], "Change the selected database", select),
    Command(
      "hello", -1, .connection, [.noscript, .loading, .stale, .fast, .noAuth], since: "6.0.0", "Handshake with Redis",
      hello),
    Command(
      "client", -2, .connection, [.noscript, .loading, .stale], since: "2.4.0",
      "A container for client connection commands", client),
  ]

  private static func ping(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    guard request.count <= 2 else { throw .wrongNumberOfArguments("ping") }
    if !client.subscriptions.isEmpty {
      // A subscriber must be able to tell it from a message.
      client.output.array(2)
      client.output.bulk("pong" as ByteString)
      client.output.bulk(request.count == 2 ? request.string(1) : "")
    } else if request.count == 2 {
      client.output.bulk(request[1])
    } else {
      client.output.status("PONG")
    }
  }

  /// There is one database.
  private static func select(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    guard try request.integer(1) == 0 else { throw .noSuchDatabase }
    client.output.ok()
  }

  private static func hello(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    if request.count > 1 {
      guard let version = Decimal.parse(request[1]) else { throw .notAProtocol }
      guard version == 2 else { throw .unsupportedProtocol }
    }
    var index = 2
    while index < request.count {
      guard request.isWord(index, "setname"), index + 1 < request.count else {
        throw CommandError("ERR Syntax error in HELLO option '\(request.text(index))'")
      }
      client.name = try clientName(request.string(index + 1))
      index += 2
    }
    client.output.array(14)
    client.output.pair("server", "redis")
    client.output.pair("version", ServerCommands.version)
    client.output.bulk("proto" as ByteString)
    client.output.integer(2)
    client.output.bulk("id" as ByteString)
    client.output.integer(client.number)
    client.output.pair("mode", "standalone")
    client.output.pair("role", "master")
    client.output.bulk("modules" as ByteString)
    client.output.array(0)
  }

  private static func client(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    func requireCount(_ count: Int) throws(CommandError) {
      guard request.count == count else { throw .wrongNumberOfArguments("client|\(request.text(1).lowercased())") }
    }
    if request.isWord(1, "setname") {
      try requireCount(3)
      client.name = try clientName(request.string(2))
      client.output.ok()
    } else if request.isWord(1, "getname") {
      try requireCount(2)
      client.output.bulkOrNull(client.name.isEmpty ? nil : client.name)
    } else if request.isWord(1, "id") {
      try requireCount(2)
      client.output.integer(client.number)
    } else if request.isWord(1, "setinfo") {
      try requireCount(4)
      client.output.ok()
    } else {
      throw .unknownSubcommand(request.text(1), of: "client")
    }
  }

  private static func clientName(_ name: ByteString) throws(CommandError) -> ByteString {
    let isPlain = name.withSpan { bytes in (0..<bytes.count).allSatisfy { (33...126).contains(bytes[$0]) } }
    guard isPlain else {
      throw CommandError("ERR Client names cannot contain spaces, newlines or special characters.")
    }
    return name
  }
}
