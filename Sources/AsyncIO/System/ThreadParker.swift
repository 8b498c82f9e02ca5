// SPDX-License-Identifier: Apache-2.0
//
// Where a plain thread waits for another one.

import Glibc
import SwiftOverlayShims

/// A place where one thread waits until another one wakes it.
///
/// A wake-up that comes before the wait is kept: the wait returns at once. Any number of them is one.
///
/// Invariant, and the reason for `@unchecked Sendable`: `isWoken` is touched by the thread that holds `mutex`. Mutex and
/// condition stand at an address of their own, which does not change. (They are POSIX's, which the thread sanitizer
/// knows.)
@safe final class ThreadParker: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private var isWoken = false

  init() {
    unsafe mutex = .allocate(capacity: 1)
    unsafe condition = .allocate(capacity: 1)
    // SAFETY: both are initialized here, once, and destroyed in deinit. The calls fail only for wrong arguments.
    unsafe pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    unsafe pthread_condattr_init(&attributes)
    // Changes of the wall clock do not move deadlines.
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    unsafe pthread_cond_init(condition, &attributes)
    unsafe pthread_condattr_destroy(&attributes)
  }

  /// Waits for a wake-up, and takes it.
  ///
  /// - Parameter deadline: On `CLOCK_MONOTONIC`; `nil`: for ever.
  /// - Returns: `false` when the deadline has passed.
  func park(until deadline: Int64? = nil) -> Bool {
    // SAFETY: mutex and condition are alive as long as this object.
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    while !isWoken {
      guard let deadline else {
        unsafe pthread_cond_wait(condition, mutex)
        continue
      }
      let nanoseconds = max(deadline, 0)
      var time = timespec(
        tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
      if unsafe pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT { break }
    }
    defer { isWoken = false }
    return isWoken
  }

  /// Ends the wait, or the next one. Any thread.
  func unpark() {
    unsafe pthread_mutex_lock(mutex)
    let wasWoken = isWoken
    isWoken = true
    unsafe pthread_mutex_unlock(mutex)
    if !wasWoken { unsafe pthread_cond_signal(condition) }
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(mutex)
    unsafe condition.deallocate()
    unsafe mutex.deallocate()
  }
}
