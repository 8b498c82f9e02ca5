// SPDX-License-Identifier: Apache-2.0
//
// Strings that are numbers.

import AsyncIO

enum CounterCommands {
  static let all = [
    Command(
      "incr", 2, .string, flags, keys: .one, "Increment the integer value of a key by one",
      { (request, client, loop) throws(CommandError) in try add(1, request, client) }),
    Command(
      "decr", 2, .string, flags, keys: .one, "Decrement the integer value of a key by one",
      { (request, client, loop) throws(CommandError) in try add(-1, request, client) }),
    Command(
      "incrby", 3, .string, flags, keys: .one, "Increment the integer value of a key by the given amount",
      { (request, client, loop) throws(CommandError) in try add(request.integer(2), request, client) }),
    Command(
      "decrby", 3, .string, flags, keys: .one, "Decrement the integer value of a key by the given number",
      { (request, client, loop) throws(CommandError) in
        let amount = try request.integer(2)
        guard amount != .min else { throw .negativeOverflow }
        try add(-amount, request, client)
      }),
  ]

  private static let flags: [Command.Flag] = [.write, .denyoom, .fast]

  /// Adds to the number under a key; nothing counts as 0. Its time to live goes on.
  private static func add(
    _ amount: Int, _ request: borrowing Request, _ client: Session
  ) throws(CommandError) {
    let key = request.string(1)
    var number = 0
    if let string = try client.service.keyspace.string(key) {
      guard let old = string.withSpan({ Decimal.parse($0) }) else { throw .notAnInteger }
      number = old
    }
    let (sum, isTooLarge) = number.addingReportingOverflow(amount)
    guard !isTooLarge else { throw .overflow }
    client.service.keyspace.replace(key, .string(ByteString(sum)))
    client.output.integer(sum)
  }
}
