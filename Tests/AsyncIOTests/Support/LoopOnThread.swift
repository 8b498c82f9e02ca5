// SPDX-License-Identifier: Apache-2.0
//
// A loop on a thread of the test's own: Swift's pool has as many threads as the machine has cores.

import AsyncIO

/// A loop that a thread of the test's own runs.
final class LoopOnThread {
  let loop: EventLoop
  private let thread: TestThread

  init() {
    guard let loop = try? EventLoop() else { preconditionFailure("LoopOnThread: no descriptors left") }
    self.loop = loop
    thread = TestThread { try? loop.runForever() }
  }

  /// Stops the loop, and closes it.
  func end() {
    loop.stop()
    thread.join()
    loop.close()
  }
}
