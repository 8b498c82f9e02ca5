// SPDX-License-Identifier: Apache-2.0
//
// Why a command is not carried out, in the words of Redis, which clients look for.

/// Why a command is not carried out. The client is told, and goes on.
struct CommandError: Error, Equatable, CustomStringConvertible {
  /// The reply: a word in capitals for programs, and a sentence for people.
  let description: String

  init(_ description: String) {
    self.description = description
  }

  static let wrongType = CommandError("WRONGTYPE Operation against a key holding the wrong kind of value")
  static let notAnInteger = CommandError("ERR value is not an integer or out of range")
  static let syntax = CommandError("ERR syntax error")
  static let overflow = CommandError("ERR increment or decrement would overflow")
  static let negativeOverflow = CommandError("ERR decrement would overflow")
  static let mustBePositive = CommandError("ERR value is out of range, must be positive")
  static let noSuchDatabase = CommandError("ERR DB index is out of range")
  static let notADuration = CommandError("ERR timeout is not a float or out of range")
  static let negativeTimeout = CommandError("ERR timeout is negative")
  static let timeoutOutOfRange = CommandError("ERR timeout is out of range")
  static let unsupportedProtocol = CommandError("NOPROTO unsupported protocol version")
  static let notAProtocol = CommandError("ERR Protocol version is not an integer or out of range")
  static let tooManyClients = CommandError("ERR max number of clients reached")

  static func wrongNumberOfArguments(_ command: String) -> Self {
    Self("ERR wrong number of arguments for '\(command)' command")
  }

  static func invalidExpireTime(_ command: String) -> Self {
    Self("ERR invalid expire time in '\(command)' command")
  }

  static func unknownSubcommand(_ subcommand: String, of command: String) -> Self {
    Self("ERR unknown subcommand '\(subcommand.prefix(128))'. Try \(command.uppercased()) HELP.")
  }

  static func notWhileSubscribed(_ command: String) -> Self {
    Self(
      "ERR Can't execute '\(command)': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
        + "this context")
  }

  /// With the first of the arguments, so that a person sees where the stream went wrong.
  static func unknownCommand(_ request: borrowing Request) -> Self {
    var arguments = ""
    var index = 1
    while index < request.count, arguments.utf8.count < 128 {
      arguments += "'\(request.text(index).prefix(128 - arguments.utf8.count))' "
      index += 1
    }
    return Self("ERR unknown command '\(request.text(0).prefix(128))', with args beginning with: \(arguments)")
  }
}
