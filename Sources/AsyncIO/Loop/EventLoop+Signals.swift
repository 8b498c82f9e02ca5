// SPDX-License-Identifier: Apache-2.0
//
// Signal handlers that are plain callbacks of the loop.

import SystemPackage

extension EventLoop {
  /// Calls back, on the loop, after each arrival of a signal.
  ///
  /// The callback is a plain one, in the loop's FIFO, not in signal context. Arrivals that come together may be told by
  /// one call; there is always one after the last. Several loops may handle one signal: each is told. A handler that
  /// was there before is replaced.
  ///
  /// - Parameters:
  ///   - signal: `SIGTERM`, `SIGHUP`, … What the process did on it before is restored with the last handler.
  ///   - callback: What is called. One that throws is reported to the exception handler, and stays.
  /// - Throws: ``SystemError`` with `EINVAL` for a number that is no signal, or one that cannot be handled (`SIGKILL`,
  ///   `SIGSTOP`). ``LoopClosedError`` on a closed loop.
  public func addSignalHandler(_ signal: Int32, _ callback: @escaping () throws -> Void) throws {
    guard !isClosed else { throw LoopClosedError() }
    guard signal > 0, signal < SignalDelivery.limit else { throw SystemError(.invalidArgument, in: "sigaction") }
    let replaced = try signals.add(signal, callback)
    // What its captures' deinit does finds the handlers in order.
    defer { withExtendedLifetime(replaced) {} }
    guard signals.arrivals == nil else { return }
    do {
      signals.arrivals = try backend.watch(SignalDelivery.arrivals(), for: .arrival) { [unowned self] in
        assumeIsolated { $0.noticeSignals() }
      }
    } catch {
      removeSignalHandler(signal)
      throw error
    }
  }

  /// Removes the handler of a signal; it does not run any more, even if the signal has come.
  ///
  /// - Returns: `false` when there was none.
  @discardableResult
  public func removeSignalHandler(_ signal: Int32) -> Bool {
    signals.remove(signal) != nil
  }

  func removeAllSignalHandlers() {
    for signal in signals.handlers.keys.sorted() { removeSignalHandler(signal) }
  }

  private func noticeSignals() {
    for (signal, handler) in signals.handlers.sorted(by: { $0.key < $1.key }) {
      let count = SignalDelivery.count(of: signal)
      guard count != handler.seen else { continue }
      signals.note(count, of: signal)
      callSoon { try self.signals.handlers[signal]?.callback() }
    }
  }
}

/// A loop's signal handlers.
///
/// Invariant: for each handler there is one `SignalDelivery.add`, which is taken back with it, at the latest when the
/// loop goes, closed or not; the shared descriptor is watched exactly while there are handlers.
struct SignalHandlers: ~Copyable {
  private(set) var handlers: [Int32: SignalHandler] = [:]
  var arrivals: (any Watch)?

  /// - Returns: The handler whose place it takes.
  mutating func add(_ signal: Int32, _ callback: @escaping Callback) throws(SystemError) -> SignalHandler? {
    let replaced = handlers[signal]
    // A signal that has come, and was not told yet, is told to the one that takes the place.
    let seen = replaced?.seen ?? SignalDelivery.count(of: signal)
    if replaced == nil { try SignalDelivery.add(signal) }
    handlers[signal] = SignalHandler(seen: seen, callback: callback)
    return replaced
  }

  /// Says how many arrivals a handler is told of.
  mutating func note(_ count: UInt64, of signal: Int32) { handlers[signal]?.seen = count }

  /// - Returns: The handler that was there.
  mutating func remove(_ signal: Int32) -> SignalHandler? {
    guard let removed = handlers.removeValue(forKey: signal) else { return nil }
    SignalDelivery.remove(signal)
    if handlers.isEmpty {
      arrivals?.end()
      arrivals = nil
    }
    return removed
  }

  deinit {
    for signal in handlers.keys { SignalDelivery.remove(signal) }
  }
}

struct SignalHandler {
  /// How many arrivals have been told.
  var seen: UInt64
  let callback: Callback
}
