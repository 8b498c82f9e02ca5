// SPDX-License-Identifier: Apache-2.0
//
// Which loop a lock, an event or a queue belongs to.

/// Something that is confined to one loop: that on which it is used first.
///
/// The compiler sees to it that a class which is not `Sendable` stays on one loop. This is for what is forced past it,
/// and for what outlives a loop; the price is a look at the thread's number.
protocol LoopBound: AnyObject {
  /// Of the loop on which it was used first. Written here alone.
  var boundExecutor: LoopExecutor? { get set }
}

// The way that is taken nearly always is in the caller, and writes nothing: an access that lasts over a call is tracked
// by the runtime, which costs as much as a lock's own work.
extension LoopBound {
  /// For calls that do not wait: they may come before any loop runs.
  @inline(__always)
  func requireThread(_ subject: StaticString) {
    if let boundExecutor, boundExecutor.isHeldByThisThread { return }
    bind(subject)
  }

  @inline(never)
  private func bind(_ subject: StaticString) {
    guard boundExecutor == nil else {
      misuse(subject, "it belongs to another event loop, or this thread does not run that; use one for each loop")
    }
    boundExecutor = ThreadLocals.running?.executor
  }

  /// For calls that may have to wait.
  ///
  /// - Throws: ``WrongLoopError``, ``NoRunningLoopError``.
  @inline(__always)
  @discardableResult
  func requireLoop() throws -> LoopExecutor {
    if let boundExecutor, boundExecutor.isHeldByThisThread { return boundExecutor }
    return try bindToRunning()
  }

  @inline(never)
  private func bindToRunning() throws -> LoopExecutor {
    let running = try EventLoop.running.executor
    guard boundExecutor == nil else { throw WrongLoopError() }
    boundExecutor = running
    return running
  }
}

extension LoopExecutor {
  /// The deadline of a wait that may take so long; `nil`: as long as it takes.
  func deadline(after timeout: Duration?) -> Deadline? { timeout.map { timeSource.now.advanced(by: $0) } }
}
