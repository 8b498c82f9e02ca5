// SPDX-License-Identifier: Apache-2.0
//
// What tests of the combinators share.

@testable import AsyncIO

/// A short name for how a body ended.
func ending<T>(of body: () async throws -> T) async -> String {
  do {
    return "\(try await body())"
  } catch is CancellationError {
    return "cancelled"
  } catch is TimeoutError {
    return "timeout"
  } catch let error as LoopTaskGroupError {
    return "group(\(error.errors.map { "\($0)" }.joined(separator: ", ")))"
  } catch {
    return "\(error)"
  }
}

/// Waits for so many seconds, and returns them.
func waited(_ seconds: Int) async throws -> Int {
  try await sleep(for: .seconds(seconds))
  return seconds
}

/// An await of another library, which a cancel ends: what a stream gives after a second, or `nil`.
func readElsewhere(on loop: isolated EventLoop) async -> String {
  let (stream, continuation) = AsyncStream.makeStream(of: Int.self)
  let timer = loop.callLater(.seconds(1)) { continuation.yield(1) }
  defer { timer.cancel() }
  for await number in stream { return "\(number)" }
  return "nil"
}

enum TestLocal {
  @TaskLocal static var number = 0
}

/// Tasks that know of each other.
final class Tasks {
  var all: [LoopTask<Int>] = []
}

extension EventLoop {
  /// A task that waits for so long, and then has a value.
  func sleeper<T: Sendable>(_ duration: Duration, _ value: T) -> LoopTask<T> {
    createTask {
      try await self.sleep(for: duration)
      return value
    }
  }

  /// A task that waits for so long, and then fails.
  func failer(_ duration: Duration, _ error: any Error = Boom()) -> LoopTask<Int> {
    createTask {
      try await self.sleep(for: duration)
      throw error
    }
  }

  /// A task that catches a cancel, takes so long to clean up, and then returns a value.
  func stubborn(_ cleanup: Duration, _ value: Int = 7) -> LoopTask<Int> {
    createTask {
      do {
        try await self.sleep(for: .seconds(3_600))
      } catch {
        try await self.sleep(for: cleanup)
      }
      return value
    }
  }

  /// A task that takes so long to clean up after a cancel, and then ends cancelled.
  func slowToCancel(_ cleanup: Duration) -> LoopTask<Int> {
    createTask {
      do {
        try await self.sleep(for: .seconds(3_600))
      } catch {
        try await self.sleep(for: cleanup)
        throw error
      }
      return 0
    }
  }

  /// The seconds that have passed since a point.
  nonisolated func seconds(since start: Instant) -> Int64 { start.duration(to: now).components.seconds }
}

extension AnyFuture {
  /// How many are to be told of the end.
  var observerCount: Int { observers.count }
}
