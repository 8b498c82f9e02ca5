// SPDX-License-Identifier: Apache-2.0
//
// What tests of child processes share: the two ways in which a loop hears of an end, and what is left of a child.

import Foundation
import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

/// How a loop hears of the end of its children.
enum ExitPath: String, CaseIterable, CustomTestStringConvertible {
  case descriptor = "by a pidfd"
  case thread = "by a waiting thread"

  var testDescription: String { rawValue }

  var calls: any ProcessCalls {
    switch self {
    case .descriptor: LinuxProcessCalls()
    case .thread: OldKernel()
    }
  }

  /// `EventLoop.run`, with this way; a test that hangs fails.
  @discardableResult
  func run<T: Sendable>(
    calls: (any ProcessCalls)? = nil, log: RecordingLog? = nil,
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> T
  ) throws -> T {
    var configuration = EventLoop.Configuration()
    configuration.seams.processCalls = calls ?? self.calls
    if let log { configuration.logger = log.logger }
    return try EventLoop.run(configuration: configuration) { loop in
      try await withTimeout(.seconds(60)) { try await body(loop) }
    }
  }
}

/// A kernel that has no descriptors for processes.
struct OldKernel: PartialProcessCalls {
  func openProcess(_ number: Int32) throws(Errno) -> Int32 { throw .noFunction }
}

/// Calls of which the signals that were sent are noted.
struct SignalLog: PartialProcessCalls {
  let path: ExitPath
  let sent = Notes<Int32>()

  init(_ path: ExitPath) { self.path = path }

  func openProcess(_ number: Int32) throws(Errno) -> Int32 { try path.calls.openProcess(number) }

  func signal(_ process: ProcessName, _ signal: Int32) throws(Errno) {
    sent.add(signal)
    try path.calls.signal(process, signal)
  }
}

/// Calls that go to the running kernel, as far as a test does not answer them itself.
protocol PartialProcessCalls: ProcessCalls {}

extension PartialProcessCalls {
  private var kernel: LinuxProcessCalls { LinuxProcessCalls() }

  func spawn(_ plan: SpawnPlan) throws(Errno) -> Int32 { try kernel.spawn(plan) }
  func openProcess(_ number: Int32) throws(Errno) -> Int32 { try kernel.openProcess(number) }
  func signal(_ process: ProcessName, _ signal: Int32) throws(Errno) { try kernel.signal(process, signal) }
  func wait(for process: ProcessName, blocking: Bool, reaping: Bool) throws(Errno) -> ChildExitStatus? {
    try kernel.wait(for: process, blocking: blocking, reaping: reaping)
  }
  func pipe() throws(Errno) -> (readEnd: Int32, writeEnd: Int32) { try kernel.pipe() }
  func open(_ path: String, _ flags: Int32) throws(Errno) -> Int32 { try kernel.open(path, flags) }
  func duplicate(_ descriptor: Int32, atLeast least: Int32) throws(Errno) -> Int32 {
    try kernel.duplicate(descriptor, atLeast: least)
  }
  func setNonBlocking(_ descriptor: Int32) throws(Errno) { try kernel.setNonBlocking(descriptor) }
}

/// Whether a process is there, be it as a zombie.
func exists(_ processID: Int32) -> Bool { kill(processID, 0) == 0 }

/// What a process is doing, as the kernel says: `R`, `S`, `T` for one that is stopped, `Z`; `nil` for one that is gone.
func state(of processID: Int32) -> Character? {
  guard let text = try? String(contentsOfFile: "/proc/\(processID)/stat", encoding: .utf8) else { return nil }
  // The name before it may have anything in it.
  return text.split(separator: ")").last?.first { $0 != " " }
}

/// What a child writes to a pipe of the test's; little enough for the pipe.
final class Captured {
  private let pair: DescriptorPair

  init() throws { pair = try DescriptorPair.pipe() }

  var end: FileDescriptor { pair.far }

  /// What was written, once all writers have ended.
  func text() throws -> String {
    try pair.closeFar()
    var text = ""
    while true {
      let part = try pair.receive(65_536)
      if part.isEmpty { return text }
      text += part
    }
  }
}

/// Runs a command of the shell to its end.
///
/// - Returns: What it wrote on standard output.
func outputOfShell(
  _ command: String, _ arguments: [String] = [], stderr: ChildProcess.ErrorOutput = .inherit,
  workingDirectory: FilePath? = nil, environment: ChildProcess.Environment = .inherit,
  group: ChildProcess.Group = .inherit, descriptors: [Int32: FileDescriptor] = [:], keepsDescriptors: Bool = false
) async throws -> String {
  let captured = try Captured()
  let child = try ChildProcess.shell(
    command, arguments, stdout: .descriptor(captured.end), stderr: stderr, workingDirectory: workingDirectory,
    environment: environment, group: group, descriptors: descriptors, keepsDescriptors: keepsDescriptors)
  try await child.waitForExit()
  return try captured.text()
}

/// A directory that goes with the object.
final class TemporaryDirectory {
  let path: FilePath

  init() throws {
    var template = Array("/tmp/asyncio-test-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
    path = FilePath(String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self))
  }

  func appending(_ name: String) -> FilePath { path.appending(name) }

  func write(_ text: String, to name: String, permissions: FilePermissions = [.ownerReadWrite]) throws {
    let file = try FileDescriptor.open(
      appending(name), .writeOnly, options: [.create, .truncate], permissions: permissions)
    defer { try? file.close() }
    try file.writeAll(text.utf8)
  }

  func read(_ name: String) throws -> String {
    let file = try FileDescriptor.open(appending(name), .readOnly)
    defer { try? file.close() }
    return try DescriptorPair.read(file, 65_536)
  }

  deinit {
    let words = ["rm", "-rf", path.string]
    var command = unsafe words.map { unsafe strdup($0) } + [nil]
    defer { unsafe command.forEach { unsafe free($0) } }
    var id = pid_t()
    unsafe posix_spawnp(&id, "rm", nil, nil, &command, environ)
    waitpid(id, nil, 0)
  }
}
