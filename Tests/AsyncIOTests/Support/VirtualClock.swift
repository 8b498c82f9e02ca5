// SPDX-License-Identifier: Apache-2.0
//
// Time that jumps: a loop on it never waits, and a loop that would wait for ever fails its test.

import Synchronization
import Testing

@testable import AsyncIO

/// A clock that stands still while there is work, and jumps to the next deadline when there is none.
final class VirtualClock: LoopClock {
  private let nanoseconds: Atomic<Int64>
  private let whenStuck = Shared<(@Sendable () -> Void)?>(nil)

  init(nanoseconds: Int64 = 1_000_000_000) { self.nanoseconds = Atomic(nanoseconds) }

  var now: Deadline { Deadline(nanoseconds: nanoseconds.load(ordering: .relaxed)) }

  var tick: Int64 { now.nanoseconds / 1_000_000 }

  func limit(until deadline: Deadline?) -> WaitLimit {
    if let deadline, deadline != .never {
      if deadline > now { nanoseconds.store(deadline.nanoseconds, ordering: .relaxed) }
      return .poll
    }
    guard let whenStuck = whenStuck.value else { return .forever }
    whenStuck()
    return .poll
  }

  /// Moves on while a callback runs.
  func advance(by duration: Duration) {
    nanoseconds.add(duration.saturatingNanoseconds, ordering: .relaxed)
  }

  /// What is done when a loop has nothing to wait for but other threads.
  func onStuck(_ body: @escaping @Sendable () -> Void) { whenStuck.change { $0 = body } }
}

/// `EventLoop.run` on virtual time, for tests that need no other thread: a test that would hang fails.
@discardableResult
func runVirtually<T: Sendable>(
  _ configuration: EventLoop.Configuration = .init(), grace: Duration? = nil,
  sourceLocation: SourceLocation = #_sourceLocation,
  _ body: @escaping @Sendable (isolated EventLoop) async throws -> T
) throws -> T {
  let clock = VirtualClock()
  var configuration = configuration
  configuration.seams.clock = clock
  return try EventLoop.run(configuration: configuration, shutdownGrace: grace) { loop in
    clock.onStuck { [unowned loop] in
      Issue.record("the loop waits for ever", sourceLocation: sourceLocation)
      loop.stop()
    }
    return try await body(loop)
  }
}
