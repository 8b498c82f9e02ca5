// SPDX-License-Identifier: Apache-2.0
//
// A server in a process of its own, and what the kernel knows of it: its processor time and its memory.

import CRawLibevent
import Glibc

/// A running echo server. It ends with this object.
final class ServerProcess {
  let port: Int
  private let process: pid_t

  init(_ server: EchoServer) throws {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw MeasurementFailed(description: "pipe failed: errno \(errno)") }
    defer { close(ends[0]) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
    for end in ends { posix_spawn_file_actions_addclose(&actions, end) }
    let arguments: [String] = ["/proc/self/exe", "echo-serve", server.rawValue]
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var process = pid_t()
    // The server on one core, and its clients on the other. It takes over the core of who starts it.
    pin_to_core(0)
    let failure = posix_spawn(&process, "/proc/self/exe", &actions, nil, &words, environ)
    pin_to_core(1)
    close(ends[1])
    guard failure == 0 else { throw MeasurementFailed(description: "\(server) did not start: errno \(failure)") }
    self.process = process
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while read(ends[0], &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
    guard let port = Int(String(decoding: line, as: UTF8.self)), port > 0 else {
      kill(process, SIGKILL)
      throw MeasurementFailed(description: "\(server) has not told its port")
    }
    self.port = port
  }

  deinit {
    kill(process, SIGKILL)
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 && errno == EINTR {}
  }

  /// Of all its threads, in nanoseconds.
  var processorTime: Int {
    guard let directory = opendir("/proc/\(process)/task") else { return 0 }
    defer { closedir(directory) }
    var sum = 0
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      guard Int(name) != nil else { continue }
      let words = textOfFile("/proc/\(process)/task/\(name)/schedstat").split(separator: " ")
      sum += words.first.flatMap { Int($0) } ?? 0
    }
    return sum
  }

  /// The memory that it has now.
  var residentBytes: Int {
    let pages = textOfFile("/proc/\(process)/statm").split(separator: " ").dropFirst().first
    return (pages.flatMap { Int($0) } ?? 0) * sysconf(Int32(_SC_PAGESIZE))
  }
}
