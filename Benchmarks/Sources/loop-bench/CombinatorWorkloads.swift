// SPDX-License-Identifier: Apache-2.0
//
// The workloads of the combinators, and their peers.

import AsyncIO
import Glibc

enum CombinatorWorkloads {
  /// Tasks created together, and gathered.
  static func gather(_ n: Int) throws -> UInt64 {
    try measured { loop in
      let sum = Sum()
      try await AsyncIO.gather((0..<n).map { number in loop.createTask { sum.value += number } })
    }
  }

  /// A future that is completed in time, waited for with a limit.
  static func waitFor(_ n: Int) throws -> UInt64 {
    try measured { loop in
      for _ in 0..<n {
        let future = loop.createFuture(of: Void.self)
        loop.callSoon { try future.setResult() }
        try await AsyncIO.waitFor(future, timeout: .seconds(60))
      }
    }
  }

  /// The same, waited for without one.
  static func plainAwait(_ n: Int) throws -> UInt64 {
    try measured { loop in
      for _ in 0..<n {
        let future = loop.createFuture(of: Void.self)
        loop.callSoon { try future.setResult() }
        try await future.value
      }
    }
  }

  /// Tasks that sleep for a random while, and are gathered: the processor time of the process.
  static func sleepGather(_ n: Int) throws -> UInt64 {
    try measured(by: processorNanoseconds) { loop in
      var delays = Delays()
      let tasks = (0..<n).map { _ in
        let delay = delays.next()
        return loop.createTask { try await sleep(for: delay) }
      }
      try await AsyncIO.gather(tasks)
    }
  }

  private static func measured(
    by clock: @escaping @Sendable () -> UInt64 = monotonicNanoseconds,
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void
  ) throws -> UInt64 {
    try EventLoop.run { loop in
      let start = clock()
      try await body(loop)
      return clock() - start
    }
  }
}

/// Random delays of 0 to 50 ms, the same each time, and the same in Python.
private struct Delays {
  private var state: UInt64 = 42

  mutating func next() -> Duration {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return .microseconds((state >> 33) % 50_000)
  }
}

private final class Sum {
  var value = 0
}

/// asyncio, in a process of its own.
enum PythonWorkloads {
  /// The same, of the time in which the tasks are made and gathered.
  static func sleepGather(_ n: Int) throws -> UInt64 {
    try run(sleepGatherScript, n)
  }

  /// Runs a script that prints nanoseconds.
  private static func run(_ script: String, _ n: Int) throws -> UInt64 {
    guard let pipe = popen("python3 -c '\(script)' \(n)", "r") else { throw PeerFailed() }
    defer { pclose(pipe) }
    var buffer = [CChar](repeating: 0, count: 64)
    guard fgets(&buffer, Int32(buffer.count), pipe) != nil else { throw PeerFailed() }
    let digits = buffer.prefix { $0 >= 48 && $0 <= 57 }.map { UInt8(bitPattern: $0) }
    guard let nanoseconds = UInt64(String(decoding: digits, as: UTF8.self)) else { throw PeerFailed() }
    return nanoseconds
  }

  private static let sleepGatherScript = """
    import asyncio, sys, time
    n = int(sys.argv[1])
    async def main():
        s, delays = 42, []
        for _ in range(n):
            s = (s * 6364136223846793005 + 1442695040888963407) % 2**64
            delays.append((s >> 33) % 50000 / 1e6)
        start = time.process_time_ns()
        tasks = [asyncio.create_task(asyncio.sleep(d)) for d in delays]
        await asyncio.gather(*tasks)
        return time.process_time_ns() - start
    print(asyncio.run(main()))
    """
}

/// The other contender could not be run.
struct PeerFailed: Error, CustomStringConvertible {
  var description: String { "the peer did not run: is python3 there?" }
}
