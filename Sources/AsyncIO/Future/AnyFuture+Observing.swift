// SPDX-License-Identifier: Apache-2.0
//
// Done callbacks, and the moment in which everybody is told.

extension AnyFuture {
  /// Calls back on the loop when it ends; in the next turn, when it has ended already.
  ///
  /// Callbacks run in the order of adding, and in one order with the tasks that await it; never inside of the call that
  /// ends it. The same closure may be added many times: each adding has its own token, since closures have no identity.
  ///
  /// - Parameters:
  ///   - isolation: The loop, on which alone this can be called; leave it to its default.
  ///   - callback: What is called. One that throws is reported to the exception handler.
  /// - Returns: A name for ``removeDoneCallback(_:isolation:)``.
  @discardableResult
  public final func addDoneCallback(
    isolation: isolated EventLoop = #isolation, _ callback: @escaping () throws -> Void
  ) -> DoneCallbackToken {
    isolation.requireSame(ObjectIdentifier(loop), "addDoneCallback")
    loop.executor.lastToken += 1
    let token = DoneCallbackToken(number: loop.executor.lastToken)
    if isDone {
      // Another thread may have ended it, and those that were here before may not have been told yet.
      tellObservers()
      schedule(token, callback)
    } else {
      unsafe observers.add(.callback(token, callback))
    }
    return token
  }

  /// Removes a callback that has not run yet, also one that waits for its turn already.
  ///
  /// - Parameters:
  ///   - token: What the adding returned. One of another future names nothing here.
  ///   - isolation: The loop, on which alone this can be called; leave it to its default.
  /// - Returns: Whether that kept it from running.
  @discardableResult
  public final func removeDoneCallback(
    _ token: DoneCallbackToken, isolation: isolated EventLoop = #isolation
  ) -> Bool {
    isolation.requireSame(ObjectIdentifier(loop), "removeDoneCallback")
    if unsafe observers.remove(token) != nil { return true }
    guard let ticket = unsafe observers.ticket(of: token), loop.executor.ready.cancel(ticket) else { return false }
    unsafe observers.noteGone(from: loop.executor.ready)
    return true
  }

  /// Resumes the tasks that wait, and schedules the callbacks. The loop's thread.
  final func tellObservers() {
    if isAwaitedFromOutside { loop.executor.outsiders[ObjectIdentifier(self)] = nil }
    guard let (first, others) = unsafe observers.takeAll() else { return }
    tell(first)
    for observer in others { tell(observer) }
  }

  final func tell(_ observer: Observers.Observer) {
    switch observer {
    case .continuation(let continuation): unsafe continuation.resume()
    case .elsewhere(let continuation): continuation.resume()
    // Closing tells those who wait for what has not ended; its callbacks are dropped.
    case .callback(let token, let callback): if isDone { schedule(token, callback) }
    case .scheduled: break
    }
  }

  private final func schedule(_ token: DoneCallbackToken, _ callback: @escaping Callback) {
    // The closure keeps the future, and so its outcome, until the callback has run.
    let ticket = loop.executor.ready.append(.callback { [self] in try run(callback) })
    unsafe observers.add(.scheduled(token, ticket))
  }

  private final func run(_ callback: Callback) throws {
    unsafe observers.noteGone(from: loop.executor.ready)
    try withExtendedLifetime(self) { try callback() }
  }
}
