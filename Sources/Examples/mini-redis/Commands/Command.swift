// SPDX-License-Identifier: Apache-2.0
//
// What is known of a command, and how its name is found without an allocation.

import AsyncIO

/// A command: how it is called, what it does, and what clients are told about it.
final class Command: Sendable {
  /// Carries a request out: replies go to the session.
  typealias Body = @Sendable (borrowing Request, Session, isolated EventLoop) throws(CommandError) -> Void

  /// In small letters.
  let name: String
  /// How many arguments it takes, with its name; that many or more, if it is negative.
  let arity: Int
  let group: Group
  let flags: [Flag]
  /// Which of its arguments are keys.
  let keys: Keys
  let summary: String
  /// The first version of Redis that has it.
  let since: String
  let isAllowedWhileSubscribed: Bool
  let body: Body

  init(
    _ name: String, _ arity: Int, _ group: Group, _ flags: [Flag], keys: Keys = .none, since: String = "1.0.0",
    _ summary: String, _ body: @escaping Body
  ) {
    self.name = name
    self.arity = arity
    self.group = group
    self.flags = flags
    self.keys = keys
    self.since = since
    self.summary = summary
    self.body = body
    isAllowedWhileSubscribed = ["subscribe", "unsubscribe", "ping", "quit"].contains(name)
  }

  /// Whether it takes so many arguments, with its name.
  func accepts(_ count: Int) -> Bool { arity >= 0 ? count == arity : count >= -arity }

  enum Group: String, Sendable {
    case connection, generic, string, list, pubsub, server
  }

  enum Flag: String, Sendable {
    case write, readonly, denyoom, fast, blocking, pubsub, admin, loading, stale, noscript
    case noAuth = "no_auth"
  }

  /// The first key, the last one (-1: the last argument), and the step between them.
  struct Keys: Sendable {
    let first: Int
    let last: Int
    let step: Int

    init(_ first: Int, _ last: Int, _ step: Int) {
      self.first = first
      self.last = last
      self.step = step
    }

    static let none = Keys(0, 0, 0)
    static let one = Keys(1, 1, 1)
    static let all = Keys(1, -1, 1)
  }
}

/// The commands by name.
///
/// Invariant: of the places there are a power of two, a good many of them free. A command stands at the place that its
/// name gives, or in the first free one behind it.
final class CommandTable: Sendable {
  /// In the order of their families.
  let all: [Command]
  private let places: [Place?]

  private struct Place {
    let name: CommandName
    let command: Command
  }

  static let standard = CommandTable(
    ConnectionCommands.all + KeyCommands.all + StringCommands.all + CounterCommands.all + ListCommands.all
      + PubSubCommands.all + ServerCommands.all)

  init(_ commands: [Command]) {
    all = commands
    var places = [Place?](repeating: nil, count: Self.size)
    precondition(commands.count < Self.size / 2, "CommandTable: too many commands for its places; make it larger")
    for command in commands {
      guard let name = CommandName(ByteString(command.name)) else {
        preconditionFailure("CommandTable: the name \(command.name) is too long")
      }
      var place = name.place & (Self.size - 1)
      while places[place] != nil { place = (place + 1) & (Self.size - 1) }
      places[place] = Place(name: name, command: command)
    }
    self.places = places
  }

  /// The command of a name, in letters of any case.
  func find(_ name: Span<UInt8>) -> Command? {
    guard let name = CommandName(name) else { return nil }
    var place = name.place & (Self.size - 1)
    while let found = places[place] {
      if found.name == name { return found.command }
      place = (place + 1) & (Self.size - 1)
    }
    return nil
  }

  private static let size = 256
}

/// A name of at most 16 bytes, in small letters, in two words.
struct CommandName: Equatable {
  private var low: UInt64 = 0
  private var high: UInt64 = 0

  init?(_ bytes: Span<UInt8>) {
    guard bytes.count <= 16 else { return nil }
    for index in 0..<min(8, bytes.count) { low = low << 8 | UInt64(bytes[index].lowercased) }
    for index in 8..<max(8, bytes.count) { high = high << 8 | UInt64(bytes[index].lowercased) }
  }

  init?(_ bytes: ByteString) {
    guard let name = bytes.withSpan({ CommandName($0) }) else { return nil }
    self = name
  }

  /// A number that differs between most names.
  var place: Int {
    let mixed = (low ^ high &* 0x9e37_79b9_7f4a_7c15) &* 0xd6e8_feb8_6659_fd93
    return Int(truncatingIfNeeded: mixed >> 40)
  }
}
