// SPDX-License-Identifier: Apache-2.0
//
// What the kernel knows of this process: descriptors, threads, processor time, memory.

import Glibc
import SwiftOverlayShims
import SystemPackage

enum ProcessFacts {
  /// The open descriptors, with what they are: `socket:[123]`, `anon_inode:[eventfd]`, …
  static var descriptors: [Int32: String] {
    var result: [Int32: String] = [:]
    for name in list("/proc/self/fd") {
      guard let number = Int32(name) else { continue }
      var buffer = [CChar](repeating: 0, count: 256)
      let length = unsafe readlink("/proc/self/fd/\(name)", &buffer, buffer.count)
      // One that is gone by now was the directory's own.
      guard length > 0 else { continue }
      result[number] = String(decoding: buffer[..<length].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    return result
  }

  /// The names of the threads.
  static var threadNames: [String] {
    list("/proc/self/task").compactMap { id in
      text(of: "/proc/self/task/\(id)/comm").split(separator: "\n").first.map(String.init)
    }
  }

  /// The name of the calling thread.
  static var currentThreadName: String {
    text(of: "/proc/thread-self/comm").split(separator: "\n").first.map(String.init) ?? ""
  }

  /// The processor time of the calling thread.
  static var threadTime: Duration {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }

  /// The memory that the process has, in KB.
  static var residentKilobytes: Int {
    let line = text(of: "/proc/self/status").split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
    return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? -1
  }

  /// Whether the address sanitizer is here, which keeps what is freed for a while, to find its users.
  static var keepsFreedMemory: Bool { unsafe dlsym(nil, "__asan_init") != nil }

  private static func text(of path: String) -> String {
    guard let file = try? FileDescriptor.open(FilePath(path), .readOnly) else { return "" }
    defer { try? file.close() }
    return (try? DescriptorPair.read(file, 8_192)) ?? ""
  }

  private static func list(_ path: String) -> [String] {
    guard let directory = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      names.append(
        unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
          unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        })
    }
    return names
  }
}
