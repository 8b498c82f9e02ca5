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
  ///   - fileID: With `line`, where it was added, for tests that name what is left; leave it to its default.
  ///   - line: As `fileID`.
  ///   - callback: What is called. One that throws is reported to the exception handler, and stays.
  /// - Throws: ``SystemError`` with `EINVAL` for a number that is no signal, or one that cannot be handled (`SIGKILL`,
  ///   `SIGSTOP`). ``LoopClosedError`` on a closed loop.
  public func addSignalHandler(
    _ signal: Int32, fileID: StaticString = #fileID, line: UInt = #line, _ callback: @escaping () throws -> Void
  ) throws {
    try addSignalHandler(SignalKey(signal), SignalHandler(callback, fileID, line))
  }

  private func addSignalHandler(_ key: SignalKey, _ handler: SignalHandler) throws {
    guard !isClosed else { throw closedError() }
    guard key.signal > 0, key.signal < SignalDelivery.limit else {
      throw SystemError(.invalidArgument, in: "sigaction")
    }
    let replaced = try signals.add(key, handler)
    // What its captures' deinit does finds the handlers in order.
    defer { withExtendedLifetime(replaced) {} }
    guard signals.arrivals == nil else { return }
    do {
      signals.arrivals = try backend.watch(SignalDelivery.arrivals(), for: .arrival) { [unowned self] in
        assumeIsolated { $0.noticeSignals() }
      }
    } catch {
      _ = signals.remove(key)
      throw error
    }
  }

  /// A handler that is told of those signals that come when nobody else is, on whatever loop.
  func addFallbackSignalHandler(_ signal: Int32, _ callback: @escaping () throws -> Void) throws {
    try addSignalHandler(SignalKey(signal), SignalHandler(callback, isFallback: true))
  }

  /// Calls back for each arrival of some signals, beside the handlers, until `removeSignalListener`.
  func addSignalListener(_ numbers: some Sequence<Int32>, _ callback: @escaping (Int32) -> Void) throws
    -> SignalListener
  {
    let listener = signals.makeListener(Set(numbers).sorted())
    do {
      for number in listener.signals {
        try addSignalHandler(SignalKey(number, listener.number), SignalHandler { callback(number) })
      }
    } catch {
      removeSignalListener(listener)
      throw error
    }
    return listener
  }

  func removeSignalListener(_ listener: SignalListener) {
    for signal in listener.signals { _ = signals.remove(SignalKey(signal, listener.number)) }
  }

  /// Removes the handler of a signal; it does not run any more, even if the signal has come.
  ///
  /// - Returns: `false` when there was none.
  @discardableResult
  public func removeSignalHandler(_ signal: Int32) -> Bool {
    signals.remove(SignalKey(signal)) != nil
  }

  func removeAllSignalHandlers() {
    for key in signals.handlers.keys.sorted() { _ = signals.remove(key) }
  }

  private func noticeSignals() {
    let all = signals.handlers.sorted { $0.key < $1.key }
    for (key, handler) in all {
      let count = SignalDelivery.count(of: key.signal, isFallback: handler.isFallback)
      guard count != handler.seen else { continue }
      signals.note(count, of: key)
      callSoon { try self.signals.handlers[key]?.callback() }
    }
  }
}

/// A loop's signal handlers.
///
/// Invariant: for each handler there is one `SignalDelivery.add`, which is taken back with it, at the latest when the
/// loop goes, closed or not; the shared descriptor is watched exactly while there are handlers.
struct SignalHandlers: ~Copyable {
  private(set) var handlers: [SignalKey: SignalHandler] = [:]
  var arrivals: (any Watch)?
  private var lastListener: UInt64 = 0

  mutating func makeListener(_ signals: [Int32]) -> SignalListener {
    lastListener += 1
    return SignalListener(number: lastListener, signals: signals)
  }

  /// - Returns: The handler whose place it takes.
  mutating func add(_ key: SignalKey, _ handler: SignalHandler) throws(SystemError) -> SignalHandler? {
    let replaced = handlers[key]
    var handler = handler
    handler.seen = SignalDelivery.count(of: key.signal, isFallback: handler.isFallback)
    // A signal that has come, and was not told yet, is told to the one that takes the place.
    if let replaced {
      handler.seen &-= SignalDelivery.count(of: key.signal, isFallback: replaced.isFallback) &- replaced.seen
    }
    try SignalDelivery.add(key.signal, isFallback: handler.isFallback)
    if let replaced { SignalDelivery.remove(key.signal, isFallback: replaced.isFallback) }
    handlers[key] = handler
    return replaced
  }

  /// Says how many arrivals a handler is told of.
  mutating func note(_ count: UInt64, of key: SignalKey) { handlers[key]?.seen = count }

  /// - Returns: The handler that was there.
  mutating func remove(_ key: SignalKey) -> SignalHandler? {
    guard let removed = handlers.removeValue(forKey: key) else { return nil }
    SignalDelivery.remove(key.signal, isFallback: removed.isFallback)
    if handlers.isEmpty {
      arrivals?.end()
      arrivals = nil
    }
    return removed
  }

  deinit {
    for (key, handler) in handlers { SignalDelivery.remove(key.signal, isFallback: handler.isFallback) }
  }
}

/// Whose handler of which signal it is.
struct SignalKey: Hashable, Comparable {
  let signal: Int32
  /// 0 for the one of `addSignalHandler`.
  let listener: UInt64

  init(_ signal: Int32, _ listener: UInt64 = 0) {
    self.signal = signal
    self.listener = listener
  }

  static func < (a: Self, b: Self) -> Bool { (a.signal, a.listener) < (b.signal, b.listener) }
}

struct SignalHandler {
  /// How many arrivals have been told.
  var seen: UInt64 = 0
  let callback: Callback
  let isFallback: Bool
  private let fileID: StaticString
  private let line: UInt

  /// Where it was added: `Module/File.swift:12`.
  var site: String { "\(fileID):\(line)" }

  init(
    _ callback: @escaping Callback, isFallback: Bool = false, _ fileID: StaticString = #fileID, _ line: UInt = #line
  ) {
    self.callback = callback
    self.isFallback = isFallback
    self.fileID = fileID
    self.line = line
  }
}

/// Somebody who is told of several signals.
struct SignalListener: Sendable {
  fileprivate let number: UInt64
  /// Each once.
  let signals: [Int32]
}
