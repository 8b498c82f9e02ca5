// SPDX-License-Identifier: Apache-2.0
//
// Publishing, and hearing what is published.

import AsyncIO

enum PubSubCommands {
  static let all = [
    Command(
      "subscribe", -2, .pubsub, [.pubsub, .noscript, .loading, .stale], since: "2.0.0",
      "Listen for messages published to the given channels", subscribe),
    Command(
      "unsubscribe", -1, .pubsub, [.pubsub, .noscript, .loading, .stale], since: "2.0.0",
      "Stop listening for messages posted to the given channels", unsubscribe),
    Command(
      "publish", 3, .pubsub, [.pubsub, .loading, .stale, .fast], since: "2.0.0", "Post a message to a channel",
      publish),
  ]

  private static func subscribe(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    for index in 1..<request.count {
      let channel = request.string(index)
      client.service.channels.subscribe(client, to: channel)
      confirm("subscribe", channel, client)
    }
  }

  /// From the channels that are named, or from all, in the order in which it subscribed to them.
  private static func unsubscribe(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    let channels = request.count > 1 ? request.strings(from: 1) : Array(client.subscriptions.inOrder)
    for channel in channels {
      client.service.channels.unsubscribe(client, from: channel)
      confirm("unsubscribe", channel, client)
    }
    if channels.isEmpty { confirm("unsubscribe", nil, client) }
  }

  private static func publish(
    _ request: borrowing Request, _ client: Session, on loop: isolated EventLoop
  ) throws(CommandError) {
    client.output.integer(client.service.channels.publish(request.string(2), to: request.string(1)))
  }

  private static func confirm(_ word: ByteString, _ channel: ByteString?, _ client: Session) {
    client.output.array(3)
    client.output.bulk(word)
    client.output.bulkOrNull(channel)
    client.output.integer(client.subscriptions.count)
  }
}
