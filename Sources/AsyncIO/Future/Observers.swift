// SPDX-License-Identifier: Apache-2.0
//
// Who is told of the end of a future: tasks that await it, combinators, and done callbacks, in one order.

/// Something of ours that is told of the end of futures, there and then, on the loop.
///
/// It runs inside of the call that ends the future, so it calls no code of users.
protocol EndObserver: AnyObject {
  /// Takes note of an end, by the token under which it observes the future.
  func noteEnd(_ token: DoneCallbackToken)
}

/// The observers of a future, in order of adding. Most have none or one, and need no memory beyond this.
///
/// Invariant: the numbers rise from one to the next. Until they are told, none is `scheduled`; from then on all are. Of
/// those that left, at most half stay behind as `removed`, and none at the end.
struct Observers {
  @safe enum Observer {
    case continuation(UnsafeContinuation<Void, Never>, DoneCallbackToken)
    /// What resumes a Swift task on another thread. (Not its checked continuation, whose size only the runtime knows: no
    /// future's layout would be known to the compiler, and each await would take half as long again.)
    case elsewhere(() -> Void, DoneCallbackToken)
    case callback(DoneCallbackToken, Callback)
    case observer(any EndObserver, DoneCallbackToken)
    /// A callback whose future has ended, and which waits in the FIFO.
    case scheduled(DoneCallbackToken, ReadyQueue.Ticket)
    /// The place of one that left.
    case removed(DoneCallbackToken)

    fileprivate var token: DoneCallbackToken {
      switch self {
      case .continuation(_, let token), .elsewhere(_, let token), .callback(let token, _), .observer(_, let token),
        .scheduled(let token, _), .removed(let token):
        token
      }
    }

    fileprivate var isRemoved: Bool { if case .removed = self { true } else { false } }
  }

  private var first: Observer?
  private var others: [Observer] = []
  private var removedCount = 0

  /// How many there are.
  var count: Int { (first == nil ? 0 : 1) + others.count - removedCount }

  mutating func add(_ observer: Observer) {
    if first == nil { first = observer } else { others.append(observer) }
  }

  /// Removes what a token names; the caller lets go of it.
  ///
  /// - Complexity: O(log n), amortized.
  mutating func remove(_ token: DoneCallbackToken) -> Observer? {
    if let found = first, found.token == token, !found.isRemoved {
      first = others.isEmpty ? nil : .removed(token)
      if first != nil { noteRemoval() }
      return found
    }
    guard let index = index(of: token) else { return nil }
    let found = others[index]
    others[index] = .removed(token)
    noteRemoval()
    return found
  }

  /// Takes all that wait for the end: the first, and the others in order.
  mutating func takeAll() -> (first: Observer, others: [Observer])? {
    // Of those that were told, the last has not left.
    if case .scheduled? = others.last ?? first { return nil }
    guard let first = first.take() else { return nil }
    if others.isEmpty { return (first, []) }
    defer {
      others = []
      removedCount = 0
    }
    return (first, others)
  }

  private func index(of token: DoneCallbackToken) -> Int? {
    var low = 0
    var high = others.count
    while low < high {
      let middle = (low + high) / 2
      if others[middle].token.number < token.number { low = middle + 1 } else { high = middle }
    }
    return low < others.count && others[low].token == token && !others[low].isRemoved ? low : nil
  }

  private mutating func noteRemoval() {
    removedCount += 1
    while others.last?.isRemoved == true {
      others.removeLast()
      removedCount -= 1
    }
    if removedCount > others.count / 2 {
      others.removeAll { $0.isRemoved }
      removedCount = 0
      if first?.isRemoved == true { first = others.isEmpty ? nil : others.removeFirst() }
    }
  }
}

/// The name of a callback that was added to a future.
public struct DoneCallbackToken: Hashable, Sendable {
  /// Counted up by the loop, so that the token of one future is no token of another.
  let number: UInt64
}
