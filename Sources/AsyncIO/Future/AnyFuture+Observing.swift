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
    let token = loop.executor.makeTokens(1)
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
    switch unsafe observers.remove(token) {
    case .none: return false
    case .scheduled(_, let ticket): return loop.executor.ready.cancel(ticket)
    case .some: return true
    }
  }

  /// Tells an observer of the end, which has not come yet; there and then, in one order with all others. The loop's
  /// thread.
  final func observe(by observer: any EndObserver, _ token: DoneCallbackToken) {
    unsafe observers.add(.observer(observer, token))
  }

  /// Takes one back that waits for the end. The loop's thread.
  @discardableResult
  final func stopObserving(_ token: DoneCallbackToken) -> Observers.Observer? {
    unsafe observers.remove(token)
  }

  /// Resumes the tasks that wait, tells the observers, and schedules the callbacks. The loop's thread.
  final func tellObservers() {
    if isAwaitedFromOutside { loop.executor.outsiders[ObjectIdentifier(self)] = nil }
    guard let (first, others) = unsafe observers.takeAll() else { return }
    tell(first)
    for observer in others { tell(observer) }
  }

  final func tell(_ observer: Observers.Observer) {
    switch observer {
    case .continuation(let continuation, _): unsafe continuation.resume()
    case .elsewhere(let resume, _): resume()
    case .observer(let observer, let token): if isDone { observer.noteEnd(token) }
    // Closing tells those who wait for what has not ended; its callbacks are dropped.
    case .callback(let token, let callback): if isDone { schedule(token, callback) }
    case .scheduled, .removed: break
    }
  }

  private final func schedule(_ token: DoneCallbackToken, _ callback: @escaping Callback) {
    // The closure keeps the future, and so its outcome, until the callback has run.
    let ticket = loop.executor.ready.append(.callback { [self] in try run(token, callback) })
    unsafe observers.add(.scheduled(token, ticket))
  }

  private final func run(_ token: DoneCallbackToken, _ callback: Callback) throws {
    _ = unsafe observers.remove(token)
    try withExtendedLifetime(self) { try callback() }
  }
}

extension LoopExecutor {
  /// The first of some tokens with consecutive numbers.
  func makeTokens(_ count: Int) -> DoneCallbackToken {
    defer { lastToken += UInt64(count) }
    return DoneCallbackToken(number: lastToken + 1)
  }
}
