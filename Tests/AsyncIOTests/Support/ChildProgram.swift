// SPDX-License-Identifier: Apache-2.0
//
// Programs that tests start, by the plainest means.

import Glibc
import SystemPackage

/// A child process, whose standard output the test reads.
final class ChildProgram {
  let id: pid_t
  private let output: FileDescriptor
  private var status: Int32?

  private init(id: pid_t, output: FileDescriptor) {
    self.id = id
    self.output = output
  }

  /// Starts a program; descriptors that are not close-on-exec are handed down to it.
  static func start(_ path: String, _ arguments: [String]) throws -> ChildProgram {
    let (readEnd, writeEnd) = try FileDescriptor.pipe()
    _ = fcntl(readEnd.rawValue, F_SETFD, FD_CLOEXEC)
    _ = fcntl(writeEnd.rawValue, F_SETFD, FD_CLOEXEC)
    defer { try? writeEnd.close() }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, writeEnd.rawValue, 1)
    // The threads of Swift's pool block all signals, and a child would begin with that.
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var strings = unsafe ([path] + arguments).map { unsafe strdup($0) } + [nil]
    defer { unsafe strings.forEach { unsafe free($0) } }
    var id = pid_t()
    let error = unsafe posix_spawn(&id, path, &actions, &attributes, &strings, environ)
    guard error == 0 else { throw Errno(rawValue: error) }
    return ChildProgram(id: id, output: readEnd)
  }

  /// Starts one of the package's own programs, which stands beside the tests.
  static func start(besideTests name: String, _ arguments: [String]) throws -> ChildProgram {
    var buffer = [CChar](repeating: 0, count: 4_096)
    let length = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
    let path = String(decoding: buffer[..<max(0, length)].map(UInt8.init(bitPattern:)), as: UTF8.self)
    let program = FilePath(path).removingLastComponent().appending(name).string
    // Many of them are stopped on purpose, and each backtrace would take half a second.
    return try start("/usr/bin/env", ["SWIFT_BACKTRACE=enable=no", program] + arguments)
  }

  /// Waits for the end; a program that takes more than 20 seconds is killed.
  ///
  /// - Returns: What it wrote, and its exit code; for one that a signal ended, the signal's number as a negative one.
  func finish() throws -> (output: String, code: Int32) {
    let deadline = ContinuousClock.now + .seconds(20)
    var state: Int32 = 0
    while unsafe waitpid(id, &state, WNOHANG) == 0 {
      if ContinuousClock.now > deadline { Glibc.kill(id, SIGKILL) }
      usleep(2_000)
    }
    status = state
    let text = try DescriptorPair.read(output, 65_536)
    let signal = state & 0x7f
    return (text, signal == 0 ? (state >> 8) & 0xff : -signal)
  }

  /// Ends it, if it has not ended, and waits for that.
  func kill() {
    guard status == nil else { return }
    Glibc.kill(id, SIGKILL)
    var state: Int32 = 0
    unsafe waitpid(id, &state, 0)
    status = state
  }

  deinit {
    kill()
    try? output.close()
  }
}
