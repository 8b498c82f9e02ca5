// SPDX-License-Identifier: Apache-2.0
//
// Signals as a sequence, for tasks that wait for them.

extension EventLoop {
  /// The arrivals of some signals, one element after another.
  ///
  /// ```swift
  /// for try await signal in try loop.signals([SIGTERM, SIGHUP]) {
  ///   if signal == SIGTERM { break }
  ///   reload()
  /// }
  /// ```
  ///
  /// From this call on the process does not do on them what it did before. That is restored when the iteration ends, or
  /// is dropped: with the last of the sequence and its iterators, with ``SignalSequence/end()``, or with the loop.
  /// Handlers of ``addSignalHandler(_:fileID:line:_:)``, other sequences and other loops are told, too.
  ///
  /// Signals that come while nobody waits are kept: each number once. So a burst is one element or more, and at least one
  /// comes after its last signal.
  ///
  /// - Parameter numbers: `SIGTERM`, `SIGHUP`, …
  /// - Throws: ``SystemError`` with `EINVAL` for a number that is no signal, or one that cannot be handled (`SIGKILL`,
  ///   `SIGSTOP`); ``InvalidArgumentError`` for none; ``LoopClosedError`` on a closed loop.
  public func signals(_ numbers: [Int32]) throws -> SignalSequence {
    guard !numbers.isEmpty else {
      throw InvalidArgumentError("EventLoop.signals: there are no signals to wait for; give one or more")
    }
    let subscription = SignalSubscription(on: self)
    subscription.listener = try addSignalListener(numbers) { [weak subscription] in subscription?.arrive($0) }
    return SignalSequence(subscription: subscription)
  }
}

/// What ``EventLoop/signals(_:)`` returns: the numbers of signals that have come.
///
/// It belongs to its loop. Several iterations share what comes: each arrival is an element of one of them.
public struct SignalSequence: AsyncSequence {
  let subscription: SignalSubscription

  /// Begins an iteration.
  public func makeAsyncIterator() -> Iterator { Iterator(subscription: subscription) }

  /// Ends all iterations, and restores what the process did on the signals before. What has come, and was not taken, is
  /// dropped.
  public func end() { subscription.end() }

  /// An iteration.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate let subscription: SignalSubscription

    /// The next signal that has come; `nil` after the end.
    ///
    /// - Cancellation: Throws `CancellationError`. No signal is lost: the next call gets it.
    /// - Threading: The loop's.
    public mutating func next() async throws -> Int32? { try await next(isolation: #isolation) }

    /// The same, in the isolation of the caller.
    public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Int32? {
      try await subscription.next()
    }
  }
}

/// The interest of a sequence and its iterators.
///
/// Invariant: it is used by the thread that holds the loop. `pending` has each number once; who waits stands in
/// `waiting` until somebody wakes it.
final class SignalSubscription {
  private let loop: EventLoop
  var listener: SignalListener?
  private(set) var pending: [Int32] = []
  private var waiting: [Waiter] = []

  init(on loop: EventLoop) { self.loop = loop }

  func arrive(_ signal: Int32) {
    if !pending.contains(signal) { pending.append(signal) }
    tellNext()
  }

  private func tellNext() {
    if !waiting.isEmpty { waiting.removeFirst().wake() }
  }

  func next() async throws -> Int32? {
    while pending.isEmpty {
      if listener == nil || loop.isClosed { return nil }
      let waiter = Waiter()
      waiting.append(waiter)
      do {
        try await waiter.wait(on: loop.executor)
      } catch {
        waiting.removeAll { $0 === waiter }
        // Cancelled as it was woken: another one goes in its place.
        if waiter.wasWoken && !pending.isEmpty { tellNext() }
        throw error
      }
    }
    return pending.removeFirst()
  }

  func end() {
    guard let listener = listener.take() else { return }
    loop.assumeIsolated { $0.removeSignalListener(listener) }
    pending = []
    while !waiting.isEmpty { tellNext() }
  }

  deinit {
    guard let listener else { return }
    _ = loop.executor.onLoop { [loop] in loop.assumeIsolated { $0.removeSignalListener(listener) } }
  }
}
