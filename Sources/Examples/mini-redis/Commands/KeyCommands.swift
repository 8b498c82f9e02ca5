// SPDX-License-Identifier: Apache-2.0
//
// Commands on keys, whatever stands under them: whether they are there, and for how long.

import AsyncIO

enum KeyCommands {
  static let all = [
    Command("del", -2, .generic, [.write], keys: .all, "Delete a key", del),
    Command("unlink", -2, .generic, [.write, .fast], keys: .all, since: "4.0.0", "Delete a key", del),
    Command("exists", -2, .generic, [.readonly, .fast], keys: .all, "Determine if a key exists", exists),
    Command("type", 2, .generic, [.readonly, .fast], keys: .one, "Determine the type stored at key", type),
    Command("keys", 2, .generic, [.readonly], "Find all keys matching the given pattern", keys),
    Command(
      "expire", -3, .generic, [.write, .fast], keys: .one, "Set a key's time to live in seconds",
      { (request, client, loop) throws(CommandError) in
        try expire(request, client, "expire", areSeconds: true, on: loop)
      }),
    Command(
      "pexpire", -3, .generic, [.write, .fast], keys: .one, since: "2.6.0",
      "Set a key's time to live in milliseconds",
      { (request, client, loop) throws(CommandError) in
        try expire(request, client, "pexpire", areSeconds: false, on: loop)
      }),
    Command(
      "ttl", 2, .generic, [.readonly, .fast], keys: .one, "Get the time to live for a key in seconds",
      { (request, client, loop) throws(CommandError) in
        // The nearest second, as Redis tells it.
        timeToLive(request, client, on: loop) { ($0 + 500) / 1_000 }
      }),
    Command(
      "pttl", 2, .generic, [.readonly, .fast], keys: .one, since: "2.6.0",
      "Get the time to live for a key in milliseconds",
      { (request, client, loop) throws(CommandError) in timeToLive(request, client, on: loop) { $0 } }),
    Command(
      "persist", 2, .generic, [.write, .fast], keys: .one, since: "2.2.0", "Remove the expiration from a key",
      { (request, client, loop) throws(CommandError) in
        client.output.integer(client.service.keyspace.persist(request.string(1), on: loop) ? 1 : 0)
      }),
  ]

  private static func del(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    var count = 0
    for index in 1..<request.count where client.service.keyspace.remove(request.string(index), on: loop) { count += 1 }
    client.output.integer(count)
  }

  private static func exists(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    var count = 0
    for index in 1..<request.count where client.service.keyspace.contains(request.string(index)) { count += 1 }
    client.output.integer(count)
  }

  private static func type(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    client.output.status(client.service.keyspace[request.string(1)]?.typeName ?? "none")
  }

  private static func keys(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    let pattern = GlobPattern(request.string(1))
    let keys = client.service.keyspace.keys
    if pattern.matchesAll {
      client.output.array(keys.count)
      for key in keys { client.output.bulk(key) }
    } else {
      let found = keys.filter { pattern.matches($0) }
      client.output.array(found.count)
      for key in found { client.output.bulk(key) }
    }
  }

  // MARK: Time to live

  private static func expire(
    _ request: borrowing Request, _ client: Session, _ name: String, areSeconds: Bool, on loop: isolated EventLoop
  ) throws(CommandError) {
    let keyspace = client.service.keyspace
    let key = request.string(1)
    let condition = try ExpiryCondition(request)
    guard let delay = Duration(try request.integer(2), areSeconds: areSeconds) else { throw .invalidExpireTime(name) }
    let deadline = loop.now.advanced(by: delay)
    guard keyspace.contains(key), condition.allows(deadline, insteadOf: keyspace.deadline(key, on: loop)) else {
      return client.output.integer(0)
    }
    keyspace.expire(key, at: deadline, on: loop)
    client.output.integer(1)
  }

  private static func timeToLive(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop, _ unit: (Int) -> Int
  ) {
    let keyspace = client.service.keyspace
    let key = request.string(1)
    guard keyspace.contains(key) else { return client.output.integer(-2) }
    guard let deadline = keyspace.deadline(key, on: loop) else { return client.output.integer(-1) }
    client.output.integer(unit(loop.now.duration(to: deadline).wholeMilliseconds))
  }
}

/// What stands behind the time in EXPIRE.
private struct ExpiryCondition {
  private var isNew = false
  private var exists = false
  private var isLater = false
  private var isEarlier = false

  init(_ request: borrowing Request) throws(CommandError) {
    for index in 3..<max(3, request.count) {
      if request.isWord(index, "nx") {
        isNew = true
      } else if request.isWord(index, "xx") {
        exists = true
      } else if request.isWord(index, "gt") {
        isLater = true
      } else if request.isWord(index, "lt") {
        isEarlier = true
      } else {
        throw CommandError("ERR Unsupported option \(request.text(index))")
      }
    }
    if isNew && (exists || isLater || isEarlier) {
      throw CommandError("ERR NX and XX, GT or LT options at the same time are not compatible")
    }
    if isLater && isEarlier { throw CommandError("ERR GT and LT options at the same time are not compatible") }
  }

  /// A key that stays counts as one that goes last.
  func allows(_ deadline: EventLoop.Instant, insteadOf old: EventLoop.Instant?) -> Bool {
    guard let old else { return !exists && !isLater }
    return !isNew && (!isLater || deadline > old) && (!isEarlier || deadline < old)
  }
}

extension Duration {
  /// In milliseconds, of which one that has begun counts. Never below 0.
  fileprivate var wholeMilliseconds: Int {
    let (seconds, attoseconds) = components
    guard seconds >= 0, attoseconds >= 0 else { return 0 }
    return Int(seconds) * 1_000 + Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
  }
}
