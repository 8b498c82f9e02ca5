// SPDX-License-Identifier: Apache-2.0
//
// How much memory a timer holds, and what is left of it after a mass cancellation.

import ArgumentParser
import AsyncIO

struct TimerMemory: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "The memory of timers, beyond their closure, and what stays after all are cancelled; fails above the targets.")

  @Argument(help: "The number of timers.")
  var count = 1_000_000

  static let target = 96
  /// What of a timer may stay.
  static let targetAfter = 8

  func validate() throws {
    guard count >= 100_000 else { throw ValidationError("give 100000 timers or more: memory comes in pages") }
  }

  func run() throws {
    let n = count
    let (armed, cancelled) = try EventLoop.run { loop in
      // The closure is one for all, and the handles are the user's: their memory is there before.
      let callback = {}
      let first = loop.callLater(.seconds(30), callback)
      var handles = Array(repeating: first, count: n)
      first.cancel()
      var delays = Delays()
      let before = residentBytes()
      for index in 0..<n { handles[index] = loop.callLater(.microseconds(delays.long()), callback) }
      let armed = residentBytes() - before
      for handle in handles { handle.cancel() }
      return (armed, residentBytes() - before)
    }
    print("timer-memory, N = \(n): bytes a timer, beyond its closure")
    print("  armed      \((Double(armed) / Double(n)).text(decimals: 1).padded(left: 8))  at most \(Self.target)")
    print("  cancelled  \((Double(cancelled) / Double(n)).text(decimals: 1).padded(left: 8))  at most \(Self.targetAfter)")
    if armed > Self.target * n || cancelled > Self.targetAfter * n { throw ExitCode.failure }
  }
}
