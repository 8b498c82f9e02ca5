// SPDX-License-Identifier: Apache-2.0
//
// The pools that a loop has, and their end.

/// The pools of a loop, and those that end with it.
final class LoopPools: WorkOfLoop {
  private let own: ThreadPool
  /// The loop's own, or one that it was given.
  var blocking: ThreadPool
  let lookUps: ThreadPool

  init(on loop: isolated EventLoop) {
    own = ThreadPool(maximumThreads: loop.threadLimits.blocking)
    blocking = own
    lookUps = ThreadPool(name: "asyncio-lookup", maximumThreads: loop.threadLimits.lookUps)
  }

  /// The look-ups are not waited for: the tasks have ended, so nobody wants their answers, and they may take very long.
  func finish(on loop: isolated EventLoop) -> AnyFuture? {
    own.core.close()
    lookUps.core.close()
    if own.threadCount == 0 { return nil }
    let end = loop.createFuture(of: Void.self)
    own.core.whenEnded { end.end(with: ()) }
    return end
  }

  func abandon(on loop: isolated EventLoop) {
    lookUps.core.close()
    for job in lookUps.core.takeAll() { job.refuse() }
    own.core.close()
    let dropped = own.core.takeAll()
    for job in dropped { job.refuse() }
    let running = own.core.callCount
    guard dropped.count + running > 0 else { return }
    loop.reportException(
      ExceptionContext(
        .blockingWorkUnfinished,
        "the loop was closed before \(running) blocking functions had returned, which go on, and their results are "
          + "dropped; \(dropped.count) had not begun, and never will"))
  }

  /// The loop closes it.
  var openThing: OpenThing? { nil }

  // What there was to say was said by then.
  func loopIsClosing() {}
}

extension EventLoop {
  /// Made when they are first asked for.
  var loopPools: LoopPools {
    if let pools { return unsafe unsafeDowncast(pools, to: LoopPools.self) }
    let made = LoopPools(on: self)
    pools = made
    hold(made)
    return made
  }
}
