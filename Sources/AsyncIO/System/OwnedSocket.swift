// SPDX-License-Identifier: Apache-2.0
//
// The owner of a descriptor that is used through the seam of the system calls.

package import SystemPackage

/// A descriptor that is closed when its owner goes, by the calls that opened it.
///
/// Invariant: the number is open, and nobody else closes it, for as long as the value lives. So a number that the kernel
/// has given away again is never touched.
package struct OwnedSocket: ~Copyable, Sendable {
  package let rawValue: Int32
  package let calls: any SystemCalls

  /// Takes over an open descriptor.
  package init(owning rawValue: Int32, calls: any SystemCalls) {
    self.rawValue = rawValue
    self.calls = calls
  }

  /// The same number, for a call that borrows it.
  package var descriptor: FileDescriptor { FileDescriptor(rawValue: rawValue) }

  deinit { calls.close(rawValue) }
}
