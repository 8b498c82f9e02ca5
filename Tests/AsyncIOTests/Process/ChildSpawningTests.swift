// SPDX-License-Identifier: Apache-2.0
//
// What a child begins with: streams, descriptors, signals, directory, environment, group, session.

import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ChildSpawningTests {
  @Test func `SP-03: standard streams can be files, nothing, descriptors, and one merged into the other`() throws {
    try ExitPath.descriptor.run { _ in
      let directory = try TemporaryDirectory()
      try directory.write("from a file\n", to: "in")
      let both = "read line; echo \"out: $line\"; echo err >&2"
      let file = try ChildProcess.shell(
        both, stdin: .file(directory.appending("in")), stdout: .file(directory.appending("out")),
        stderr: .file(directory.appending("err")))
      #expect(try await file.waitForExit() == .exited(0))
      #expect(try directory.read("out") == "out: from a file\n")
      #expect(try directory.read("err") == "err\n")
      let appended = try ChildProcess.shell(
        both, stdin: .null, stdout: .appending(directory.appending("out")), stderr: .merged)
      try await appended.waitForExit()
      #expect(try directory.read("out") == "out: from a file\nout: \nerr\n")
      let emptied = try ChildProcess.shell(
        "echo new", stdout: .file(directory.appending("out")), stderr: .appending(directory.appending("err")))
      try await emptied.waitForExit()
      #expect(try directory.read("out") == "new\n")
      let merged = try await outputOfShell("echo err >&2; echo out", stderr: .merged)
      #expect(merged == "err\nout\n")
      // Nothing to read, and nowhere to write to.
      let null = try ChildProcess.shell("cat; echo x; echo y >&2", stdin: .null, stdout: .null, stderr: .null)
      #expect(try await null.waitForExit() == .exited(0))
    }
  }

  @Test func `SP-03: what is inherited is the parent's own`() throws {
    try ExitPath.descriptor.run { _ in
      let own = (0..<3).map { ProcessFacts.descriptors[$0] ?? "" }
      // The pipe is at 5: 0, 1 and 2 are as they were.
      let captured = try Captured()
      let child = try ChildProcess.shell(
        "for i in 0 1 2; do readlink /proc/self/fd/$i >&5; done", descriptors: [5: captured.end])
      try await child.waitForExit()
      let text = try captured.text().split(separator: "\n").map(String.init)
      // (readlink's own output is the pipe.)
      #expect([text[0], text[2]] == [own[0], own[2]])
    }
  }

  @Test func `SP-03: standard streams may be crossed with each other`() throws {
    try ExitPath.descriptor.run { _ in
      // The parent's 1 becomes the child's 2, and the other way round.
      let first = try Captured()
      let second = try Captured()
      let saved = (dup(1), dup(2))
      dup2(first.end.rawValue, 1)
      dup2(second.end.rawValue, 2)
      let child = Result {
        try ChildProcess.shell(
          "echo out; echo err >&2", stdout: .descriptor(.standardError), stderr: .descriptor(.standardOutput))
      }
      dup2(saved.0, 1)
      dup2(saved.1, 2)
      close(saved.0)
      close(saved.1)
      try await child.get().waitForExit()
      // What tells of the tests may have written there meanwhile.
      let (one, two) = (try first.text(), try second.text())
      #expect(one.contains("err\n") && !one.contains("out\n"))
      #expect(two.contains("out\n") && !two.contains("err\n"))
    }
  }

  @Test func `SP-25: no descriptor of the parent is in the child but those that were asked for`() throws {
    try ExitPath.descriptor.run { loop in
      // Sloppy ones, which are not close-on-exec.
      let sloppy = (0..<4).map { _ in unsafe open("/dev/zero", O_RDONLY) }
      defer { for descriptor in sloppy { close(descriptor) } }
      let zero = FileDescriptor(rawValue: sloppy[0])
      func handedDown(_ descriptors: [Int32: FileDescriptor], keeping: Bool = false) async throws -> Set<Int32> {
        let child = try ChildProcess.spawn(
          "sleep", ["60"], stdout: .null, descriptors: descriptors, keepsDescriptors: keeping)
        // The loader of programs has files open for a moment.
        var numbers: Set<Int32> = []
        var same = 0
        try await settle {
          let seen = Set(ProcessFacts.descriptors(of: child.processID).keys)
          same = seen == numbers ? same + 1 : 0
          numbers = seen
          return same == 10
        }
        try child.kill()
        try await child.waitForExit()
        return numbers
      }
      #expect(try await handedDown([:]) == [0, 1, 2])
      #expect(try await handedDown([3: zero, 7: zero]) == [0, 1, 2, 3, 7])
      // With those that nobody closed it gets all four, and none of ours.
      let kept = try await handedDown([:], keeping: true)
      #expect(kept.isSuperset(of: sloppy))
      let ours = ProcessFacts.descriptors.filter { $0.value.contains("anon_inode") }
      #expect(ours.count >= 3)
      #expect(kept.isDisjoint(with: ours.keys))
    }
  }

  @Test func `SP-25: two threads that spawn do not give each other's pipes away`() throws {
    // What whoever started the tests has left open.
    let inherited = Set(ProcessFacts.descriptors.keys.filter { fcntl($0, F_GETFD) & FD_CLOEXEC == 0 })
    let threads = (0..<2).map { _ in
      TestThread {
        do {
          try ExitPath.descriptor.run { _ in
            for _ in 0..<50 {
              // Even where others are kept: ours are close-on-exec from birth.
              let child = try ChildProcess.spawn(
                "sleep", ["60"], stdin: .pipe, stdout: .pipe, stderr: .pipe, keepsDescriptors: true)
              // The loader of programs has files open for a moment.
              try await settle {
                ProcessFacts.descriptors(of: child.processID).keys.allSatisfy { $0 < 3 || inherited.contains($0) }
              }
              try child.kill()
              try await child.waitForExit()
            }
          }
        } catch {
          Issue.record(error)
        }
      }
    }
    for thread in threads { thread.join() }
  }

  @Test func `SP-26: the flags of the parent's standard streams do not change`() throws {
    let flags: @Sendable () -> [[Int32]] = { (0..<3).map { [fcntl(Int32($0), F_GETFL), fcntl(Int32($0), F_GETFD)] } }
    let before = flags()
    try ExitPath.descriptor.run { _ in
      try await ChildProcess.spawn("true").waitForExit()
      try await ChildProcess.spawn("true", stdin: .pipe, stdout: .pipe, stderr: .pipe).waitForExit()
      #expect(flags() == before)
    }
    #expect(flags() == before)
  }

  @Test func `SP-27: no signal is blocked in the child, and none ignored`() throws {
    let old = signal(SIGPIPE, SIG_IGN)
    defer { signal(SIGPIPE, old) }
    var set = sigset_t()
    var mask = sigset_t()
    unsafe sigfillset(&set)
    unsafe pthread_sigmask(SIG_BLOCK, &set, &mask)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &mask, nil) }
    let text = try ExitPath.descriptor.run { loop in
      try loop.addSignalHandler(SIGUSR2) {}
      let captured = try Captured()
      let child = try ChildProcess.spawn("cat", ["/proc/self/status"], stdout: .descriptor(captured.end))
      try await child.waitForExit()
      return try captured.text()
    }
    for name in ["SigBlk", "SigIgn", "SigCgt"] {
      let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(name) })
      let set = try #require(line.split(separator: "\t").last.flatMap { UInt64($0, radix: 16) })
      // glibc has 32 and 33 to itself, and lets nobody touch them.
      #expect(set & ~(3 << 31) == 0, "\(line)")
    }
  }

  @Test func `SP-28: the child begins in the directory`() throws {
    try ExitPath.descriptor.run { _ in
      let directory = try TemporaryDirectory()
      #expect(try await outputOfShell("pwd -P", workingDirectory: directory.path) == "\(directory.path)\n")
      // A relative program is the directory's.
      try directory.write("#!/bin/sh\nexit 21\n", to: "here", permissions: [.ownerReadWriteExecute])
      let child = try ChildProcess.spawn("./here", workingDirectory: directory.path)
      #expect(try await child.waitForExit() == .exited(21))
    }
  }

  @Test func `SP-28: the environment is inherited, replaced or updated`() throws {
    unsafe setenv("ASYNCIO_TEST_A", "a", 1)
    unsafe setenv("ASYNCIO_TEST_B", "b", 1)
    defer {
      unsafe unsetenv("ASYNCIO_TEST_A")
      unsafe unsetenv("ASYNCIO_TEST_B")
    }
    try ExitPath.descriptor.run { _ in
      let show = "echo \"$ASYNCIO_TEST_A,$ASYNCIO_TEST_B,$ASYNCIO_TEST_C\""
      #expect(try await outputOfShell(show) == "a,b,\n")
      #expect(try await outputOfShell(show, environment: .replace(["ASYNCIO_TEST_C": "c=="])) == ",,c==\n")
      #expect(
        try await outputOfShell(
          show, environment: .update(["ASYNCIO_TEST_A": nil, "ASYNCIO_TEST_B": "x y", "ASYNCIO_TEST_C": ""]))
          == ",x y,\n")
      let captured = try Captured()
      let bare = try ChildProcess.spawn("/usr/bin/env", stdout: .descriptor(captured.end), environment: .replace([:]))
      try await bare.waitForExit()
      #expect(try captured.text() == "")
    }
  }

  @Test func `SP-28: the program is looked for along the child's own path`() throws {
    try ExitPath.descriptor.run { _ in
      let directory = try TemporaryDirectory()
      try directory.write("#!/bin/sh\nexit 33\n", to: "asyncio-test-tool", permissions: [.ownerReadWriteExecute])
      let path = ChildProcess.Environment.update(["PATH": "/no/such:\(directory.path):/bin:/usr/bin"])
      #expect(try await ChildProcess.spawn("asyncio-test-tool", environment: path).waitForExit() == .exited(33))
      #expect(throws: SystemError(.noSuchFileOrDirectory, in: "posix_spawn")) {
        try ChildProcess.spawn("asyncio-test-tool")
      }
      // An empty entry is the directory where the child begins.
      let child = try ChildProcess.spawn(
        "asyncio-test-tool", workingDirectory: directory.path, environment: .update(["PATH": "/bin:"]))
      #expect(try await child.waitForExit() == .exited(33))
    }
  }

  @Test func `SP-28: a group and a session of its own`() throws {
    try ExitPath.descriptor.run { _ in
      let show = "cut -d' ' -f1,5,6 /proc/$$/stat"
      let words = { (text: String) in text.split(whereSeparator: \.isWhitespace).compactMap { Int32($0) } }
      let same = words(try await outputOfShell(show))
      #expect(Array(same[1...]) == [getpgrp(), getsid(0)])
      let group = words(try await outputOfShell(show, group: .new))
      #expect(Array(group[1...]) == [group[0], getsid(0)])
      let session = words(try await outputOfShell(show, group: .newSession))
      #expect(Array(session[1...]) == [session[0], session[0]])
      let leader = try ChildProcess.spawn("sleep", ["60"], group: .new)
      let member = words(try await outputOfShell(show, group: .joining(leader.processID)))
      #expect(member[1] == leader.processID)
      try leader.kill()
      try await leader.waitForExit()
    }
  }

  @Test func `SP-28: further descriptors have the numbers that were asked for`() throws {
    try ExitPath.descriptor.run { _ in
      let first = try Captured()
      let second = try Captured()
      // Crossed: each has the number that the other has here.
      let one = first.end.rawValue
      let two = second.end.rawValue
      let child = try ChildProcess.shell(
        "echo one >&\(min(two, 9)); echo two >&\(min(one, 8))",
        descriptors: [min(two, 9): first.end, min(one, 8): second.end])
      #expect(try await child.waitForExit() == .exited(0))
      #expect(try first.text() == "one\n")
      #expect(try second.text() == "two\n")
    }
  }

  @Test func `a shell gets further arguments as parameters`() throws {
    let text = try ExitPath.descriptor.run { _ in
      try await outputOfShell("echo \"$2 $1 $#\"", ["a b", "$HOME"])
    }
    #expect(text == "$HOME a b 2\n")
  }
}
