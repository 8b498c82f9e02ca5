// SPDX-License-Identifier: Apache-2.0
//
// The owner of a file descriptor: there is one, and the compiler knows it.

import Glibc
package import SystemPackage

/// A file descriptor that is closed when its owner goes.
///
/// Invariant: the number is open, and nobody else closes it, for as long as the value lives. So a number that
/// the kernel has given away again is never touched.
package struct OwnedDescriptor: ~Copyable, Sendable {
  package let rawValue: Int32

  /// Takes over an open descriptor.
  package init(owning rawValue: Int32) {
    self.rawValue = rawValue
  }

  /// The same number, for a call that borrows it.
  package var descriptor: FileDescriptor { FileDescriptor(rawValue: rawValue) }

  deinit {
    // `close` may say EINTR; on Linux the number is free all the same, so there is nothing to repeat.
    _ = Glibc.close(rawValue)
  }
}
