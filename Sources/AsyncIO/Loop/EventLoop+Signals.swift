// SPDX-License-Identifier: Apache-2.0
//
// Signal handlers that are plain callbacks of the loop.

import SystemPackage

extension EventLoop {
  /// Calls back, on the loop, after each arrival of a signal.
  ///
  /// The callback is a plain one, in the loop's FIFO, not in signal context. Arrivals that come together may be told by
  /// one call; there is always one after the last. Several loops may handle one signal: each is told. A handler that was
  /// there before is replaced.
  ///
  /// - Parameter signal: `SIGTERM`, `SIGHUP`, … What the process did on it before is restored with the last handler.
  /// - Throws: ``SystemError`` with `EINVAL` for a number that is no signal, or one that cannot be handled (`SIGKILL`,
  ///   `SIGSTOP`). ``LoopClosedError`` on a closed loop.
  public func addSignalHandler(_ signal: Int32, _ callback: @escaping () throws -> Void) throws {
    guard !isClosed else { throw LoopClosedError() }
    guard signal > 0, signal < SignalDelivery.limit else { throw SystemError(.invalidArgument, in: "sigaction") }
    if signals.arrivals == nil {
      signals.arrivals = try backend.watch(SignalDelivery.arrivals(), for: .arrival) { [unowned self] in
        assumeIsolated { $0.noticeSignals() }
      }
    }
    // A signal that has come, and was not told yet, is told to the one that takes the place.
    if let replaced = signals.handlers[signal] {
      signals.handlers[signal] = SignalHandler(seen: replaced.seen, callback: callback)
      return
    }
    signals.handlers[signal] = SignalHandler(seen: SignalDelivery.count(of: signal), callback: callback)
    do {
      try SignalDelivery.add(signal)
    } catch {
      signals.remove(signal)
      throw error
    }
  }

  /// Removes the handler of a signal; it does not run any more, even if the signal has come.
  ///
  /// - Returns: `false` when there was none.
  @discardableResult
  public func removeSignalHandler(_ signal: Int32) -> Bool {
    guard signals.remove(signal) else { return false }
    SignalDelivery.remove(signal)
    return true
  }

  func removeAllSignalHandlers() {
    for signal in signals.handlers.keys.sorted() { removeSignalHandler(signal) }
  }

  private func noticeSignals() {
    for (signal, handler) in signals.handlers.sorted(by: { $0.key < $1.key }) {
      let count = SignalDelivery.count(of: signal)
      guard count != handler.seen else { continue }
      signals.handlers[signal]?.seen = count
      callSoon { try self.signals.handlers[signal]?.callback() }
    }
  }
}

/// A loop's signal handlers.
///
/// Invariant: the shared descriptor is watched exactly while there are handlers.
struct SignalHandlers {
  var handlers: [Int32: SignalHandler] = [:]
  var arrivals: (any Watch)?

  @discardableResult
  mutating func remove(_ signal: Int32) -> Bool {
    guard handlers.removeValue(forKey: signal) != nil else { return false }
    if handlers.isEmpty {
      arrivals?.end()
      arrivals = nil
    }
    return true
  }
}

struct SignalHandler {
  /// How many arrivals have been told.
  var seen: UInt64
  let callback: Callback
}
