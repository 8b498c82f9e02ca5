// SPDX-License-Identifier: Apache-2.0
//
// The eventfd by which another thread ends a loop's wait.

import CLinux
import Glibc
import SystemPackage

/// A descriptor that any thread can make readable, and that one thread drains.
///
/// Ringing it any number of times leaves one readable state, never blocks and never overflows.
package struct WakeUpDescriptor: ~Copyable, Sendable {
  private let owned: OwnedDescriptor

  package init() throws(SystemError) {
    let raw = eventfd(0, Int32(CLINUX_EFD_NONBLOCK | CLINUX_EFD_CLOEXEC))
    guard raw >= 0 else { throw SystemError(.last, in: "eventfd") }
    owned = OwnedDescriptor(owning: raw)
  }

  package var rawValue: Int32 { owned.rawValue }

  /// Makes the descriptor readable. Any thread, and signal handlers.
  package func ring() {
    // It fails only when the counter is full, and then the descriptor is readable already.
    // SAFETY: the kernel reads the eight bytes of a local that outlives the call.
    var one: UInt64 = 1
    _ = unsafe write(owned.rawValue, &one, 8)
  }

  /// Takes back all rings so far.
  package func drain() { Self.drain(owned.rawValue) }

  /// The same for an eventfd that somebody else owns.
  package static func drain(_ descriptor: Int32) {
    var count: UInt64 = 0
    // SAFETY: the kernel writes the eight bytes of a local that outlives the call. It fails only when there is nothing.
    _ = unsafe read(descriptor, &count, 8)
  }
}
