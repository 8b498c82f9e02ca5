// SPDX-License-Identifier: Apache-2.0
//
// Threads that are no loop's and of no pool.

import Glibc
import Synchronization

/// Which thread this is.
var thisThread: UInt { UInt(pthread_self()) }

/// A thread that runs a body.
final class TestThread: Sendable {
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private let id: pthread_t

  init(_ body: @escaping @Sendable () -> Void) {
    var id = pthread_t()
    let context = unsafe Unmanaged.passRetained(Body(body)).toOpaque()
    // SAFETY: the context was retained for the new thread, which takes it over.
    let result = unsafe pthread_create(
      &id, nil,
      { context in
        if let context = unsafe context {
          unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
        }
        return nil
      }, context)
    precondition(result == 0, "TestThread: pthread_create failed")
    self.id = id
  }

  /// Waits for its end.
  func join() { pthread_join(id, nil) }
}

/// Runs a body on a thread of its own: for asynchronous tests that must block, or that need the pool meanwhile.
func onThread<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
  try await withCheckedThrowingContinuation { continuation in
    let thread = TestThread { continuation.resume(with: Result { try body() }) }
    // Nobody joins it: it ends with the body.
    thread.detach()
  }
}

extension TestThread {
  /// Lets it go.
  func detach() { pthread_detach(id) }
}
