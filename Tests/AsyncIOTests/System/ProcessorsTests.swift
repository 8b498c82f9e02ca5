// SPDX-License-Identifier: Apache-2.0
//
// The number of processors.

import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ProcessorsTests {
  /// What the kernel lists for the calling thread: `0-3,8`.
  private static func listed() throws -> Int {
    let file = try FileDescriptor.open(FilePath("/proc/thread-self/status"), .readOnly)
    defer { try? file.close() }
    let status = try DescriptorPair.read(file, 65_536)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") })
    let ranges = line.drop { $0 != "\t" }.dropFirst().split(separator: ",")
    return ranges.reduce(0) { sum, range in
      let ends = range.split(separator: "-").compactMap { Int($0) }
      return sum + (ends.last ?? 0) - (ends.first ?? 0) + 1
    }
  }

  @Test func `those count that the thread may run on`() throws {
    #expect(Processors.usable == (try Self.listed()))
  }

  @Test func `a thread that is kept to one processor has one`() async throws {
    typealias Call = @convention(c) (Int32, Int, UnsafeRawPointer) -> Int32
    let symbol = unsafe try #require(dlsym(nil, "sched_setaffinity"))
    let counts = Notes<Int>()
    // SAFETY: it has this type in C.
    let setAffinity = unsafe unsafeBitCast(symbol, to: Call.self)
    try await onThread {
      var present = UInt(0)
      let getAffinity = unsafe unsafeBitCast(dlsym(nil, "sched_getaffinity"), to: Call.self)
      guard unsafe getAffinity(0, MemoryLayout<UInt>.size, &present) == 0 else { return }
      var one = UInt(1) << UInt(present.trailingZeroBitCount)
      guard unsafe setAffinity(0, MemoryLayout<UInt>.size, &one) == 0 else { return }
      counts.add(Processors.usable)
    }
    #expect(counts.value == [1])
  }
}
