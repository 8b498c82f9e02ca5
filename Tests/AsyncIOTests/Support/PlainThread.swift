// SPDX-License-Identifier: Apache-2.0
//
// Threads of the test's own. Swift's pool has as many as the machine has cores, and tests that run a loop block them.

import AsyncIO
import Glibc

/// A POSIX thread.
@safe final class PlainThread {
  private let id: pthread_t

  init(_ body: @escaping @Sendable () -> Void) {
    var id = pthread_t()
    let context = unsafe Unmanaged.passRetained(Body(body)).toOpaque()
    let error = unsafe pthread_create(
      &id, nil,
      { context in
        if let context = unsafe context {
          unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
        }
        return nil
      }, context)
    precondition(error == 0, "PlainThread: no threads left")
    self.id = id
  }

  func join() { pthread_join(id, nil) }

  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
}

/// A loop that a thread of the test's own runs.
final class LoopOnThread {
  let loop: EventLoop
  private let thread: PlainThread

  init() {
    guard let loop = try? EventLoop() else { preconditionFailure("LoopOnThread: no descriptors left") }
    self.loop = loop
    thread = PlainThread { try? loop.runForever() }
  }

  /// Stops the loop, and closes it.
  func end() {
    loop.stop()
    thread.join()
    loop.close()
  }
}
