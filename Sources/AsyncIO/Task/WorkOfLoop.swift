// SPDX-License-Identifier: Apache-2.0
//
// Work that goes on elsewhere for a loop, and has to come to its end with it.

/// Something that works for a loop on other threads.
package protocol WorkOfLoop: LoopDependent {
  /// Asks it to come to its end; the loop's tasks have ended, and the loop runs on.
  ///
  /// - Returns: A future of the loop that ends with it; `nil` when there is nothing to wait for.
  func finish(on loop: isolated EventLoop) -> AnyFuture?

  /// The loop is being closed: lets go of all, and reports what has not ended.
  func abandon(on loop: isolated EventLoop)
}

extension EventLoop {
  private var work: [any WorkOfLoop] { dependents.values.compactMap { $0 as? any WorkOfLoop } }

  /// Asks all work to come to its end.
  ///
  /// - Returns: What is to be waited for.
  func finishWork() -> [AnyFuture] { work.compactMap { $0.finish(on: self) } }

  /// Ends all work.
  func abandonWork() {
    for work in work { work.abandon(on: self) }
  }
}
