// SPDX-License-Identifier: Apache-2.0
//
// Children that cannot be started: the right error, and nothing left of the attempt.

import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct SpawnFailureTests {
  @Test func `SP-14: each failure is the right error`() throws {
    try ExitPath.descriptor.run { _ in
      let directory = try TemporaryDirectory()
      try directory.write("#!/bin/sh\n", to: "plain")
      try directory.write("no program\n", to: "text", permissions: [.ownerReadWriteExecute])
      try directory.write("#!/no/such/interpreter\n", to: "orphan", permissions: [.ownerReadWriteExecute])
      for (program, errno) in [
        ("/no/such/program", Errno.noSuchFileOrDirectory), ("asyncio-no-such-program", .noSuchFileOrDirectory),
        ("", .noSuchFileOrDirectory), (directory.appending("plain").string, .permissionDenied),
        (directory.appending("text").string, .execFormatError),
        (directory.appending("orphan").string, .noSuchFileOrDirectory), (directory.path.string, .permissionDenied),
        ("/bin/true/x", .notDirectory),
      ] {
        #expect(throws: SystemError(errno, in: "posix_spawn"), "\(program)") { try ChildProcess.spawn(program) }
      }
      // On the path there is one that may not be run.
      #expect(throws: SystemError(.permissionDenied, in: "posix_spawn")) {
        try ChildProcess.spawn("plain", environment: .update(["PATH": directory.path.string]))
      }
      #expect(throws: SystemError(.noSuchFileOrDirectory, in: "chdir")) {
        try ChildProcess.spawn("true", workingDirectory: "/no/such/directory")
      }
      #expect(throws: SystemError(.notDirectory, in: "chdir")) {
        try ChildProcess.spawn("true", workingDirectory: directory.appending("plain"))
      }
      #expect(throws: SystemError(.argListTooLong, in: "posix_spawn")) {
        try ChildProcess.spawn("true", [String(repeating: "x", count: 200_000)])
      }
      #expect(throws: SystemError(.noSuchFileOrDirectory, in: "open")) {
        try ChildProcess.spawn("true", stdin: .file("/no/such/file"))
      }
      #expect(throws: SystemError(.isDirectory, in: "open")) {
        try ChildProcess.spawn("true", stdout: .file(directory.path))
      }
      #expect(throws: SystemError(.badFileDescriptor, in: "posix_spawn")) {
        try ChildProcess.spawn("true", stdin: .descriptor(FileDescriptor(rawValue: 900)))
      }
      #expect(throws: SystemError.self) { try ChildProcess.spawn("true", group: .joining(1)) }
    }
  }

  @Test func `SP-14: what cannot be said to a program is refused`() throws {
    try ExitPath.descriptor.run { _ in
      for spawn in [
        { try ChildProcess.spawn("tr\0ue") }, { try ChildProcess.spawn("true", ["a\0b"]) },
        { try ChildProcess.spawn("true", workingDirectory: FilePath("/tmp\0x")) },
        { try ChildProcess.spawn("true", environment: .replace(["A": "\0"])) },
        { try ChildProcess.spawn("true", environment: .update(["A=B": "c"])) },
        { try ChildProcess.spawn("true", environment: .update(["A=B": nil])) },
        { try ChildProcess.spawn("true", environment: .replace(["": "c"])) },
        { try ChildProcess.spawn("true", descriptors: [-1: .standardInput]) },
      ] as [() throws -> ChildProcess] {
        do {
          // Where the path's own type has ended the text at the zero, there is nothing wrong with it.
          try await spawn().waitForExit()
        } catch is InvalidArgumentError {}
      }
      #expect(throws: InvalidArgumentError.self) { try ChildProcess.spawn("true", ["a\0b"]) }
      #expect(throws: InvalidArgumentError.self) {
        try ChildProcess.spawn("true", environment: .update(["A=B": nil]))
      }
      for number: Int32 in [-1, 1_024, .min, .max] {
        #expect(throws: InvalidArgumentError.self) {
          try ChildProcess.spawn("true", descriptors: [number: .standardInput])
        }
      }
    }
    #expect(throws: NoRunningLoopError.self) { try ChildProcess.spawn("true") }
  }

  @Test(arguments: ExitPath.allCases)
  func `SP-14: after ten thousand failures descriptors, threads and children are as before`(path: ExitPath) throws {
    try path.run { _ in
      try await ChildProcess.spawn("true", stdin: .pipe, stdout: .pipe, stderr: .pipe).waitForExit()
      let sleeper = try ChildProcess.spawn("sleep", ["60"])
      let directory = try TemporaryDirectory()
      try directory.write("#!/bin/sh\n", to: "plain")
      let plain = directory.appending("plain").string
      let long = [String(repeating: "x", count: 200_000)]
      try await linger()
      let descriptors = ProcessFacts.descriptors.count
      let threads = ProcessFacts.threadNames.count
      for _ in 0..<Amount.of(2_000, usually: 60) {
        #expect(throws: SystemError.self) {
          try ChildProcess.spawn("/no/such/program", stdin: .pipe, stdout: .pipe, stderr: .pipe)
        }
        #expect(throws: SystemError.self) { try ChildProcess.spawn(plain, stdin: .pipe, stdout: .pipe) }
        #expect(throws: SystemError.self) { try ChildProcess.spawn("true", stdin: .pipe, workingDirectory: "/no/such") }
        #expect(throws: SystemError.self) { try ChildProcess.spawn("true", long, stdout: .pipe, stderr: .merged) }
        #expect(throws: SystemError.self) { try ChildProcess.spawn("true", stdout: .pipe, stderr: .file("/no/such/x")) }
        #expect(throws: SystemError.self) { try sleeper.send(signal: 1_000) }
      }
      #expect(ProcessFacts.descriptors.count == descriptors)
      #expect(ProcessFacts.threadNames.count <= threads)
      #expect(ProcessFacts.childCount == 1 && sleeper.exitStatus == nil)
      try sleeper.kill()
      try await sleeper.waitForExit()
    }
  }

  @Test(arguments: ExitPath.allCases)
  func `SP-14: whichever call fails, its error is thrown, and nothing is left`(path: ExitPath) throws {
    for name in Failing.names {
      try path.run(calls: Failing(path, name)) { _ in
        let descriptors = ProcessFacts.descriptors.count
        for count in 0..<6 {
          Failing.countdown.store(count, ordering: .relaxed)
          do {
            let child = try ChildProcess.spawn(
              "true", stdin: .pipe, stdout: .pipe, stderr: .file("/dev/null"),
              descriptors: [1: .standardError, 5: .standardOutput])
            try await child.waitForExit()
          } catch let error as SystemError {
            #expect(error.errno == .resourceTemporarilyUnavailable)
            #expect(error.call.hasPrefix(name))
          }
        }
        try await settle { ProcessFacts.descriptors.count == descriptors && ProcessFacts.childCount == 0 }
      }
    }
  }

  @Test func `a child for which there is no descriptor left is waited for all the same`() throws {
    let status = try ExitPath.descriptor.run(calls: NoDescriptorsLeft()) { _ in
      try await ChildProcess.shell("exit 3").waitForExit()
    }
    #expect(status == .exited(3))
  }
}

/// Fails with `EAGAIN` at the n-th time that one of the calls is made.
private struct Failing: PartialProcessCalls {
  static let names = ["posix_spawn", "pipe2", "open", "fcntl"]
  static let countdown = Atomic<Int>(0)
  let path: ExitPath
  let name: String

  init(_ path: ExitPath, _ name: String) {
    self.path = path
    self.name = name
  }

  private func failIfDue(_ name: String) throws(Errno) {
    guard name == self.name else { return }
    if Self.countdown.subtract(1, ordering: .relaxed).oldValue == 0 { throw .resourceTemporarilyUnavailable }
  }

  func spawn(_ plan: SpawnPlan) throws(Errno) -> Int32 {
    try failIfDue("posix_spawn")
    return try path.calls.spawn(plan)
  }
  func openProcess(_ number: Int32) throws(Errno) -> Int32 { try path.calls.openProcess(number) }
  func pipe() throws(Errno) -> (readEnd: Int32, writeEnd: Int32) {
    try failIfDue("pipe2")
    return try path.calls.pipe()
  }
  func open(_ path: String, _ flags: Int32) throws(Errno) -> Int32 {
    try failIfDue("open")
    return try self.path.calls.open(path, flags)
  }
  func duplicate(_ descriptor: Int32, atLeast least: Int32) throws(Errno) -> Int32 {
    try failIfDue("fcntl")
    return try path.calls.duplicate(descriptor, atLeast: least)
  }
  func setNonBlocking(_ descriptor: Int32) throws(Errno) {
    try failIfDue("fcntl")
    try path.calls.setNonBlocking(descriptor)
  }
}

private struct NoDescriptorsLeft: PartialProcessCalls {
  func openProcess(_ number: Int32) throws(Errno) -> Int32 { throw .tooManyOpenFiles }
}
