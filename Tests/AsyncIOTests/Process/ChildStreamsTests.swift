// SPDX-License-Identifier: Apache-2.0
//
// The pipes to a child as streams.

import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ChildStreamsTests {
  @Test(arguments: ExitPath.allCases) func `SP-03: a child is talked to line by line`(path: ExitPath) throws {
    try path.run { loop in
      let reports = Reports(of: loop)
      let child = try ChildProcess.shell(
        "while read line; do echo \"<$line>\"; echo x >&2; done", stdin: .pipe, stdout: .pipe, stderr: .pipe)
      let stdin = try #require(child.stdin)
      let stdout = try #require(child.stdout)
      for number in 0..<20 {
        try await stdin.write("\(number)\n")
        #expect(try await stdout.readLine() == "<\(number)>")
      }
      stdin.close()
      #expect(try await stdout.readLine() == nil)
      #expect(try await child.waitForExit() == .exited(0))
      #expect(try await child.stderr?.read().count == 40)
      child.close()
      #expect(reports.count == 0)
    }
  }

  @Test func `there are no streams where there are no pipes`() throws {
    try ExitPath.descriptor.run { _ in
      let child = try ChildProcess.spawn("true", stdin: .null, stdout: .null)
      #expect(child.stdin == nil && child.stdout == nil && child.stderr == nil)
      try await child.waitForExit()
    }
  }

  @Test func `SP-06: a bare write to a child that reads no more throws`() throws {
    let old = signal(SIGPIPE, nil)
    defer { signal(SIGPIPE, old) }
    try ExitPath.descriptor.run { _ in
      let child = try ChildProcess.spawn("true", stdin: .pipe)
      try await child.waitForExit()
      let stdin = try #require(child.stdin)
      await #expect(throws: SystemError.self) {
        try await stdin.write([UInt8](repeating: 1, count: 1_000_000))
        try await stdin.drain()
      }
    }
  }

  @Test(arguments: ExitPath.allCases) func `SP-19: what was written before the exit is read after it, slowly`(
    path: ExitPath
  ) throws {
    try path.run { _ in
      let child = try ChildProcess.spawn("seq", ["1", "5000"], stdout: .pipe)
      try await child.waitForExit()
      let stdout = try #require(child.stdout)
      var count = 0
      while let line = try await stdout.readLine() {
        count += 1
        #expect(line == "\(count)")
        if count % 1_000 == 0 { try await sleep(for: .zero) }
      }
      #expect(count == 5_000)
      child.close()
    }
  }

  @Test(arguments: ExitPath.allCases) func `communicate goes on where the streams were left`(path: ExitPath) throws {
    try path.run { loop in
      let reports = Reports(of: loop)
      let child = try ChildProcess.spawn("cat", stdin: .pipe, stdout: .pipe, stderr: .pipe)
      let stdin = try #require(child.stdin)
      let stdout = try #require(child.stdout)
      try await stdin.write("first\nsecond\n")
      #expect(try await stdout.readLine() == "first")
      let big = [UInt8](repeating: 7, count: 3_000_000)
      let result = try await child.communicate(input: big)
      #expect(result.status == .exited(0))
      #expect(result.output.count == 7 + big.count)
      #expect(result.output.starts(with: Array("second\n".utf8)))
      child.close()
      #expect(reports.count == 0)
    }
  }

  @Test func `communicate ignores that the child does not read what a stream had`() throws {
    try ExitPath.descriptor.run { _ in
      let child = try ChildProcess.shell("exec <&-; sleep 0.02; echo done", stdin: .pipe, stdout: .pipe)
      #expect(child.stdin != nil && child.stdout != nil)
      let result = try await child.communicate(input: [UInt8](repeating: 1, count: 1_000_000))
      #expect(String(decoding: result.output, as: UTF8.self) == "done\n")
      child.close()
    }
  }

  @Test(arguments: ExitPath.allCases) func `SP-16: a child that goes closes the streams that nobody else has`(
    path: ExitPath
  ) throws {
    try path.run { loop in
      let reports = Reports(of: loop)
      let descriptors = ProcessFacts.descriptors.count
      for _ in 0..<10 {
        var child: ChildProcess? = try ChildProcess.spawn("cat", stdin: .pipe, stdout: .pipe)
        #expect(child?.stdin != nil && child?.stdout != nil)
        child = nil
      }
      try await settle { ProcessFacts.descriptors.count == descriptors && ProcessFacts.childCount == 0 }
      // One that somebody has lives on, to its end.
      let stdout = try { try #require(try ChildProcess.shell("echo a; exec sleep 60", stdout: .pipe).stdout) }()
      let text = try await stdout.read()
      #expect(text.count <= 2)
      stdout.close()
      #expect(reports.count == 0)
    }
  }
}
