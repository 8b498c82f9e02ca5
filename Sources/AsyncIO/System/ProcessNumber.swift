// SPDX-License-Identifier: Apache-2.0
//
// Whether this is still the process in which something was made. (`getpid` would be a system call for each question.)

import Glibc
import Synchronization

/// Counts the forks between the first process of the program and this one.
struct ProcessNumber: Hashable, Sendable {
  private let forks: UInt

  /// That of this process.
  static var present: ProcessNumber {
    watching
    return ProcessNumber(forks: count.load(ordering: .relaxed))
  }

  private static let count = Atomic<UInt>(0)

  private static let watching: Void = {
    pthread_atfork(nil, nil, { ProcessNumber.count.add(1, ordering: .relaxed) })
  }()
}
