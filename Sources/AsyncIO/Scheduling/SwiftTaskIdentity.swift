// SPDX-License-Identifier: Apache-2.0
//
// Which of Swift's tasks is which.

import CLinux

/// The address of a Swift task: unique among those that live. It is compared, never followed.
package struct SwiftTaskIdentity: Hashable, Sendable {
  private let address: UInt

  /// The task that is running on this thread; `nil` in code that runs in none.
  package static var current: SwiftTaskIdentity? {
    // SAFETY: the runtime's own question, without an argument; the address is not followed.
    unsafe swift_task_getCurrent().map { SwiftTaskIdentity(address: UInt(bitPattern: $0)) }
  }

  /// A spread of the address's bits: tasks stand at multiples of 16, and often at equal distances.
  var hash: Int { Int(truncatingIfNeeded: (UInt64(address) &* 0x9E37_79B9_7F4A_7C15) >> 32) }

  private init(address: UInt) {
    self.address = address
  }

  /// The task that a job is a piece of.
  init(_ job: UnownedJob) {
    // SAFETY: a job is a structure of one reference, and a task is its own job: the same object of the runtime.
    address = unsafe unsafeBitCast(job, to: UInt.self)
  }

  package init(_ task: Task<Void, any Error>) {
    // SAFETY: `Task` is a frozen structure of one reference, whose bits are an address.
    address = unsafe unsafeBitCast(task, to: UInt.self)
  }
}
