// SPDX-License-Identifier: Apache-2.0
//
// What clients ask about the commands: redis-cli completes and explains by it.

import AsyncIO

enum CommandDescriptions {
  /// COMMAND, COMMAND COUNT, COMMAND DOCS, COMMAND INFO and COMMAND LIST.
  static func command(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    let all = client.service.commands.all
    guard request.count > 1 else { return list(all, client) }
    if request.isWord(1, "count") {
      guard request.count == 2 else { throw .wrongNumberOfArguments("command|count") }
      client.output.integer(all.count)
    } else if request.isWord(1, "docs") {
      let commands = request.count > 2 ? named(request, client).compactMap { $0 } : all
      client.output.array(2 * commands.count)
      for command in commands { explain(command, client) }
    } else if request.isWord(1, "info") {
      if request.count == 2 { return list(all, client) }
      let commands = named(request, client)
      client.output.array(commands.count)
      for command in commands {
        if let command { describe(command, client) } else { client.output.null() }
      }
    } else if request.isWord(1, "list") {
      guard request.count == 2 else { throw .syntax }
      client.output.array(all.count)
      for command in all { client.output.bulk(command.name) }
    } else {
      throw .unknownSubcommand(request.text(1), of: "command")
    }
  }

  private static func named(_ request: borrowing Request, _ client: Session) -> [Command?] {
    var commands: [Command?] = []
    for index in 2..<request.count { commands.append(client.service.commands.find(request[index])) }
    return commands
  }

  private static func list(_ commands: [Command], _ client: Session) {
    client.output.array(commands.count)
    for command in commands { describe(command, client) }
  }

  /// Name, arity, flags, first key, last key, step, categories, tips, key specifications, subcommands.
  private static func describe(_ command: Command, _ client: Session) {
    client.output.array(10)
    client.output.bulk(command.name)
    client.output.integer(command.arity)
    client.output.array(command.flags.count)
    for flag in command.flags { client.output.status(flag.rawValue) }
    client.output.integer(command.keys.first)
    client.output.integer(command.keys.last)
    client.output.integer(command.keys.step)
    for _ in 0..<4 { client.output.array(0) }
  }

  /// The name, and a map of what a person wants to know.
  private static func explain(_ command: Command, _ client: Session) {
    client.output.bulk(command.name)
    client.output.array(6)
    client.output.pair("summary", command.summary)
    client.output.pair("since", command.since)
    client.output.pair("group", command.group.rawValue)
  }
}
