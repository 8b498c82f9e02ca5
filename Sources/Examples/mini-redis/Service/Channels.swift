// SPDX-License-Identifier: Apache-2.0
//
// Who hears what is published.

/// The subscribers of channels.
///
/// Invariant: a session is among the subscribers of exactly the channels in its `subscriptions`. No channel is without a
/// subscriber.
final class Channels {
  private var subscribers: [ByteString: Roll<Session>] = [:]

  /// How many channels somebody hears.
  var count: Int { subscribers.count }

  func subscribe(_ session: Session, to channel: ByteString) {
    guard session.subscriptions.insert(channel) else { return }
    subscribers[channel, default: Roll()].insert(session)
  }

  func unsubscribe(_ session: Session, from channel: ByteString) {
    guard session.subscriptions.remove(channel) else { return }
    subscribers[channel]?.remove(session)
    if subscribers[channel]?.isEmpty == true { subscribers[channel] = nil }
  }

  func unsubscribeFromAll(_ session: Session) {
    for channel in session.subscriptions.inOrder { unsubscribe(session, from: channel) }
  }

  /// Gives a message to all who hear a channel, in the order in which they subscribed.
  ///
  /// - Returns: How many they are.
  func publish(_ message: ByteString, to channel: ByteString) -> Int {
    guard let sessions = subscribers[channel] else { return 0 }
    for session in sessions.inOrder where !session.hasEnded { session.push(message, of: channel) }
    return sessions.count
  }
}
