// SPDX-License-Identifier: Apache-2.0
//
// Input, output and exit together.

import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ChildCommunicatingTests {
  @Test(arguments: ExitPath.allCases) func `SP-03: pipes carry input, output and errors`(path: ExitPath) throws {
    try path.run { _ in
      let child = try ChildProcess.shell(
        "read line; echo \"out: $line\"; echo err >&2; exit 3", stdin: .pipe, stdout: .pipe, stderr: .pipe)
      let result = try await child.communicate(input: Array("hello\n".utf8))
      #expect(text(result.output) == "out: hello\n")
      #expect(text(result.errors) == "err\n")
      #expect(result.status == .exited(3))
      let merged = try ChildProcess.shell("echo err >&2; echo out", stdout: .pipe, stderr: .merged)
      let both = try await merged.communicate()
      #expect(text(both.output) == "err\nout\n")
      #expect(both.errors == [])
    }
  }

  @Test(arguments: ExitPath.allCases)
  func `SP-04: a hundred megabytes go in while as many come out of both pipes`(path: ExitPath) throws {
    let count = Amount.of(100_000_000, usually: 8_000_000)
    let before = ProcessFacts.residentKilobytes
    let memory = try path.run { _ in
      let child = try ChildProcess.shell("tee /dev/stderr", stdin: .pipe, stdout: .pipe, stderr: .pipe)
      // No two blocks of a pipe's size are alike: it grows by its own length, from a length that divides none.
      var input = (0..<100_003).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
      while input.count < count { input += input.prefix(count - input.count) }
      let result = try await child.communicate(input: input)
      #expect(result.status == .exited(0))
      // Not as operands of the macro, which would show them.
      let isSame = result.output == input && result.errors == input
      #expect(isSame)
      return ProcessFacts.residentKilobytes
    }
    // Input, and two outputs in arrays that grow by doubling.
    #expect(ProcessFacts.keepsFreedMemory || memory - before < count / 1_000 * 10)
  }

  @Test func `SP-05: a child that fills a pipe before it ends is waited for together with its output`() throws {
    try ExitPath.descriptor.run { _ in
      let child = try ChildProcess.spawn("head", ["-c", "1000000", "/dev/zero"], stdout: .pipe)
      // This wait alone would never end.
      await #expect(throws: TimeoutError.self) {
        try await withTimeout(.milliseconds(20)) { try await child.waitForExit() }
      }
      let result = try await child.communicate()
      #expect(result.output.count == 1_000_000)
      #expect(result.status == .exited(0))
    }
  }

  @Test(arguments: ExitPath.allCases) func `SP-06: a child that closes its input early is no error`(path: ExitPath)
    throws
  {
    // The disposition as Linux gives it: a SIGPIPE would end all tests here.
    let old = signal(SIGPIPE, nil)
    defer { signal(SIGPIPE, old) }
    let input = [UInt8](repeating: 7, count: 1_000_000)
    try path.run { loop in
      for command in ["exec <&-; sleep 0.02; echo done", "head -c 10 >/dev/null; echo done", "exit 0"] {
        let child = try ChildProcess.shell(command, stdin: .pipe, stdout: .pipe)
        let result = try await child.communicate(input: input)
        #expect(result.status == .exited(0))
      }
      // The bare write throws.
      let child = try ChildProcess.spawn("true", stdin: .pipe)
      try await child.waitForExit()
      var position = 0
      await #expect(throws: SystemError(.brokenPipe, in: "write")) {
        try await child.pipes.input?.write(input, from: &position, on: loop)
      }
      #expect(position == 0)
    }
  }

  @Test(arguments: ExitPath.allCases) func `SP-07: without input the child sees the end of it`(path: ExitPath) throws {
    try path.run { _ in
      for input in [nil, []] as [[UInt8]?] {
        let child = try ChildProcess.shell("cat; echo end", stdin: .pipe, stdout: .pipe)
        #expect(text(try await child.communicate(input: input).output) == "end\n")
      }
    }
  }

  @Test func `SP-19: output that is read after the exit, and slowly, arrives whole`() throws {
    try ExitPath.descriptor.run { loop in
      let child = try ChildProcess.spawn("head", ["-c", "60000", "/dev/zero"], stdout: .pipe)
      try await child.waitForExit()
      await #expect(throws: ChildOutputLimitError(limit: 10)) { try await child.communicate(limit: 10) }
      try await lookAround()
      #expect(try await child.communicate().output.count == 60_000)
    }
  }

  @Test(arguments: ExitPath.allCases)
  func `SP-13, T-68: cancelled at any of its awaits, a child is killed, reaped, and its pipes closed`(path: ExitPath)
    throws
  {
    try path.run { loop in
      let descriptors = ProcessFacts.descriptors.count
      var started = 0
      for delay in 0..<60 {
        let id = Counter()
        let task = loop.createTask {
          let child = try ChildProcess.spawn("sleep", ["60"], stdin: .pipe, stdout: .pipe, stderr: .pipe)
          id.value = Int(child.processID)
          return try await child.communicate(input: [UInt8](repeating: 1, count: 1_000_000))
        }
        if delay < 40 { try await turns(delay) } else { try await sleep(for: .microseconds((delay - 40) * 100)) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        guard id.value != 0 else { continue }
        started += 1
        try await settle { !exists(Int32(id.value)) }
      }
      #expect(started >= 59)
      try await settle { ProcessFacts.descriptors.count == descriptors }
    }
    #expect(ProcessFacts.childCount == 0)
  }

  @Test(arguments: ExitPath.allCases) func `SP-15: closing kills a child that runs, and leaves one that has ended`(
    path: ExitPath
  ) throws {
    try path.run { loop in
      let descriptors = ProcessFacts.descriptors.count
      let running = try ChildProcess.spawn("sleep", ["60"], stdin: .pipe, stdout: .pipe)
      let talk = loop.createTask { try await running.communicate(input: [UInt8](repeating: 1, count: 1_000_000)) }
      try await lookAround()
      running.close()
      running.close()
      await #expect(throws: DescriptorClosedError.self) { try await talk.value }
      #expect(try await running.waitForExit() == .signalled(SIGKILL, coreDumped: false))
      let ended = try ChildProcess.shell("exit 3", stdout: .pipe)
      try await ended.waitForExit()
      ended.close()
      #expect(ended.exitStatus == .exited(3))
      #expect(ProcessFacts.descriptors.count == descriptors)
    }
  }

  @Test(arguments: ExitPath.allCases) func `a timeout loses nothing: the next call goes on from there`(path: ExitPath)
    throws
  {
    try path.run { _ in
      let child = try ChildProcess.shell("echo first; read a; echo \"$a\"; exec sleep 60", stdin: .pipe, stdout: .pipe)
      await #expect(throws: TimeoutError.self) {
        try await child.communicate(input: Array("second\n".utf8), timeout: .milliseconds(100))
      }
      #expect(child.exitStatus == nil)
      try child.kill()
      let result = try await child.communicate()
      #expect(text(result.output) == "first\nsecond\n")
      #expect(result.status == .signalled(SIGKILL, coreDumped: false))
      // And once more.
      #expect(try await child.communicate() == result)
    }
  }

  @Test func `input that the child has not taken yet is written by the next call`() throws {
    try ExitPath.descriptor.run { _ in
      let child = try ChildProcess.shell("kill -STOP $$; wc -c", stdin: .pipe, stdout: .pipe)
      try await settle { state(of: child.processID) == "T" }
      await #expect(throws: TimeoutError.self) {
        try await child.communicate(input: [UInt8](repeating: 1, count: 1_000_000), timeout: .milliseconds(5))
      }
      try child.send(signal: SIGCONT)
      #expect(text(try await child.communicate().output).contains("1000000"))
    }
  }

  @Test func `a child that writes without end meets the limit`() throws {
    try ExitPath.descriptor.run { _ in
      for command in ["yes", "yes >&2"] {
        let child = try ChildProcess.shell(command, stdout: .pipe, stderr: .pipe)
        await #expect(throws: ChildOutputLimitError(limit: 100_000)) { try await child.communicate(limit: 100_000) }
        // Not much more than the limit has been read.
        #expect((100_000...300_000).contains(max(child.collected.output.count, child.collected.errors.count)))
        child.close()
        try await child.waitForExit()
      }
      let exact = try ChildProcess.spawn("head", ["-c", "1000", "/dev/zero"], stdout: .pipe)
      #expect(try await exact.communicate(limit: 1_000).output.count == 1_000)
    }
  }

  @Test func `what cannot be done with a child is refused, and loses nothing`() throws {
    try ExitPath.descriptor.run { loop in
      let deaf = try ChildProcess.spawn("true")
      await #expect(throws: InvalidArgumentError.self) { try await deaf.communicate(input: [1]) }
      #expect(try await deaf.communicate() == .init(output: [], errors: [], status: .exited(0)))
      let child = try ChildProcess.spawn("cat", stdin: .pipe, stdout: .pipe)
      let first = loop.createTask { try await child.communicate(input: [1, 2, 3], timeout: .seconds(10)) }
      try await turns(1)
      await #expect(throws: InvalidArgumentError.self) { try await child.communicate() }
      #expect(try await first.value.output == [1, 2, 3])
      await #expect(throws: InvalidArgumentError.self) { try await child.communicate(input: [4]) }
    }
  }

  @Test(arguments: ExitPath.allCases) func `many children at once, each with its own bytes`(path: ExitPath) throws {
    try path.run { loop in
      let descriptors = ProcessFacts.descriptors.count
      let texts = try await gather(0..<50) { number in
        let child = try ChildProcess.spawn("cat", stdin: .pipe, stdout: .pipe)
        return text(
          try await child.communicate(input: Array(String(repeating: "\(number) ", count: 20_000).utf8)).output)
      }
      for (number, text) in texts.enumerated() { #expect(text == String(repeating: "\(number) ", count: 20_000)) }
      try await settle { ProcessFacts.descriptors.count == descriptors }
    }
  }
}

private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
