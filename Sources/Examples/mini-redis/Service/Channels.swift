// SPDX-License-Identifier: Apache-2.0
//
// Who hears what is published.

/// The subscribers of channels.
///
/// Invariant: a session is among the subscribers of exactly the channels in its `subscriptions`. No channel is without a
/// subscriber.
final class Channels {
  private var subscribers: [ByteString: [ObjectIdentifier: Session]] = [:]

  /// How many channels somebody hears.
  var count: Int { subscribers.count }

  func subscribe(_ session: Session, to channel: ByteString) {
    guard session.subscriptions.insert(channel).inserted else { return }
    subscribers[channel, default: [:]][ObjectIdentifier(session)] = session
  }

  func unsubscribe(_ session: Session, from channel: ByteString) {
    guard session.subscriptions.remove(channel) != nil else { return }
    subscribers[channel]?[ObjectIdentifier(session)] = nil
    if subscribers[channel]?.isEmpty == true { subscribers[channel] = nil }
  }

  func unsubscribeFromAll(_ session: Session) {
    for channel in session.subscriptions { unsubscribe(session, from: channel) }
  }

  /// Gives a message to all who hear a channel.
  ///
  /// - Returns: How many they are.
  func publish(_ message: ByteString, to channel: ByteString) -> Int {
    guard let sessions = subscribers[channel] else { return 0 }
    for session in sessions.values where !session.hasEnded {
      session.output.array(3)
      session.output.bulk("message" as ByteString)
      session.output.bulk(channel)
      session.output.bulk(message)
      session.onPush()
    }
    return sessions.count
  }
}
