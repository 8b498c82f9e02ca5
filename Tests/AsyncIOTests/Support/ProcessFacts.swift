// SPDX-License-Identifier: Apache-2.0
//
// What the kernel knows of this process: descriptors, threads, processor time.

import Glibc
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
      guard let number = Int(id), number > 0 else { return nil }
      guard let file = try? FileDescriptor.open(FilePath("/proc/self/task/\(id)/comm"), .readOnly) else {
        return nil
      }
      defer { try? file.close() }
      return (try? DescriptorPair.read(file, 64))?.split(separator: "\n").first.map(String.init)
    }
  }

  /// The name of the calling thread.
  static var currentThreadName: String {
    guard let file = try? FileDescriptor.open(FilePath("/proc/thread-self/comm"), .readOnly) else {
      return ""
    }
    defer { try? file.close() }
    return (try? DescriptorPair.read(file, 64))?.split(separator: "\n").first.map(String.init) ?? ""
  }

  /// The processor time of the calling thread.
  static var threadTime: Duration {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
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
