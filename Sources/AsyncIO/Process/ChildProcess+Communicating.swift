// SPDX-License-Identifier: Apache-2.0
//
// Input, output and exit together: the form that cannot deadlock.

import SystemPackage

extension ChildProcess {
  /// What a child has written, and how it ended.
  public struct Result: Sendable, Hashable {
    /// What it wrote on its standard output; empty unless that is a pipe.
    public let output: [UInt8]

    /// What it wrote on its standard error; empty unless that is a pipe.
    public let errors: [UInt8]

    /// How it ended.
    public let status: ChildExitStatus
  }

  /// Feeds the child its input, reads all of its output, and waits for its end, all at once. asyncio's `communicate`.
  ///
  /// ```swift
  /// let child = try ChildProcess.spawn("wc", ["-c"], stdin: .pipe, stdout: .pipe)
  /// let result = try await child.communicate(input: Array("hello".utf8))
  /// print(String(decoding: result.output, as: UTF8.self))     // prints: 5
  /// ```
  ///
  /// The input is closed when all of it is written; without any, at once. A child that reads no more, or has ended, is no
  /// error here: what it does not want is dropped. The output ends when all who have it open have closed it, be they
  /// children of the child that outlive it.
  ///
  /// The memory that it takes is the output's, for which there is `limit`, and 64 KB for each pipe.
  ///
  /// After an error the child runs on, and nothing is lost: what has been read, and what has not been written, is kept,
  /// and a further call goes on from there. So `kill()`, and `communicate()` once more, gives what there was of a child
  /// that took too long.
  ///
  /// - Parameters:
  ///   - input: What the child gets on its standard input. A further call leaves it out.
  ///   - timeout: How long it may take; `nil`: as long as it does.
  ///   - limit: How many bytes of output, and how many of errors, it may write; `nil`: any number.
  /// - Cancellation: Throws `CancellationError`; the child runs on, unless nobody holds it any more.
  /// - Threading: On the child's loop.
  /// - Throws: ``TimeoutError``; ``ChildOutputLimitError``; ``InvalidArgumentError`` for input without a pipe, or a second
  ///   one; ``LoopClosedError``.
  public func communicate(
    input: [UInt8]? = nil, timeout: Duration? = nil, limit: Int? = nil
  ) async throws -> Result {
    loop.executor.checkIsolated()
    guard !isCommunicating else {
      throw InvalidArgumentError("communicate: it is under way already; await that one first")
    }
    if let input {
      guard pending == nil, pipes.input != nil else {
        throw InvalidArgumentError(
          "communicate: there is input and no pipe for it; spawn with `stdin: .pipe`, and give the input once")
      }
      pending = input
    }
    isCommunicating = true
    defer { isCommunicating = false }
    return try await withTimeout(timeout) { [self] in
      try await gather(Part.allCases, onError: .cancelOthers) { part in
        switch part {
        case .input: try await self.feed()
        case .output: try await self.collect(self.pipes.output, self.streams.output, into: \.output, limit)
        case .errors: try await self.collect(self.pipes.errors, self.streams.errors, into: \.errors, limit)
        }
      }
      return Result(output: collected.output, errors: collected.errors, status: try await waitForExit())
    }
  }

  private enum Part: CaseIterable { case input, output, errors }

  private func feed() async throws {
    do {
      if let stream = streams.input {
        try await feed(stream)
      } else if let pipe = pipes.input, pipe.isOpen {
        try await pipe.write(pending ?? [], from: &fedCount, on: loop)
      }
    } catch let error as SystemError where error.errno == .brokenPipe {
      pipes.input?.close()
      streams.input?.abort()
    }
  }

  private func feed(_ stream: StreamWriter) async throws {
    if let pending, fedCount < pending.count {
      // The stream takes all of it before it waits.
      let rest = Array(pending[fedCount...])
      fedCount = pending.count
      try await stream.write(rest)
    }
    stream.close()
    try await stream.waitClosed()
  }

  private func collect(
    _ pipe: ChildPipe?, _ stream: StreamReader?, into place: ReferenceWritableKeyPath<Collected, [UInt8]>,
    _ limit: Int?
  ) async throws {
    let collected = collected
    let check = {
      if let limit, collected[keyPath: place].count > limit { throw ChildOutputLimitError(limit: limit) }
    }
    try check()
    if let stream {
      while true {
        let bytes = try await stream.read(upTo: 65_536)
        if bytes.isEmpty { break }
        collected[keyPath: place] += bytes
        try check()
      }
    } else if let pipe, pipe.isOpen {
      unsafe try await pipe.read(on: loop) { bytes in
        unsafe collected[keyPath: place].append(contentsOf: bytes)
        try check()
      }
    }
  }
}

/// What was read from a child so far.
final class Collected {
  var output: [UInt8] = []
  var errors: [UInt8] = []
}

/// Our ends of the pipes to a child.
struct ChildPipes {
  var input: ChildPipe?
  var output: ChildPipe?
  var errors: ChildPipe?
}

/// A child has written more than it was to.
public struct ChildOutputLimitError: Error, Hashable, Sendable, CustomStringConvertible {
  /// How many bytes it might write.
  public let limit: Int

  /// The fact and the cure.
  public var description: String {
    "the child has written more than \(limit) bytes; what was read is kept: kill it, or communicate with a greater limit"
  }
}
