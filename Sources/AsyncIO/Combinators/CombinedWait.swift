// SPDX-License-Identifier: Apache-2.0
//
// What all combinators are made of: a wait for others, which is itself something to await.

/// A wait for other futures and tasks. Subclasses say for which, when it is over, and what a cancel of the caller does.
///
/// It ends with a value when it is over, whatever became of the others, or cancelled. All stored properties belong to
/// the thread that holds the loop.
class CombinedWait: AnyFuture, EndObserver, @unchecked Sendable {
  /// Whether a request to cancel has gone on to the others, and their end is waited for.
  final var isAsked = false

  /// A wait that nobody has begun.
  ///
  /// - Parameter site: Where the user called for it.
  init(on loop: EventLoop, _ site: CreationSite) {
    super.init(loop: loop, site: site)
  }

  /// The function that the user called.
  var caller: String { "a combinator" }

  override var subjectOfWait: String {
    let left = others.count { !$0.isDone }
    return "\(caller) called at \(site): \(left) of \(others.count) have not ended"
  }

  /// Takes note of the end of one of the others.
  func noteEnd(_ token: DoneCallbackToken) {}

  /// Is over: lets go of those that have not ended.
  func leave() {}

  /// Hears a request to cancel: leaves the others alone, unless a subclass passes it on.
  override func pass(_ reason: CancellationReason, to next: inout [AnyFuture]) -> Bool {
    if isDone { return false }
    finish(cancelled: reason)
    return true
  }

  final override func cancel(_ reason: CancellationReason) -> Bool {
    guard loop.executor.isHeldByThisThread else {
      return !isDone && loop.executor.post(.callback { _ = self.cancel(reason) })
    }
    var next: [AnyFuture] = []
    let isHeard = pass(reason, to: &next)
    AnyLoopTask.ask(next, reason)
    return isHeard
  }

  /// The others.
  var others: [AnyFuture] { [] }

  /// Passes a request on to the others, whose end is waited for.
  final func passOn(_ reason: CancellationReason, to next: inout [AnyFuture]) -> Bool {
    if isDone { return false }
    isAsked = true
    ask(others, reason, to: &next)
    return true
  }

  final func ask(_ others: [AnyFuture], _ reason: CancellationReason, to next: inout [AnyFuture]) {
    for other in others where !other.isDone { _ = other.pass(reason, to: &next) }
  }

  /// Cancels the others.
  final func abort(_ reason: CancellationReason) {
    var next: [AnyFuture] = []
    ask(others, reason, to: &next)
    AnyLoopTask.ask(next, reason)
  }

  /// The same in the next turn: this may be the midst of somebody's call that ends a future, and what fails in this
  /// turn does.
  final func abortSoon(_ reason: CancellationReason) {
    loop.executor.ready.append(.callback { [self] in abort(reason) })
  }

  /// Is over, by a request or without. The loop's thread.
  final func finish(cancelled reason: CancellationReason? = nil) {
    guard beginEnding() else { return }
    self.reason = reason
    leave()
    end(reason == nil ? .value : .cancelled)
  }
}
