// SPDX-License-Identifier: Apache-2.0
//
// What the kernel knows of this process: descriptors, threads, processor time, memory.

import AsyncIOTesting
import Glibc
import SwiftOverlayShims

enum ProcessFacts {
  /// The open descriptors, with what they are: `socket:[123]`, `anon_inode:[eventfd]`, …
  static var descriptors: [Int32: String] { ProcFiles.descriptors() }

  /// The same of another process.
  static func descriptors(of process: Int32) -> [Int32: String] { ProcFiles.descriptors(of: process) }

  /// The names of the threads.
  static var threadNames: [String] { Array(ProcFiles.threads.values) }

  /// The name of the calling thread.
  static var currentThreadName: String { ProcFiles.firstLine(of: "/proc/thread-self/comm") ?? "" }

  /// The processor time of the calling thread.
  static var threadTime: Duration {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }

  /// The memory that the process has, in KB.
  static var residentKilobytes: Int {
    let line = ProcFiles.text(of: "/proc/self/status")?.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
    return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? -1
  }

  /// How many children there are, zombies among them.
  static var childCount: Int { ProcFiles.children.count }

  /// Whether a sanitizer is here: that of addresses keeps what is freed for a while, to find its users, and that of threads
  /// has memory of its own for whatever is touched.
  static var keepsFreedMemory: Bool {
    unsafe dlsym(nil, "__asan_init") != nil || dlsym(nil, "__tsan_init") != nil
  }
}
