// SPDX-License-Identifier: Apache-2.0
//
// A value under a lock.

import Glibc

/// A value that one thread at a time uses.
///
/// The lock is a POSIX mutex and not the standard library's `Mutex`, since the thread sanitizer knows the one, and
/// takes what the other protects for a race. No code of a user's runs under it.
///
/// Invariant, and the reason for `@unchecked Sendable`: `value` is touched by the thread that holds `mutex`, and by the
/// last owner's deinit. Both stand at an address of their own, which does not change.
@safe package struct Locked<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let value: UnsafeMutablePointer<Value>

  package init(_ value: consuming sending Value) {
    unsafe mutex = .allocate(capacity: 1)
    unsafe self.value = .allocate(capacity: 1)
    unsafe self.value.initialize(to: value)
    // It fails only for attributes, of which there are none.
    unsafe pthread_mutex_init(mutex, nil)
  }

  /// Calls back with the value, under the lock.
  package borrowing func withLock<Result: ~Copyable, Failure: Error>(
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    // SAFETY: both pointers are valid until deinit; the value is ours while the mutex is held.
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return try unsafe body(&value.pointee)
  }

  /// Takes the lock before a fork, so that the child finds the value whole.
  func lockForFork() { unsafe pthread_mutex_lock(mutex) }

  /// Gives it back after the fork, in the parent and in the child, once that has seen to the value.
  func unlockAfterFork(_ body: (inout Value) -> Void = { _ in }) {
    unsafe body(&value.pointee)
    unsafe pthread_mutex_unlock(mutex)
  }

  deinit {
    unsafe value.deinitialize(count: 1)
    unsafe value.deallocate()
    unsafe pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
  }
}
