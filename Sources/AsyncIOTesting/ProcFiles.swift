// SPDX-License-Identifier: Apache-2.0
//
// What the kernel says of processes, in the files under /proc.

import Glibc

package enum ProcFiles {
  /// The open descriptors of a process, with what they are: `socket:[123]`, `anon_inode:[eventfd]`, …
  package static func descriptors(of process: Int32 = getpid()) -> [Int32: String] {
    var result: [Int32: String] = [:]
    for name in list("/proc/\(process)/fd") {
      guard let number = Int32(name) else { continue }
      var buffer = [CChar](repeating: 0, count: 256)
      let length = unsafe readlink("/proc/\(process)/fd/\(name)", &buffer, buffer.count)
      // One that is gone by now was the directory's own.
      guard length > 0 else { continue }
      result[number] = String(decoding: buffer[..<length].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    return result
  }

  /// The threads of this process, by their number, with their names.
  package static var threads: [Int32: String] {
    var result: [Int32: String] = [:]
    for id in list("/proc/self/task").compactMap({ Int32($0) }) {
      if let name = firstLine(of: "/proc/self/task/\(id)/comm") { result[id] = name }
    }
    return result
  }

  /// The number of the calling thread.
  static var currentThread: Int32? { text(of: "/proc/thread-self/stat").flatMap { Int32($0.prefix { $0 != " " }) } }

  /// The children of this process, with their programs; those that have ended and were not reaped say so. Without that of
  /// a sanitizer, which looks names up for it.
  package static var children: [Int32: String] {
    let own = "\(getpid())"
    var result: [Int32: String] = [:]
    for id in childNumbers {
      guard let text = text(of: "/proc/\(id)/stat") else { continue }
      // "17 (name, with anything in it) S 1 …": the state and the parent come after the last parenthesis.
      guard let end = text.lastIndex(of: ")") else { continue }
      let fields = text[text.index(after: end)...].split(separator: " ")
      guard fields.count > 1, fields[1] == own else { continue }
      let program = String(text[...end].drop { $0 != "(" }.dropFirst().dropLast())
      if program == "llvm-symbolizer" { continue }
      result[id] = program + (fields[0] == "Z" ? ", not reaped" : "")
    }
    return result
  }

  /// The numbers of the children, among others, where the kernel does not list them.
  private static var childNumbers: [Int32] {
    let lists = list("/proc/self/task").map { text(of: "/proc/self/task/\($0)/children") }
    // A thread that has just ended has none. All of them: this is a kernel without such lists.
    guard lists.contains(where: { $0 != nil }) else { return list("/proc").compactMap { Int32($0) } }
    return lists.flatMap { ($0 ?? "").split(separator: " ").compactMap { Int32($0) } }
  }

  /// A file, as far as its first 8 KB.
  package static func text(of path: String) -> String? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 8_192) { buffer, count in
      count = unsafe max(0, read(descriptor, buffer.baseAddress, buffer.count))
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  package static func firstLine(of path: String) -> String? {
    text(of: path)?.split(separator: "\n").first.map(String.init)
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
