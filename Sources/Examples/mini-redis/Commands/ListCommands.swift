// SPDX-License-Identifier: Apache-2.0
//
// Commands on lists, and the wait for an element of one.

import AsyncIO

enum ListCommands {
  static let all = [
    Command(
      "lpush", -3, .list, [.write, .denyoom, .fast], keys: .one, "Prepend one or multiple elements to a list",
      { (request, client, loop) throws(CommandError) in try push(request, client, at: .left, on: loop) }),
    Command(
      "rpush", -3, .list, [.write, .denyoom, .fast], keys: .one, "Append one or multiple elements to a list",
      { (request, client, loop) throws(CommandError) in try push(request, client, at: .right, on: loop) }),
    Command(
      "lpop", -2, .list, [.write, .fast], keys: .one, "Remove and get the first elements in a list",
      { (request, client, loop) throws(CommandError) in try pop(request, client, "lpop", at: .left, on: loop) }),
    Command(
      "rpop", -2, .list, [.write, .fast], keys: .one, "Remove and get the last elements in a list",
      { (request, client, loop) throws(CommandError) in try pop(request, client, "rpop", at: .right, on: loop) }),
    Command("llen", 2, .list, [.readonly, .fast], keys: .one, "Get the length of a list", llen),
    Command("lrange", 4, .list, [.readonly], keys: .one, "Get a range of elements from a list", lrange),
    Command(
      "blpop", -3, .list, [.write, .noscript, .blocking], keys: Command.Keys(1, -2, 1), since: "2.0.0",
      "Remove and get the first element in a list, or block until one is available",
      { (request, client, loop) throws(CommandError) in try popOrWait(request, client, at: .left, on: loop) }),
    Command(
      "brpop", -3, .list, [.write, .noscript, .blocking], keys: Command.Keys(1, -2, 1), since: "2.0.0",
      "Remove and get the last element in a list, or block until one is available",
      { (request, client, loop) throws(CommandError) in try popOrWait(request, client, at: .right, on: loop) }),
  ]

  private static func push(
    _ request: borrowing Request, _ client: Session, at end: ListEnd, on loop: isolated EventLoop
  ) throws(CommandError) {
    let service = client.service
    let key = request.string(1)
    let list = try service.keyspace.listOrNew(key)
    for index in 2..<request.count { list.push(request.string(index), at: end) }
    // The length before those who wait have taken theirs.
    client.output.integer(list.count)
    service.blocked.serve(key, from: service.keyspace, on: loop)
  }

  private static func pop(
    _ request: borrowing Request, _ client: Session, _ name: String, at end: ListEnd, on loop: isolated EventLoop
  ) throws(CommandError) {
    guard request.count <= 3 else { throw .wrongNumberOfArguments(name) }
    let keyspace = client.service.keyspace
    let key = request.string(1)
    guard request.count == 3 else {
      let list = try keyspace.list(key)
      return client.output.bulkOrNull(list.flatMap { keyspace.pop($0, key, at: end, on: loop) })
    }
    guard let wanted = Decimal.parse(request[2]), wanted >= 0 else { throw .mustBePositive }
    guard let list = try keyspace.list(key) else { return client.output.nullArray() }
    let count = min(wanted, list.count)
    client.output.array(count)
    for _ in 0..<count { client.output.bulkOrNull(keyspace.pop(list, key, at: end, on: loop)) }
  }

  private static func llen(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    client.output.integer(try client.service.keyspace.list(request.string(1))?.count ?? 0)
  }

  private static func lrange(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    let first = try request.integer(2)
    let last = try request.integer(3)
    guard let list = try client.service.keyspace.list(request.string(1)) else { return client.output.array(0) }
    // Below 0, they count from the end.
    let start = max(0, first < 0 ? first + list.count : first)
    let end = min(list.count, last < 0 ? last + list.count + 1 : min(last, list.count - 1) + 1)
    guard start < end else { return client.output.array(0) }
    client.output.array(end - start)
    for element in list.elements[start..<end] { client.output.bulk(element) }
  }

  private static func popOrWait(
    _ request: borrowing Request, _ client: Session, at end: ListEnd, on loop: isolated EventLoop
  ) throws(CommandError) {
    let service = client.service
    let limit = try timeLimit(request.text(request.count - 1))
    let keys = request.strings(from: 1).dropLast()
    for key in keys {
      if let list = try service.keyspace.list(key), let element = service.keyspace.pop(list, key, at: end, on: loop) {
        return client.output.element(element, of: key)
      }
    }
    service.blocked.wait(client, for: Array(keys), at: end, limit, on: loop)
  }

  /// Seconds, also parts of one; 0 for ever.
  private static func timeLimit(_ text: String) throws(CommandError) -> Duration? {
    guard let seconds = Double(text), !seconds.isNaN else { throw .notADuration }
    guard seconds >= 0 else { throw .negativeTimeout }
    guard seconds * 1_000 < 0x1p63 else { throw .timeoutOutOfRange }
    // Up to a millisecond, as Redis does: a limit is no less than what was asked for.
    return seconds == 0 ? nil : .milliseconds(Int((seconds * 1_000).rounded(.up)))
  }
}
