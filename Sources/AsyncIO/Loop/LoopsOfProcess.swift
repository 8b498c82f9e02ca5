// SPDX-License-Identifier: Apache-2.0
//
// Fork: a child has copies of its parent's loops, and must not use them, since the descriptors are the same.

import Glibc
import Synchronization

/// The loops of this process.
///
/// Around a fork the list is locked, so that the child finds it whole. There each loop becomes one that is closed, and
/// held by nobody's thread: whoever uses it is stopped with a message (`LoopExecutor.stopIfForked`). So a loop in use
/// pays nothing.
enum LoopsOfProcess {
  /// A loop that leaves the list in its deinit, and so is alive while it is in it.
  @safe private struct Member {
    unowned(unsafe) let loop: EventLoop
  }

  private static let members = Locked<[ObjectIdentifier: Member]>([:])

  static func add(_ loop: EventLoop) {
    forking
    members.withLock { $0[ObjectIdentifier(loop)] = Member(loop: loop) }
  }

  static func remove(_ loop: EventLoop) {
    members.withLock { $0[ObjectIdentifier(loop)] = nil }
  }

  private static let forking: Void = {
    pthread_atfork(
      { LoopsOfProcess.members.lockForFork() },
      { LoopsOfProcess.members.unlockAfterFork() },
      {
        LoopsOfProcess.members.unlockAfterFork { members in
          for member in members.values { unsafe member.loop.becomeForked() }
        }
        ThreadLocals.forget()
      })
  }()
}

extension EventLoop {
  /// In the child. It has one thread, which may be inside of any call of this loop.
  fileprivate nonisolated func becomeForked() {
    executor.phase.store(.closed, ordering: .sequentiallyConsistent)
    executor.becomeForked()
  }

  /// What a call on a closed loop is answered with.
  nonisolated func closedError() -> LoopClosedError {
    executor.stopIfForked()
    return LoopClosedError()
  }
}
