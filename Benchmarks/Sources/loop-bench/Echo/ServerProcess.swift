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
    // The server on one core, and its clients on the other. It takes over the core of who starts it.
    pin_to_core(0)
    defer { pin_to_core(1) }
    let (process, output) = try startProgram("/proc/self/exe", ["echo-serve", server.rawValue])
    defer { close(output) }
    self.process = process
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while read(output, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
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
  var residentBytes: Int { loop_bench.residentBytes(of: "\(process)") }
}
