// SPDX-License-Identifier: Apache-2.0
//
// How much memory a timer holds, and what is left of it after a mass cancellation.

import ArgumentParser
import AsyncIO
import CRawLibevent

struct TimerMemory: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "The memory of timers, beyond their closure, and when all are cancelled; fails above the targets.")

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
    let (armed, cancelled, kept) = try EventLoop.run { loop in
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
      let cancelled = residentBytes() - before
      // What was freed, and malloc keeps for the next who asks, is not the loop's.
      give_back_freed_memory()
      return (armed, cancelled, residentBytes() - before)
    }
    print("timer-memory, N = \(n): bytes a timer, beyond its closure")
    func column(_ bytes: Int) -> String { (Double(bytes) / Double(n)).text(decimals: 1).padded(left: 8) }
    print("  armed                        " + column(armed) + "  at most \(Self.target)")
    print("  all cancelled                " + column(kept) + "  at most \(Self.targetAfter)")
    print("  and what malloc kept of that " + column(cancelled - kept) + "  until malloc_trim")
    if armed > Self.target * n || kept > Self.targetAfter * n { throw ExitCode.failure }
  }
}
