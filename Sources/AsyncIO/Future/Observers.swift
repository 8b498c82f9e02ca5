// SPDX-License-Identifier: Apache-2.0
//
// Who is told of the end of a future: tasks that await it, and done callbacks, in one order.

/// The observers of a future, in order of adding. Most have none or one, and need no memory beyond this.
///
/// Invariant: until they are told, each is a continuation of either kind or a callback; from then on each is `scheduled`, and up to half of
/// them, which `gone` counts, have left the FIFO.
struct Observers {
  @safe enum Observer {
    case continuation(UnsafeContinuation<Void, Never>)
    /// Of a Swift task on another thread.
    case elsewhere(CheckedContinuation<Void, Never>)
    case callback(DoneCallbackToken, Callback)
    /// A callback whose future has ended, and which waits in the FIFO.
    case scheduled(DoneCallbackToken, ReadyQueue.Ticket)
  }

  private var first: Observer?
  private var gone: UInt32 = 0
  private var others: [Observer] = []

  var count: Int { others.count + (first == nil ? 0 : 1) }

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

  /// Takes all that wait for the end: the first, and the others in order.
  mutating func takeAll() -> (first: Observer, others: [Observer])? {
    if case .scheduled? = first { return nil }
    guard let first = first.take() else { return nil }
    if others.isEmpty { return (first, []) }
    defer { others = [] }
    return (first, others)
  }

  /// Where a callback stands in the FIFO, or stood.
  func ticket(of token: DoneCallbackToken) -> ReadyQueue.Ticket? {
    if case .scheduled(token, let ticket)? = first { return ticket }
    for case .scheduled(token, let ticket) in others { return ticket }
    return nil
  }

  /// Says that a scheduled callback runs, or was cancelled.
  ///
  /// - Complexity: O(1), amortized.
  mutating func noteGone(from queue: borrowing ReadyQueue) {
    gone += 1
    guard gone * 2 > count else { return }
    if let waiting = first, !waiting.isPending(in: queue) { first = nil }
    others.removeAll { !$0.isPending(in: queue) }
    gone = 0
  }
}

extension Observers.Observer {
  /// Whether it has not left the FIFO.
  fileprivate func isPending(in queue: borrowing ReadyQueue) -> Bool {
    if case .scheduled(_, let ticket) = self { queue.isPending(ticket) } else { true }
  }
}

/// The name of a callback that was added to a future.
public struct DoneCallbackToken: Hashable, Sendable {
  /// Counted up by the loop, so that the token of one future is no token of another.
  let number: UInt64
}
