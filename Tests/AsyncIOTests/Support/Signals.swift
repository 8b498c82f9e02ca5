// SPDX-License-Identifier: Apache-2.0
//
// Signals as the process sees them: sent to it, and what it does on them.

import Glibc
import Synchronization

/// Sends a signal that has arrived when this returns.
///
/// The threads of Swift's pool block all signals; so this needs one of its own.
func deliver(_ signal: Int32) {
  TestThread {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, signal)
    unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
    raise(signal)
  }.join()
}

/// What the process does on a signal, to be compared and put back.
struct Disposition: Equatable {
  private let signal: Int32
  private let action: UInt

  static let recorded = Atomic<Int>(0)

  init(of signal: Int32) {
    self.signal = signal
    var current = sigaction()
    unsafe sigaction(signal, nil, &current)
    action = unsafe unsafeBitCast(current.__sigaction_handler.sa_handler, to: UInt.self)
  }

  /// Makes the process count a signal.
  static func install(recordingOn signal: Int32) -> Disposition {
    var new = sigaction()
    unsafe new.__sigaction_handler.sa_handler = { _ in Disposition.recorded.add(1, ordering: .relaxed) }
    unsafe sigaction(signal, &new, nil)
    return Disposition(of: signal)
  }

  func restore() {
    var old = sigaction()
    unsafe old.__sigaction_handler.sa_handler = unsafe unsafeBitCast(action, to: __sighandler_t?.self)
    unsafe sigaction(signal, &old, nil)
  }
}
