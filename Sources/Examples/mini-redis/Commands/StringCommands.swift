// SPDX-License-Identifier: Apache-2.0
//
// Commands on strings, among them the two that a service like this spends its life with.

import AsyncIO

enum StringCommands {
  static let all = [
    Command("get", 2, .string, [.readonly, .fast], keys: .one, "Get the value of a key", get),
    Command(
      "set", -3, .string, [.write, .denyoom], keys: .one,
      "Set the value of a key, with a time to live or a condition", set),
    Command("mget", -2, .string, [.readonly, .fast], keys: .all, "Get the values of all the given keys", mget),
    Command(
      "mset", -3, .string, [.write, .denyoom], keys: Command.Keys(1, -1, 2), since: "1.0.1",
      "Set multiple keys to multiple values", mset),
    Command(
      "getdel", 2, .string, [.write, .fast], keys: .one, since: "6.2.0", "Get the value of a key and delete the key",
      getdel),
    Command("strlen", 2, .string, [.readonly, .fast], keys: .one, since: "2.2.0", "Get the length of a value", strlen),
  ]

  private static func get(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    client.output.bulkOrNull(try client.service.keyspace.string(request.string(1)))
  }

  private static func set(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    let keyspace = client.service.keyspace
    let key = request.string(1)
    let value = Value.string(request.string(2))
    if request.count == 3 {
      keyspace.set(key, value, on: loop)
      return client.output.ok()
    }
    let options = try SetOptions(request)
    let timeToLive = try options.timeToLive(request)
    // The old value goes out before it is known whether the new one comes in.
    if options.getsOld { client.output.bulkOrNull(try keyspace.string(key)) }
    if let condition = options.condition, keyspace.contains(key) != (condition == .exists) {
      if !options.getsOld { client.output.null() }
      return
    }
    if options.keepsTimeToLive {
      keyspace.replace(key, value)
    } else {
      keyspace.set(key, value, on: loop)
    }
    if let timeToLive { keyspace.expire(key, at: loop.now.advanced(by: timeToLive), on: loop) }
    if !options.getsOld { client.output.ok() }
  }

  private static func mget(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    client.output.array(request.count - 1)
    for index in 1..<request.count {
      // A list is no error here: it has no string.
      client.output.bulkOrNull(try? client.service.keyspace.string(request.string(index)))
    }
  }

  private static func mset(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    guard !request.count.isMultiple(of: 2) else { throw .wrongNumberOfArguments("mset") }
    for index in stride(from: 1, to: request.count, by: 2) {
      client.service.keyspace.set(request.string(index), .string(request.string(index + 1)), on: loop)
    }
    client.output.ok()
  }

  private static func getdel(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    let key = request.string(1)
    client.output.bulkOrNull(try client.service.keyspace.string(key))
    client.service.keyspace.remove(key, on: loop)
  }

  private static func strlen(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    client.output.integer(try client.service.keyspace.string(request.string(1))?.count ?? 0)
  }
}

/// What stands behind the value in SET.
private struct SetOptions {
  enum Condition {
    case isNew, exists
  }

  var condition: Condition?
  var getsOld = false
  var keepsTimeToLive = false
  /// Where the number stands, and whether it is of seconds.
  var expiry: (index: Int, isSeconds: Bool)?

  init(_ request: borrowing Request) throws(CommandError) {
    var index = 3
    while index < request.count {
      if request.isWord(index, "nx") && condition != .exists {
        condition = .isNew
      } else if request.isWord(index, "xx") && condition != .isNew {
        condition = .exists
      } else if request.isWord(index, "get") {
        getsOld = true
      } else if request.isWord(index, "keepttl") && expiry == nil {
        keepsTimeToLive = true
      } else if let isSeconds = Self.unit(request, index), index + 1 < request.count, !keepsTimeToLive, expiry == nil {
        index += 1
        expiry = (index, isSeconds)
      } else {
        throw .syntax
      }
      index += 1
    }
  }

  private static func unit(_ request: borrowing Request, _ index: Int) -> Bool? {
    if request.isWord(index, "ex") { return true }
    return request.isWord(index, "px") ? false : nil
  }

  func timeToLive(_ request: borrowing Request) throws(CommandError) -> Duration? {
    guard let expiry else { return nil }
    let number = try request.integer(expiry.index)
    guard number > 0, let duration = Duration(number, areSeconds: expiry.isSeconds) else {
      throw .invalidExpireTime("set")
    }
    return duration
  }
}

extension Duration {
  /// A time to live; `nil` for one whose end, in milliseconds since 1970, has more than 64 bits.
  init?(_ number: Int, areSeconds: Bool) {
    let (milliseconds, isTooLarge) = areSeconds ? number.multipliedReportingOverflow(by: 1_000) : (number, false)
    // What is taken off are 70 years, and some.
    if isTooLarge || milliseconds > .max - 1 << 41 { return nil }
    self = .milliseconds(milliseconds)
  }
}
