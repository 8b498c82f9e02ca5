// SPDX-License-Identifier: Apache-2.0
//
// Who is told of the end of a future: tasks that await it, and done callbacks, in one order.

/// The observers of a future, in order of adding. Most have none or one, and need no memory beyond this.
struct Observers {
  @safe enum Observer {
    case continuation(UnsafeContinuation<Void, Never>)
    case callback(DoneCallbackToken, Callback)
  }

  /// The callbacks whose future has ended, and which wait in the FIFO; up to half of them may have left it.
  private(set) var scheduled: [(token: DoneCallbackToken, ticket: ReadyQueue.Ticket)] = []
  /// How many of those have left it.
  private var gone = 0
  private var first: Observer?
  private var others: [Observer] = []

  mutating func add(_ observer: Observer) {
    if first == nil { first = observer } else { others.append(observer) }
  }

  /// Removes a callback that waits for the end.
  mutating func remove(_ token: DoneCallbackToken) -> Callback? {
    if case .callback(token, let callback)? = first {
      first = others.isEmpty ? nil : others.removeFirst()
      return callback
    }
    let index = others.firstIndex { if case .callback(token, _) = $0 { true } else { false } }
    guard let index, case .callback(_, let callback) = others.remove(at: index) else { return nil }
    return callback
  }

  mutating func noteScheduled(_ token: DoneCallbackToken, _ ticket: ReadyQueue.Ticket) {
    scheduled.append((token, ticket))
  }

  /// Says that a scheduled callback runs, or was cancelled.
  ///
  /// - Complexity: O(1), amortized.
  mutating func noteGone(from queue: borrowing ReadyQueue) {
    gone += 1
    guard gone * 2 > scheduled.count else { return }
    scheduled.removeAll { !queue.isPending($0.ticket) }
    gone = 0
  }

  /// Takes all that wait for the end: the first, and the others in order.
  mutating func takeAll() -> (first: Observer, others: [Observer])? {
    guard let first = first.take() else { return nil }
    if others.isEmpty { return (first, []) }
    defer { others = [] }
    return (first, others)
  }
}

/// The name of a callback that was added to a future.
public struct DoneCallbackToken: Hashable, Sendable {
  /// Counted up by the loop, so that the token of one future is no token of another.
  let number: UInt64
}
