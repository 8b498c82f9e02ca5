// SPDX-License-Identifier: Apache-2.0
//
// Those who wait for an element of a list.

import AsyncIO
import DequeModule

/// A client that waits for the first element of one of some lists.
///
/// Invariant: until it is served, or its time has come, or its client is gone, it stands in the queue of each of its
/// keys, and its client is blocked.
final class BlockedClient {
  fileprivate let session: Session
  fileprivate let keys: [ByteString]
  fileprivate let end: ListEnd
  fileprivate var timer: TimerHandle?
  fileprivate var hasLeft = false
  /// Done when the client has been given its reply: an element, or none in the time that it had.
  let isServed: Future<Void>

  fileprivate init(_ session: Session, _ keys: [ByteString], _ end: ListEnd, on loop: isolated EventLoop) {
    self.session = session
    self.keys = keys
    self.end = end
    isServed = loop.createFuture()
  }
}

/// The queues of those who wait, by key: first come, first served.
///
/// One who has left stays in the queues until their front is looked at, or they are the greater part.
final class BlockedClients {
  private struct Queue {
    var waiters: Deque<BlockedClient> = []
    var waiting = 0

    mutating func leave() {
      waiting -= 1
      if waiters.count > 2 * waiting + Self.tolerated { waiters.removeAll { $0.hasLeft } }
    }

    mutating func removeThoseWhoLeft() {
      while let first = waiters.first, first.hasLeft { waiters.removeFirst() }
    }

    static let tolerated = 16
  }

  private var queues: [ByteString: Queue] = [:]
  /// How many clients wait.
  private(set) var count = 0

  /// Lets a client wait for a limited time; `nil`: until there is an element.
  func wait(
    _ session: Session, for keys: [ByteString], at end: ListEnd, _ limit: Duration?, on loop: isolated EventLoop
  ) {
    // A key may be named twice, and is waited for once.
    var seen: Set<ByteString> = []
    let waiter = BlockedClient(session, keys.filter { seen.insert($0).inserted }, end, on: loop)
    for key in waiter.keys {
      queues[key, default: Queue()].waiters.append(waiter)
      queues[key]?.waiting += 1
    }
    count += 1
    session.block(waiter)
    if let limit {
      waiter.timer = loop.callLater(limit) { self.timeHasCome(waiter, on: loop) }
    }
  }

  /// Gives elements of a list that something was pushed to, to those who wait for it.
  func serve(_ key: ByteString, from keyspace: Keyspace, on loop: isolated EventLoop) {
    while !queues.isEmpty, queues[key] != nil {
      queues[key]?.removeThoseWhoLeft()
      guard let waiter = queues[key]?.waiters.first, case .list(let list)? = keyspace[key],
        let element = keyspace.pop(list, key, at: waiter.end, on: loop)
      else { return }
      waiter.session.output.element(element, of: key)
      hasBeenServed(waiter, on: loop)
    }
  }

  private func timeHasCome(_ waiter: BlockedClient, on loop: isolated EventLoop) {
    waiter.session.output.nullArray()
    hasBeenServed(waiter, on: loop)
  }

  private func hasBeenServed(_ waiter: BlockedClient, on loop: isolated EventLoop) {
    leave(waiter, on: loop)
    waiter.session.unblock()
    // It is the only one who does: a waiter leaves once.
    _ = try? waiter.isServed.setResult()
  }

  /// Takes one who waits out of the queues.
  func leave(_ waiter: BlockedClient, on loop: isolated EventLoop) {
    guard !waiter.hasLeft else { return }
    waiter.hasLeft = true
    waiter.timer?.cancel()
    count -= 1
    for key in waiter.keys {
      queues[key]?.leave()
      if queues[key]?.waiting == 0 { queues[key] = nil }
    }
  }
}

extension ReplyBuffer {
  /// An element, and the list that it comes from.
  func element(_ element: ByteString, of key: ByteString) {
    array(2)
    bulk(key)
    bulk(element)
  }
}
