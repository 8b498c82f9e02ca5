// SPDX-License-Identifier: Apache-2.0
//
// How exact the timers of an idle loop are, and that it sleeps meanwhile.

import ArgumentParser
import AsyncIO
import Glibc

struct Lateness: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "How late timers are on an idle loop, in both precisions; fails when one is early.",
    discussion: "Times depend on the machine's other work, so they are told, and not judged.")

  @Option(help: "How many timers to measure, of 1 to 20 ms, one after the other.")
  var count = 500

  func validate() throws {
    guard count > 0 else { throw ValidationError("--count: give 1 or more") }
  }

  func run() throws {
    print("lateness on an idle loop, of \(count) timers at 1 to 20 ms, in microseconds")
    print("  precision      least    median   99th pc      most    target (99th pc)")
    var early = false
    for (name, precision, target) in modes {
      let late = try lateness(precision)
      early = early || late.contains { $0 < 0 }
      print("  " + name.padded(9) + columns(late) + "    at most \(target)")
      fflush(nil)
    }
    print("  " + "(kernel)".padded(9) + columns(kernelLateness()) + "    clock_nanosleep: what this machine can do")
    print("an idle loop with one timer far off: \(try idleNanoseconds() / 1_000) microseconds of CPU in a second")
    if early { throw ExitCode.failure }
  }

  private func columns(_ late: [Int64]) -> String {
    [late[0], late[late.count / 2], percentile99(late), late[late.count - 1]]
      .map { (Double($0) / 1_000).text().padded(left: 10) }.joined()
  }

  private var modes: [(String, EventLoop.Configuration.TimerPrecision, Int)] {
    [("default", .millisecond, 1_100), ("precise", .precise, 150)]
  }

  /// In nanoseconds, in order.
  private func lateness(_ precision: EventLoop.Configuration.TimerPrecision) throws -> [Int64] {
    var configuration = EventLoop.Configuration()
    configuration.timerPrecision = precision
    let count = count
    return try EventLoop.run(configuration: configuration) { loop in
      var delays = Delays()
      var late: [Int64] = []
      for _ in 0..<count {
        let fired = loop.createFuture(of: Duration.self)
        let deadline = loop.now.advanced(by: .microseconds(1_000 + delays.next() % 19_001))
        loop.callAt(deadline) { try fired.setResult(deadline.duration(to: loop.now)) }
        let (seconds, attoseconds) = try await fired.value.components
        late.append(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
      }
      return late.sorted()
    }
  }

  /// The same sleeps, with nothing above the system call.
  private func kernelLateness() -> [Int64] {
    var delays = Delays()
    return (0..<count).map { _ in
      let deadline = Int64(monotonicNanoseconds()) + Int64(1_000 + delays.next() % 19_001) * 1_000
      var time = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
      while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
      return Int64(monotonicNanoseconds()) - deadline
    }.sorted()
  }

  /// The smallest value that 99 of 100 do not exceed.
  private func percentile99(_ sorted: [Int64]) -> Int64 { sorted[(sorted.count * 99 + 99) / 100 - 1] }

  private func idleNanoseconds() throws -> UInt64 {
    try EventLoop.run { loop in
      let far = loop.callLater(.seconds(86_400)) {}
      // What the first sleep sets up is no second's.
      try await sleep(for: .milliseconds(10))
      let before = processorNanoseconds()
      try await sleep(for: .seconds(1))
      let taken = processorNanoseconds() - before
      far.cancel()
      return taken
    }
  }
}
