// SPDX-License-Identifier: Apache-2.0
//
// Commands on the service as a whole: what it holds, and how it is.

import AsyncIO
import Glibc

enum ServerCommands {
  /// The version of Redis whose words and ways are followed.
  static let version = "7.0.15"

  static let all = [
    Command(
      "dbsize", 1, .server, [.readonly, .fast], "Return the number of keys in the selected database",
      { (request, client, loop) throws(CommandError) in client.output.integer(client.service.keyspace.count) }),
    Command("flushall", -1, .server, [.write], "Remove all keys from all databases", flush),
    Command("flushdb", -1, .server, [.write], "Remove all keys from the current database", flush),
    Command("info", -1, .server, [.loading, .stale], "Get information and statistics about the server", info),
    Command(
      "config", -2, .server, [.admin, .noscript, .loading, .stale], since: "2.0.0",
      "A container for server configuration commands", config),
    Command(
      "command", -1, .server, [.loading, .stale], since: "2.8.13", "Get array of Redis command details",
      CommandDescriptions.command),
  ]

  private static func flush(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    guard request.count == 1 || request.count == 2 && (request.isWord(1, "sync") || request.isWord(1, "async")) else {
      throw .syntax
    }
    client.service.keyspace.removeAll(on: loop)
    client.output.ok()
  }

  // MARK: Configuration

  private static func config(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    guard request.isWord(1, "get") else { throw .unknownSubcommand(request.text(1), of: "config") }
    guard request.count > 2 else { throw .wrongNumberOfArguments("config|get") }
    let names = request.strings(from: 2)
    var found: [(ByteString, String)] = []
    for parameter in client.service.settings.parameters {
      if let name = names.first(where: { String(decodingBytes: $0).lowercased() == parameter.name }) {
        // In the letters of the question.
        found.append((name, parameter.value))
      } else if names.contains(where: { GlobPattern($0, ignoresCase: true).matches(ByteString(parameter.name)) }) {
        found.append((ByteString(parameter.name), parameter.value))
      }
    }
    client.output.array(2 * found.count)
    for (name, value) in found { client.output.pair(name, value) }
  }

  // MARK: Information

  private static func info(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    let wanted = Set(request.strings(from: 1).map { String(decodingBytes: $0).lowercased() })
    let isAll = wanted.isEmpty || !wanted.isDisjoint(with: ["all", "default", "everything"])
    let sections = client.service.information(at: loop.now).filter { isAll || wanted.contains($0.name.lowercased()) }
    let texts = sections.map { section in
      "# \(section.name)\r\n" + section.lines.map { "\($0):\($1)\r\n" }.joined()
    }
    client.output.bulk(texts.joined(separator: "\r\n"))
  }
}

extension Settings {
  /// What CONFIG GET tells: what clients ask for, and can rely on.
  var parameters: [(name: String, value: String)] {
    [
      ("appendonly", "no"),
      ("bind", host),
      ("client-output-buffer-limit", "normal 0 0 0 slave 0 0 0 pubsub \(limits.push) 0 0"),
      ("client-query-buffer-limit", "\(limits.request.request)"),
      ("databases", "1"),
      ("maxclients", "\(maximumClients)"),
      ("maxmemory", "0"),
      ("port", "\(port)"),
      ("proto-max-bulk-len", "\(limits.request.bulk)"),
      ("save", ""),
      ("timeout", "\(limits.idleSeconds)"),
    ]
  }
}

extension Service {
  fileprivate typealias Section = (name: String, lines: [(String, String)])

  fileprivate func information(at now: EventLoop.Instant) -> [Section] {
    let uptime = started.duration(to: now).components.seconds
    let keys = ("db0", "keys=\(keyspace.count),expires=\(keyspace.countWithTimeToLive),avg_ttl=0")
    return [
      (
        "Server",
        [
          ("redis_version", ServerCommands.version), ("server_name", "mini-redis"), ("redis_mode", "standalone"),
          ("process_id", "\(getpid())"), ("tcp_port", "\(settings.port)"), ("uptime_in_seconds", "\(uptime)"),
        ]
      ),
      (
        "Clients",
        [
          ("connected_clients", "\(statistics.clients)"), ("maxclients", "\(settings.maximumClients)"),
          ("blocked_clients", "\(blocked.count)"),
        ]
      ),
      (
        "Stats",
        [
          ("total_connections_received", "\(statistics.connections)"),
          ("total_commands_processed", "\(statistics.commands)"),
          ("rejected_connections", "\(statistics.rejected)"), ("expired_keys", "\(keyspace.expired)"),
          ("pubsub_channels", "\(channels.count)"),
        ]
      ),
      ("Replication", [("role", "master"), ("connected_slaves", "0")]),
      ("Keyspace", keyspace.count == 0 ? [] : [keys]),
    ]
  }
}
